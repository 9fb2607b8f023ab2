//! The scrub at the rate of the configuration: a piece, a pause, and a round a day at most.

use crate::engine::Engine;
use sluice_core::ids::{QueueOffset, TopicQueue};
use sluice_store::scrub::{Finding, Kind, LostMessage, Scrub, Served, Step};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// A start has other things to do.
const FIRST: Duration = Duration::from_secs(30);
/// From the beginning of a round to that of the next, at least.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// Stretches of messages of one finding that the log names.
const NAMED_MAX: usize = 16;

/// What was read again since the start.
#[derive(Debug, Default)]
pub struct ScrubStats {
    bytes: AtomicU64,
    rounds: AtomicU64,
    findings: [AtomicU64; Kind::ALL.len()],
}

impl ScrubStats {
    /// Bytes read.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Rounds ended.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Findings by kind of file.
    pub fn findings(&self) -> [(&'static str, u64); Kind::ALL.len()] {
        let mut found = Kind::ALL.map(|kind| (kind.name(), 0));
        for (one, count) in found.iter_mut().zip(&self.findings) {
            one.1 = count.load(Ordering::Relaxed);
        }
        found
    }

    fn add(&self, step: &Step) {
        self.bytes.fetch_add(step.bytes, Ordering::Relaxed);
        self.rounds.fetch_add(u64::from(step.is_last), Ordering::Relaxed);
        for finding in &step.findings {
            let kinds = Kind::ALL.iter().zip(&self.findings);
            for (_, count) in kinds.filter(|(kind, _)| **kind == finding.kind) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Follows the configuration for as long as the process lives.
pub(crate) async fn follow(engine: Arc<Engine>) {
    tokio::time::sleep(FIRST).await;
    let live = Arc::clone(engine.live());
    let mut changes = live.subscribe();
    let mut scrub = engine.store().scrub();
    // When the one that is under way began.
    let mut round = None;
    loop {
        let rate = live.values().scrub_bytes_per_second;
        if rate == 0 {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        }
        let begun = Instant::now();
        let round_begun = *round.get_or_insert(begun);
        let step;
        (scrub, step) = match step_of(scrub, &engine).await {
            Some(stepped) => stepped,
            // Only a panic, or the runtime's end.
            None => return,
        };
        if step.is_last {
            tokio::time::sleep_until(round_begun + EVERY).await;
            round = None;
            continue;
        }
        // A change of the rate need not wait for the end of a long pause.
        let pause = Duration::from_secs_f64(step.bytes as f64 / rate as f64);
        if let Ok(Err(_)) = tokio::time::timeout_at(begun + pause, changes.changed()).await {
            return;
        }
    }
}

async fn step_of(mut scrub: Scrub, engine: &Arc<Engine>) -> Option<(Scrub, Step)> {
    let now = engine.now();
    let stepped = tokio::task::spawn_blocking(move || {
        let step = scrub.step(now);
        (scrub, step)
    });
    match stepped.await {
        Ok((scrub, step)) => {
            engine.scrub().add(&step);
            step.findings.iter().for_each(|finding| tell(engine, finding));
            if step.is_last {
                let (bytes, findings) = (engine.scrub().bytes(), engine.scrub().findings());
                tracing::info!(
                    bytes,
                    ?findings,
                    "all files were read again; this is what that came to since the start"
                );
            }
            Some((scrub, step))
        }
        Err(error) => {
            tracing::error!(%error, "files are not read again any more");
            None
        }
    }
}

/// Says what is damaged, and which messages are lost with it.
fn tell(engine: &Engine, finding: &Finding) {
    let served: u64 = finding.served.iter().map(Served::messages).sum();
    let messages = finding.messages.len() as u64 + served;
    tracing::error!(
        file = finding.kind.name(),
        messages,
        what = finding.what,
        "damage was found by reading everything again"
    );
    tell_served(engine, &finding.served);
    let lost = together(&finding.messages);
    for Together {
        at,
        in_memory,
        first,
        last,
    } in lost.iter().take(NAMED_MAX)
    {
        let topic = engine.tables().topic_by_id(at.topic);
        tracing::error!(
            topic = topic.as_ref().map(|topic| &*topic.spec.name),
            queue = at.queue.0,
            first = first.0,
            last = last.0,
            "{}",
            match in_memory {
                true =>
                    "messages, from the first offset to the last, are lost with it on the disk, and memory still has them, as it has the log's last 32 MiB: get them, and send them again, before as much more is written or the broker restarts (sluicectl message get)",
                false =>
                    "messages, from the first offset to the last, are lost with it: consumer groups that come to them go on without them",
            }
        );
    }
    let more: u64 = lost.iter().skip(NAMED_MAX).map(Together::messages).sum();
    if more > 0 {
        tracing::error!(
            messages = more,
            "so many more messages are lost with it, and are not named here"
        );
    }
}

/// Lost messages that stand side by side in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Together {
    at: TopicQueue,
    in_memory: bool,
    first: QueueOffset,
    last: QueueOffset,
}

impl Together {
    fn messages(&self) -> u64 {
        self.last.0 - self.first.0 + 1
    }
}

/// By queue and offset.
fn together(messages: &[LostMessage]) -> Vec<Together> {
    let mut sorted: Vec<_> = messages.iter().collect();
    sorted.sort_unstable_by_key(|lost| (lost.at, lost.offset));
    let mut found: Vec<Together> = Vec::new();
    for lost in sorted {
        match found.last_mut() {
            Some(last)
                if (last.at, last.in_memory, last.last.0 + 1) == (lost.at, lost.in_memory, lost.offset.0) =>
            {
                last.last = lost.offset;
            }
            _ => found.push(Together {
                at: lost.at,
                in_memory: lost.in_memory,
                first: lost.offset,
                last: lost.offset,
            }),
        }
    }
    found
}

/// Says which messages stand in a file that is gone. All of them, for nothing else has them once the broker has stopped.
fn tell_served(engine: &Engine, served: &[Served]) {
    for served in served {
        let topic = engine.tables().topic_by_id(served.at.topic);
        tracing::error!(
            topic = topic.as_ref().map(|topic| &*topic.spec.name),
            queue = served.at.queue.0,
            first = served.first.0,
            last = served.last.0,
            "the broker still has these messages, from the first offset to the last, until it stops: get them, and send them again, before it restarts (sluicectl message get)"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_core::ids::{QueueId, TopicId};

    #[test]
    fn lost_messages_that_stand_side_by_side_are_told_together() {
        let lost = |queue, offset, in_memory| LostMessage {
            at: TopicQueue {
                topic: TopicId(1),
                queue: QueueId(queue),
            },
            offset: QueueOffset(offset),
            in_memory,
        };
        let messages = [
            lost(1, 7, false),
            lost(0, 5, false),
            lost(0, 4, false),
            lost(0, 6, true),
            lost(0, 9, false),
            lost(1, 8, false),
        ];
        let told: Vec<_> = together(&messages)
            .into_iter()
            .map(|of| (of.at.queue.0, of.first.0, of.last.0, of.in_memory))
            .collect();
        let expected = [
            (0, 4, 5, false),
            (0, 6, 6, true),
            (0, 9, 9, false),
            (1, 7, 8, false),
        ];
        assert_eq!(told, expected);
        assert_eq!(together(&messages).iter().map(Together::messages).sum::<u64>(), 6);
    }

    #[test]
    fn findings_are_counted_by_the_kind_of_their_file() {
        let finding = |kind| Finding {
            kind,
            what: String::new(),
            messages: Vec::new(),
            served: Vec::new(),
        };
        let stats = ScrubStats::default();
        stats.add(&Step {
            bytes: 7,
            findings: vec![finding(Kind::Index), finding(Kind::Log), finding(Kind::Log)],
            is_last: true,
        });
        assert_eq!((stats.bytes(), stats.rounds()), (7, 1));
        assert_eq!(
            stats.findings(),
            [("log", 2), ("queue", 0), ("index", 1), ("checkpoint", 0)]
        );
    }
}
