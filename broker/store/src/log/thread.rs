//! The two threads of a log: the one that writes, and the one that zero-fills ahead of it.

use super::error::Fatal;
use super::prefill::{Prefill, Prefilled};
use super::shared::Shared;
use super::writer::{LogWriter, Progress};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the helper sleeps when nobody calls it.
const PREFILL_SLEEP: Duration = Duration::from_secs(1);
/// How long it waits for the disk to have space again.
const PREFILL_RETRY: Duration = Duration::from_millis(100);

/// The running threads. Dropping it stops them as [`LogThreads::stop`] does.
pub struct LogThreads {
    shared: Arc<Shared>,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts the threads. `failed` is called, at most once a thread, when the log can no longer know what is on the disk: it
/// must end the process at once. No callback of an operation that was under way is called then.
pub fn spawn(
    writer: LogWriter,
    prefill: Prefill,
    failed: impl Fn(Fatal) + Send + Sync + 'static,
) -> io::Result<LogThreads> {
    let stopping = Arc::new(AtomicBool::new(false));
    let shared = writer.shared.clone();
    let failed = Arc::new(failed);
    let mut running = LogThreads {
        shared,
        stopping: stopping.clone(),
        threads: Vec::new(),
    };
    let on_fatal = failed.clone();
    let log = std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || {
            if let Err(fatal) = run(writer) {
                on_fatal(fatal);
            }
        })?;
    running.threads.push(log);
    let helper = std::thread::Builder::new()
        .name("log-prefill".to_owned())
        .spawn(move || {
            if let Err(fatal) = run_prefill(prefill, &stopping) {
                failed(fatal);
            }
        })?;
    running.threads.push(helper);
    Ok(running)
}

fn run(mut writer: LogWriter) -> Result<(), Fatal> {
    let start = Instant::now();
    let mut gave_way = false;
    loop {
        match writer.step(start.elapsed())? {
            Progress::Worked => gave_way = false,
            // Whoever is about to propose gets the processor once: larger groups, and fewer sleeps and wake-ups.
            Progress::Idle(_) if !gave_way => {
                gave_way = true;
                std::thread::yield_now();
            }
            Progress::Idle(due) => {
                gave_way = false;
                let inbox = writer.shared.inbox.clone();
                inbox.wait(due.map(|due| due.saturating_sub(start.elapsed())));
            }
            Progress::Stopped => return Ok(()),
        }
    }
}

fn run_prefill(mut prefill: Prefill, stopping: &AtomicBool) -> Result<(), Fatal> {
    while !stopping.load(Ordering::Acquire) {
        let next = prefill.give_back(Instant::now());
        let sleep = match prefill.step()? {
            Prefilled::Worked => continue,
            Prefilled::Idle => PREFILL_SLEEP,
            Prefilled::NoSpace => PREFILL_RETRY,
        };
        let sleep = next.map_or(sleep, |next| next.min(sleep));
        prefill.shared.prefill.wait(sleep);
    }
    Ok(())
}

impl LogThreads {
    /// Takes nothing more, writes what is queued, makes it durable, and waits for the threads to end.
    pub fn stop(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.shared.inbox.close();
        self.stopping.store(true, Ordering::Release);
        self.shared.prefill.ring();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the log has panicked");
            }
        }
    }
}

impl Drop for LogThreads {
    fn drop(&mut self) {
        self.finish();
    }
}
