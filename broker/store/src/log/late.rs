//! Messages that have waited too long before the log. When more comes than the disk takes, the queue grows to its bounds
//! in bytes, and on a slow disk that is a wait of many seconds, after which the sender has long given up. So a message has
//! a bound in time as well: what is older is refused, surely not written, and the sender learns it while it still waits. What
//! the next group takes anyway is written whatever its age, so that one slow sync refuses nothing that is not too much: what is
//! written has waited no longer than the bound and one sync.
//! Everything else in the queue (deliveries, acknowledgements) ends work that was begun, and is never refused for its age.

use super::inbox::Load;
use super::op::Op;
use super::options::GROUP_BYTES;
use super::shared::Shared;
use sluice_core::log::NotProposed;
use std::collections::VecDeque;
use std::time::Instant;

/// Refuses the messages of `backlog` that have waited longer than they may, and that the next group does not take.
pub(super) fn refuse(shared: &Shared, backlog: &mut VecDeque<Op>) {
    let Some(max) = shared.inbox_wait else { return };
    let Some(oldest) = Instant::now().checked_sub(max) else {
        return;
    };
    for op in take(backlog, oldest, GROUP_BYTES) {
        if let Op::Propose {
            batch, bytes, done, ..
        } = op
        {
            let load = Load {
                bytes,
                commands: batch.len(),
            };
            shared.inbox.give_back(load, done, NotProposed::Late { max });
        }
    }
}

/// Takes out of `backlog`, which is in the order of time, the proposals with messages from before `oldest`, but for those within
/// the first `spared` bytes. Looks at no more than those that are so old and one.
fn take(backlog: &mut VecDeque<Op>, oldest: Instant, spared: usize) -> Vec<Op> {
    let (mut old, mut bytes, mut first) = (0, 0, 0);
    for op in backlog.iter() {
        match op {
            Op::Propose {
                since, bytes: more, ..
            } if *since < oldest => {
                old += 1;
                bytes += more;
                // The first one is taken whatever its size.
                if bytes <= spared || old == 1 {
                    first = old;
                }
            }
            _ => break,
        }
    }
    if old == first {
        return Vec::new();
    }
    let has_message = |op: &Op| match op {
        Op::Propose { batch, .. } => batch.iter().any(|command| command.is_append()),
        Op::Append { .. } | Op::Control { .. } => false,
    };
    let (late, kept): (Vec<_>, Vec<_>) = backlog.drain(first..old).partition(has_message);
    let behind = backlog.split_off(first);
    backlog.extend(kept);
    backlog.extend(behind);
    late
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use sluice_core::command::{EncodedCommand, NewMessage, encode_level};
    use sluice_core::ids::TopicId;
    use sluice_core::record::NewRecord;
    use std::time::Duration;

    fn message() -> EncodedCommand {
        let host = std::net::SocketAddr::from(([127, 0, 0, 1], 8081));
        let record = NewRecord {
            topic: "t",
            queue: 0,
            body: b"body",
            properties: &[],
            born_ms: 0,
            born_host: host,
            store_ms: 0,
            store_host: host,
        };
        NewMessage {
            topic: TopicId(1),
            tag: None,
            message_group: None,
            record,
        }
        .encode()
    }

    /// Each of these takes so much of what is spared.
    const BYTES: usize = 100;

    fn propose(since: Instant, commands: impl IntoIterator<Item = EncodedCommand>) -> Op {
        Op::Propose {
            batch: commands.into_iter().collect(),
            bytes: BYTES,
            since,
            done: Box::new(drop),
        }
    }

    /// How many commands each of the proposals has: that tells them apart.
    fn sizes<'a>(ops: impl IntoIterator<Item = &'a Op>) -> Vec<usize> {
        let size = |op: &Op| match op {
            Op::Propose { batch, .. } => batch.len(),
            _ => 0,
        };
        ops.into_iter().map(size).collect()
    }

    #[test]
    fn old_messages_are_taken_out_and_what_is_no_message_or_young_keeps_its_order() {
        let level = || encode_level(1, 1);
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut backlog = VecDeque::from([
            propose(at(0), (0..9).map(|_| message())),
            propose(at(0), [message()]),
            propose(at(1), [level(), level()]),
            propose(at(2), [level(), message(), level()]),
            propose(at(3), (0..4).map(|_| level())),
            propose(at(10), (0..5).map(|_| message())),
        ]);
        assert_eq!(sizes(&take(&mut backlog, at(0), 0)), []);
        assert_eq!(sizes(&take(&mut backlog, at(10), 0)), [1, 3]);
        assert_eq!(sizes(&backlog), [9, 2, 4, 5]);
        assert_eq!(sizes(&take(&mut backlog, at(11), 0)), [5]);
        assert_eq!(sizes(&backlog), [9, 2, 4]);
    }

    #[test]
    fn what_the_next_group_takes_is_not_refused_however_old_it_is() {
        let start = Instant::now();
        for (spared, left) in [
            (0, vec![1]),
            (BYTES, vec![1]),
            (2 * BYTES, vec![1, 2]),
            (4 * BYTES - 1, vec![1, 2, 3]),
            (4 * BYTES, vec![1, 2, 3, 4]),
        ] {
            let mut backlog: VecDeque<_> = (1..=4)
                .map(|count| propose(start, (0..count).map(|_| message())))
                .collect();
            let late = take(&mut backlog, start + Duration::from_secs(1), spared);
            assert_eq!(sizes(&backlog), left, "{spared}");
            assert_eq!(late.len(), 4 - left.len(), "{spared}");
        }
    }

    #[test]
    fn nothing_of_raft_is_taken_out_and_nothing_behind_it() {
        let entry = super::super::op::Entry {
            term: sluice_core::ids::Term(1),
            index: sluice_core::ids::LogIndex(1),
            kind: super::super::frame::FrameKind::Commands,
            commands: vec![Bytes::copy_from_slice(message().as_bytes())],
        };
        let start = Instant::now();
        let mut backlog = VecDeque::from([
            Op::Append {
                entry: std::sync::Arc::new(entry),
                done: None,
            },
            propose(start, [message()]),
        ]);
        assert_eq!(take(&mut backlog, start + Duration::from_secs(1), 0).len(), 0);
        assert_eq!(backlog.len(), 2);
    }
}
