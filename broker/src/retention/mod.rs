//! Retention as the configuration has it: every few seconds a look whether the log keeps more than is asked for.

mod taken;

use self::taken::Taken;
use crate::config::LiveValues;
use crate::disk::{Bounds, Share};
use crate::engine::Engine;
use crate::engine::lag::Lag;
use parking_lot::Mutex;
use sluice_core::command::EncodedCommand;
use sluice_core::ids::{GroupId, PhysicalOffset, TopicId};
use sluice_core::log::{NotProposed, Outcome, ReplicatedLog};
use sluice_core::state::Tables;
use sluice_store::Store;
use sluice_store::retention::{Own, Propose, Ran, RetentionError, Run, Settings, Sizes};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

const HOUR_MS: u64 = 3_600_000;
/// Between two looks.
const EVERY: Duration = Duration::from_secs(10);
/// Between two looks where too much of what should go waits: each reads what waits.
const EVERY_BLOCKED: Duration = Duration::from_secs(120);
/// Sends that are refused for want of disk for so long are not taken again by themselves: the log makes room with what it has.
const FULL_FOR: Duration = Duration::from_secs(30);

/// What retention did since the start.
#[derive(Debug, Default)]
pub struct RetentionStats {
    blocked: AtomicBool,
    too_many: AtomicBool,
    failed: AtomicBool,
    in_vain: AtomicBool,
    waits: AtomicBool,
    /// Since when each look found sends refused for want of disk.
    refused_since: Mutex<Option<Instant>>,
    records: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
    /// Of topics that have a bound: held by the look that is under way.
    sizes: Mutex<Sizes>,
    unread: Mutex<HashMap<(GroupId, TopicId), u64>>,
}

impl RetentionStats {
    /// Whether more should go, and does not, for too much of it waits.
    pub fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// Whether the last look ended with an error: while it does, nothing goes.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Records that were written again because their messages waited, and their bytes.
    pub fn carried(&self) -> (u64, u64) {
        (
            self.records.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }

    /// Places of messages that waited and whose records were damaged: they have gone with the log.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Of topics that have a bound in bytes: how many of their bytes stand from a group's oldest ready message on. With more than
    /// the bound it is taken unread.
    pub fn unread(&self, group: GroupId, topic: TopicId) -> Option<u64> {
        self.unread.lock().get(&(group, topic)).copied()
    }

    /// Whether sends are refused for want of disk, and have been for a while.
    fn is_full(&self, refused: bool, now: Instant) -> bool {
        let mut since = self.refused_since.lock();
        *since = refused.then(|| since.unwrap_or(now));
        since.is_some_and(|since| now.duration_since(since) >= FULL_FOR)
    }

    fn fail(&self, error: &RetentionError) {
        tracing::warn!(%error, "retention goes on at the next look");
        self.failed.store(true, Ordering::Relaxed);
    }

    fn add(&self, ran: &Ran) {
        self.failed.store(ran.failed, Ordering::Relaxed);
        let was_blocked = self.blocked.swap(ran.blocked, Ordering::Relaxed);
        let were_too_many = self.too_many.swap(ran.too_many, Ordering::Relaxed);
        if ran.too_many && !were_too_many {
            tracing::warn!(
                "the log keeps more than it should: messages at more than a million places in queues wait for consumers, are dead-lettered, or are kept longer, and no more than that are written again; help the groups that hold them (`sluicectl group lag`), or keep topics' messages less long (`sluicectl topic update --retention-hours`)"
            );
        } else if ran.blocked && !ran.too_many && (!was_blocked || were_too_many) {
            tracing::warn!(
                "the log keeps more than it should: more than half of what should go waits for consumers, is dead-lettered, or is kept longer, or a full disk has no room to write it again; help the groups that hold it (`sluicectl group lag`), or make room"
            );
        }
        if ran.in_vain && !self.in_vain.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the disk is above forcedRetentionPercent, and would be without the log: it gives up no unread messages for that; somebody else fills the disk"
            );
        }
        self.in_vain.store(ran.in_vain, Ordering::Relaxed);
        if ran.waits && !self.waits.load(Ordering::Relaxed) {
            tracing::info!(
                "the log stays larger than retentionBytes for now: three quarters of that have yet to come after a place at which it can begin"
            );
        }
        self.waits.store(ran.waits, Ordering::Relaxed);
        self.records.fetch_add(ran.carried.0, Ordering::Relaxed);
        self.bytes.fetch_add(ran.carried.1, Ordering::Relaxed);
        self.lost.fetch_add(ran.lost, Ordering::Relaxed);
    }
}

/// What the values, the topics' own and the disk come to, while messages are taken.
pub fn settings(values: &LiveValues, tables: &Tables, bounds: Bounds) -> Settings {
    let topics = tables.all_topics();
    let own = topics.iter().map(|topic| {
        let (hours, bytes) = (topic.spec.retention_hours, topic.spec.retention_bytes);
        let own = Own {
            keep_ms: Some(u64::from(hours) * HOUR_MS).filter(|ms| *ms > 0),
            keep_bytes: Some(bytes).filter(|bytes| *bytes > 0),
        };
        (topic.id, own)
    });
    Settings {
        keep_ms: Some(values.retention.as_millis() as u64),
        keep_bytes: values.retention_bytes,
        read_bytes: bounds.read,
        forced_bytes: bounds.forced,
        full: false,
        own: own.filter(|(_, own)| *own != Own::default()).collect(),
        carried_max: None,
    }
}

/// The engine's log, for a thread that may block.
struct Log<'a>(&'a Store);

impl Propose for Log<'_> {
    fn propose(&self, commands: Vec<EncodedCommand>) -> Outcome {
        let (answer, answered) = sync_channel(1);
        let done = Box::new(move |outcome| drop(answer.send(outcome)));
        self.0.log().propose(commands.into_iter().collect(), done);
        // Whoever drops the question unanswered does not know.
        answered.recv().unwrap_or(Outcome::Unknown)
    }
}

/// What of the disk is the log's.
pub(crate) fn share(store: &Store) -> Share {
    let start = store.tables().bounds().start;
    let written = store.log().positions().written();
    Share {
        kept: written.0.saturating_sub(start.0),
        leaving: start.0.saturating_sub(store.log().start().0) + store.log().leaving_bytes(),
    }
}

/// One look. Blocks on the disk and on the log.
pub(crate) fn look(engine: &Engine, values: &LiveValues) -> Result<Ran, RetentionError> {
    let store = engine.store();
    let (holding, usage) = engine.disk().seen();
    let bounds = Bounds::of(holding, usage, &values.marks, share(store));
    let refused = store
        .log()
        .refusal()
        .is_some_and(|refusal| matches!(refusal.why, NotProposed::NoSpace | NotProposed::NearlyFull));
    let settings = Settings {
        full: engine.retention().is_full(refused, Instant::now()),
        ..settings(values, store.tables(), bounds)
    };
    let run = Run {
        store,
        log: Log(store),
        settings: &settings,
        now: engine.now(),
    };
    let mut sizes = engine.retention().sizes.lock();
    let ran = run.run(&mut sizes);
    look_at_unread(engine, &sizes);
    ran
}

/// What groups have yet to read of topics that have a bound. What cannot be read now is not known until the next look.
fn look_at_unread(engine: &Engine, sizes: &Sizes) {
    let (store, now) = (engine.store(), engine.now());
    let mut unread = HashMap::new();
    let topics = store.tables().all_topics();
    for topic in topics.iter().filter(|topic| topic.spec.retention_bytes > 0) {
        for (id, held) in store.tables().subscribers_of(topic.id) {
            let Some(group) = store.tables().group_by_id(id) else {
                continue;
            };
            let lags = engine.lag_by_queue(&group, topic, &held, now);
            let bytes = match first_ready(&lags) {
                Ready::Uncounted => continue,
                Ready::Nothing => Ok(0),
                Ready::From(oldest) => sizes.standing_from(store, topic, oldest),
            };
            if let Ok(bytes) = bytes {
                unread.insert((id, topic.id), bytes);
            }
        }
    }
    *engine.retention().unread.lock() = unread;
}

/// What a group has to read.
#[derive(Debug, PartialEq, Eq)]
enum Ready {
    Nothing,
    /// The first of it stands here in the log.
    From(PhysicalOffset),
    /// Its tag expression was not asked about all of it yet: what it does not take would count too.
    Uncounted,
}

fn first_ready(lags: &[Lag]) -> Ready {
    if lags.iter().any(|lag| lag.uncounted > 0) {
        return Ready::Uncounted;
    }
    let oldest = lags.iter().filter_map(|lag| lag.ready_at).min();
    oldest.map_or(Ready::Nothing, Ready::From)
}

/// Before clients are served: what the log does not have any more state does not either. Its error is the next look's too.
pub async fn begin(engine: &Arc<Engine>) {
    let engine = Arc::clone(engine);
    let begun = tokio::task::spawn_blocking(move || {
        let (store, settings) = (engine.store(), Settings::default());
        let run = Run {
            store,
            log: Log(store),
            settings: &settings,
            now: engine.now(),
        };
        run.catch_up()
    });
    match begun.await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::error!(%error, "queues begin before the log does"),
        Err(error) => tracing::error!(%error, "retention has failed"),
    }
}

/// Follows the configuration for as long as the process lives.
pub async fn follow(engine: Arc<Engine>) {
    let live = Arc::clone(engine.live());
    let (mut changes, mut disk) = (live.subscribe(), engine.disk().subscribe());
    let mut taken = Taken::before(&engine);
    loop {
        let (looker, values) = (Arc::clone(&engine), Arc::clone(&live.values()));
        let looked = tokio::task::spawn_blocking(move || look(&looker, &values)).await;
        match looked {
            Ok(Ok(ran)) => {
                tell(&ran);
                engine.retention().add(&ran);
                taken.tell(&engine);
            }
            Ok(Err(error)) => engine.retention().fail(&error),
            // Only a panic, or the runtime's end.
            Err(error) => tracing::error!(%error, "retention has failed"),
        }
        let wait = if engine.retention().is_blocked() {
            EVERY_BLOCKED
        } else {
            EVERY
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            changed = changes.changed() => if changed.is_err() { return },
            // Both live as long as the engine.
            changed = disk.changed() => if changed.is_err() { return },
        }
    }
}

fn tell(ran: &Ran) {
    if ran.lost > 0 {
        tracing::error!(
            messages = ran.lost,
            "messages that waited are lost, with damaged records: the log gives them up with what stands around them, and names the first of them above"
        );
    }
    let (records, bytes) = ran.carried;
    if let Some(start) = ran.start {
        tracing::info!(start = start.0, records, bytes, "the log is to begin later");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_full_to_retention_once_sends_were_refused_at_each_look_for_half_a_minute() {
        let (stats, begin) = (RetentionStats::default(), Instant::now());
        for (second, refused, full) in [
            (0, true, false),
            (29, true, false),
            (30, true, true),
            (31, false, false),
            (40, true, false),
            (69, true, false),
            (80, true, true),
        ] {
            let now = begin + Duration::from_secs(second);
            assert_eq!(stats.is_full(refused, now), full, "after {second} s");
        }
    }

    #[test]
    fn what_a_group_has_to_read_is_not_told_before_all_of_it_was_looked_at() {
        let lag = |ready_at: Option<u64>, uncounted| Lag {
            ready_at: ready_at.map(PhysicalOffset),
            uncounted,
            ..Lag::default()
        };
        for (lags, expected) in [
            (&[][..], Ready::Nothing),
            (&[lag(None, 0)], Ready::Nothing),
            (
                &[lag(Some(7), 0), lag(None, 0), lag(Some(5), 0)],
                Ready::From(PhysicalOffset(5)),
            ),
            (&[lag(Some(7), 0), lag(Some(5), 1)], Ready::Uncounted),
        ] {
            assert_eq!(first_ready(lags), expected, "{lags:?}");
        }
    }

    #[test]
    fn retention_counts_as_failed_from_a_look_that_failed_to_the_next_that_does_not() {
        let stats = RetentionStats::default();
        assert!(!stats.has_failed());
        stats.fail(&RetentionError::Unknown);
        assert!(
            stats.has_failed() && !stats.is_blocked(),
            "the next look comes as soon as ever"
        );
        stats.add(&Ran::default());
        assert!(!stats.has_failed());
    }
}
