//! A store is opened: the newest whole checkpoint, the replay of the log behind it, the threads.

use super::threads::{IDLE_LOOK, Running};
use super::{Failed, Inner, Store, StoreError, StoreOptions, refusal};
use crate::applier::{Applier, Observer};
use crate::checkpoint::Checkpoints;
use crate::checkpointer::{Checkpointer, Trigger};
use crate::damage::Failures;
use crate::io::LogIo;
use crate::log::{self, Ahead, Committed, Cut, LocalLog, LogOptions, LogPosition, Opened, Opening};
use crate::restored::{self, Restored, Unsettled};
use parking_lot::Mutex;
use sluice_core::command::encode_level;
use sluice_core::ids::TimeMs;
use sluice_core::log::{NotProposed, Outcome, ReplicatedLog};
use sluice_core::state::LEVEL;
use smallvec::smallvec;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};

/// Groups of frames between the log thread and the applier.
const COMMITTED_MAX: usize = 8;

/// [`Store::open`], with an error that does not say yet how far damage reaches.
pub(super) fn open(
    io: Arc<dyn LogIo>,
    options: StoreOptions,
    observer: Box<dyn Observer>,
    failed: Failed,
) -> Result<Store, StoreError> {
    let dir = options.log.dir.clone();
    let opening = begin(&io, options.log)?;
    let ahead = opening.ahead();
    let Restored {
        state,
        position,
        unsettled,
    } = restored::newest(&io, &dir, opening.first(), &ahead)?;
    let (queues, index) = (unsettled.queues.clone(), unsettled.index.clone());
    let trigger = Trigger::new(options.checkpoints, position.physical, opening.segment_starts());
    let policy = trigger.policy();
    let mut applier = Applier::new(state, queues.clone(), index.clone(), observer, trigger);
    #[cfg(feature = "planted-faults")]
    if options.apply_twice {
        applier.apply_twice();
    }
    let (opened, checkpoints) = replay(opening, position, &mut applier, unsettled, &ahead)?;
    opened.cut().map(tell_of_cut);
    let uuid = opened.meta().identity.uuid.0;
    let now = options.now.max(applier.state().now());
    let tables = Arc::clone(applier.state().tables());
    let level = applier.state().level();
    let (committed, to_apply) = mpsc::sync_channel::<Committed>(COMMITTED_MAX);
    let mut parts = opened.start(applier.state().next_index(), log::ChannelSink(committed));
    let log = parts.log.clone();
    let term = parts.writer.lead(now)?;
    let halted = Arc::new(AtomicBool::new(false));
    let failed = halting(failed, &halted);
    let checkpointer = Checkpointer::new(
        log.clone(),
        queues.clone(),
        index.clone(),
        checkpoints,
        Arc::clone(&halted),
        position.physical,
    );
    let (applying, checkpoints) = (applier.stats(), checkpointer.stats());
    let trim_points = checkpointer.trim_points();
    let running = Running::start(parts, applier, checkpointer, to_apply, &failed)?;
    let store = Store {
        inner: Arc::new(Inner {
            policy,
            reader: log.reader(),
            tables,
            log,
            queues,
            index,
            term,
            uuid,
            applying,
            checkpoints,
            trim_points,
            io,
            dir,
            failures: Failures::default(),
            running: Mutex::new(Some(running)),
        }),
    };
    raise_level(store.log(), &store.inner.dir, level, now, &halted)?;
    Ok(store)
}

fn begin(io: &Arc<dyn LogIo>, options: LogOptions) -> Result<Opening, StoreError> {
    let checkpoints = options.dir.join("checkpoint");
    refusal::refuse_a_log_that_is_gone(io, &options.dir)?;
    let newest = Checkpoints::newest_named(&**io, &checkpoints)?;
    Ok(Opening::begin_reaching(
        Arc::clone(io),
        options,
        newest.unwrap_or_default(),
    )?)
}

/// Replays the log onto what was restored, and then settles that: a start that is refused changes nothing. Where a replay must write
/// before it has come to the end, it looks at what comes first.
fn replay(
    opening: Opening,
    from: LogPosition,
    applier: &mut Applier,
    mut unsettled: Unsettled,
    ahead: &Ahead,
) -> Result<(Opened, Checkpoints), StoreError> {
    let (mut is_settled, mut refused) = (false, None);
    let replayed = opening.replay(from, |frame| {
        applier.replay(frame)?;
        if !applier.must_write() {
            return Ok(());
        }
        if !is_settled {
            let header = frame.header();
            let behind = LogPosition {
                physical: frame.end(),
                index: header.next_index(),
                term: header.term,
            };
            let looked = ahead.look(behind).map_err(StoreError::from);
            if let Err(error) = looked.and_then(|()| unsettled.settle()) {
                refused = Some(error);
                return Err("it was stopped before it has written anything".into());
            }
            is_settled = true;
        }
        Ok(applier.write_replayed()?)
    });
    if let Some(error) = refused {
        return Err(error);
    }
    let opened = replayed?;
    if !is_settled {
        unsettled.settle()?;
    }
    Ok((opened, unsettled.checkpoints))
}

fn tell_of_cut(cut: &Cut) {
    tracing::warn!(at = cut.at.0, bytes = cut.bytes, reason = %cut.reason, "cut off what a crash left at the log's end; nobody was told of it");
}

/// `failed`, which first takes note that nothing will be durable any more: whoever waits for that must not wait on.
fn halting(failed: Failed, halted: &Arc<AtomicBool>) -> Failed {
    let halted = Arc::clone(halted);
    Arc::new(move |reason| {
        halted.store(true, Ordering::Release);
        failed(reason);
    })
}

/// Switches on, level by level, what this build knows and the log does not use yet.
fn raise_level(
    log: &LocalLog,
    dir: &Path,
    present: u32,
    now: TimeMs,
    halted: &AtomicBool,
) -> Result<(), StoreError> {
    for level in present + 1..=LEVEL {
        let (answer, answered) = mpsc::sync_channel(1);
        let done = Box::new(move |outcome| drop(answer.send(outcome)));
        log.propose(smallvec![encode_level(now, level)], done);
        let outcome = loop {
            match answered.recv_timeout(IDLE_LOOK) {
                Err(RecvTimeoutError::Timeout) if !halted.load(Ordering::Acquire) => {}
                other => break other.unwrap_or(Outcome::Unknown),
            }
        };
        match outcome {
            Outcome::Applied(results) if results.iter().all(Result::is_ok) => {
                // Not `level`: a line of JSON has one already.
                tracing::info!(to = level, "the log's level was raised");
            }
            Outcome::NotProposed(
                why @ (NotProposed::NoSpace | NotProposed::NotPermitted | NotProposed::NoDescriptors),
            ) => {
                let dir = dir.to_owned();
                return Err(StoreError::NoRoomToRaise { dir, level, why });
            }
            other => return Err(StoreError::NotTaken(format!("{other:?}"))),
        }
    }
    Ok(())
}
