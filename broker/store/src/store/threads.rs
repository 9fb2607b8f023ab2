//! The threads of a running store: the log's, one that applies, and one that writes checkpoints.

use super::{Failed, StoreError};
use crate::applier::Applier;
use crate::checkpointer::{self, Checkpointer, Requests};
use crate::io::DirLock;
use crate::log::{self, Committed, LocalLog, LogThreads, LogWriter, Parts, Prefill};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the applier looks whether a checkpoint is due when nothing comes.
pub(super) const IDLE_LOOK: Duration = Duration::from_millis(500);

/// After so many rounds without a pause the applier hands a snapshot on all the same.
const BUSY_ROUNDS_MAX: u32 = 256;

/// What runs while a store is open, and the lock on its folder.
pub(super) struct Running {
    log: LogThreads,
    applier: JoinHandle<Applier>,
    checkpointer: JoinHandle<Checkpointer>,
    _lock: Box<dyn DirLock>,
}

impl Running {
    pub(super) fn start(
        parts: Parts,
        applier: Applier,
        checkpointer: Checkpointer,
        to_apply: Receiver<Committed>,
        failed: &Failed,
    ) -> Result<Self, StoreError> {
        let Parts {
            log,
            writer,
            prefill,
            lock,
        } = parts;
        let (applier, checkpointer) = start_folding(applier, checkpointer, &log, to_apply, failed)?;
        Ok(Self {
            log: start_log(writer, prefill, failed)?,
            applier,
            checkpointer,
            _lock: lock,
        })
    }

    /// Ends the threads in the order of the log's way through them, and writes a last checkpoint.
    pub(super) fn stop(self) -> Result<(), StoreError> {
        let Self {
            log,
            applier,
            checkpointer,
            _lock,
        } = self;
        log.stop();
        let mut applier = applier.join().map_err(|_| StoreError::Thread("apply"))?;
        let waiting = applier.disconnect();
        let mut checkpointer = checkpointer
            .join()
            .map_err(|_| StoreError::Thread("checkpoint"))?;
        if let Some(request) = waiting {
            checkpointer.write(request)?;
        }
        let is_whole = checkpointer.must_be_whole();
        if let Some(request) = applier.finish(is_whole) {
            checkpointer.write(request)?;
        }
        Ok(checkpointer.finish_index()?)
    }
}

fn start_log(writer: LogWriter, prefill: Prefill, failed: &Failed) -> Result<LogThreads, StoreError> {
    let failed = Arc::clone(failed);
    log::spawn(writer, prefill, move |fatal| failed(fatal.to_string())).map_err(|_| StoreError::Thread("log"))
}

/// Starts the threads that apply and that write checkpoints.
fn start_folding(
    mut applier: Applier,
    checkpointer: Checkpointer,
    log: &LocalLog,
    to_apply: Receiver<Committed>,
    failed: &Failed,
) -> Result<(JoinHandle<Applier>, JoinHandle<Checkpointer>), StoreError> {
    let busy = Arc::new(AtomicBool::new(false));
    let (writer, requests) = mpsc::sync_channel(1);
    applier.connect(Requests {
        log: log.clone(),
        writer,
        busy: Arc::clone(&busy),
        anew: checkpointer.anew(),
    });
    let (log, failed) = (log.clone(), Arc::clone(failed));
    let apply = move || apply_all(applier, &to_apply, &log);
    let write = move || checkpointer::run(checkpointer, &requests, &busy, &*failed);
    let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
    Ok((
        thread("apply")
            .spawn(apply)
            .map_err(|_| StoreError::Thread("apply"))?,
        thread("checkpoint")
            .spawn(write)
            .map_err(|_| StoreError::Thread("checkpoint"))?,
    ))
}

/// The loop of the applying thread: until the log has ended.
fn apply_all(mut applier: Applier, to_apply: &Receiver<Committed>, log: &LocalLog) -> Applier {
    let mut rounds = 0;
    loop {
        let next = to_apply.try_recv();
        if next.is_err() || rounds == BUSY_ROUNDS_MAX {
            applier.hand_on();
            rounds = 0;
        }
        match next.or_else(|_| to_apply.recv_timeout(IDLE_LOOK)) {
            Ok(committed) => {
                applier.step(committed);
                log.positions().set_applied(applier.state().next_index());
                rounds += 1;
            }
            Err(RecvTimeoutError::Timeout) => applier.checkpoint_if_due(),
            Err(RecvTimeoutError::Disconnected) => return applier,
        }
    }
}
