//! Where groups stand, and where they are moved.

use crate::admin::status::Wrong;
use crate::engine::{QueueOffsets, QueueReset, ResetTo};
use sluice_core::ids::{QueueId, QueueOffset};
use sluice_proto::admin::{self, reset_offsets_request::Target};

/// Where a group stands in a queue.
pub fn stands(offsets: &QueueOffsets) -> admin::QueueOffsets {
    admin::QueueOffsets {
        topic: offsets.topic.spec.name.clone(),
        queue: offsets.queue.0,
        min_offset: offsets.min.0,
        max_offset: offsets.max.0,
        floor: offsets.floor.0,
        done_above: offsets.done_above,
        inflight: offsets.in_flight,
    }
}

/// What a reset does in a queue.
pub fn reset(reset: &QueueReset) -> admin::QueueReset {
    admin::QueueReset {
        queue: reset.queue.0,
        min_offset: reset.min.0,
        max_offset: reset.max.0,
        from: reset.moved.from.0,
        to: reset.moved.to.0,
        skipped: reset.moved.skipped,
        repeated: reset.moved.repeated,
        voided: reset.moved.voided,
    }
}

/// Where to.
pub fn target(target: Option<&Target>) -> Result<ResetTo, Wrong> {
    match target {
        Some(Target::Earliest(true)) => Ok(ResetTo::Earliest),
        Some(Target::Latest(true)) => Ok(ResetTo::Latest),
        Some(Target::Offset(offset)) => Ok(ResetTo::Offset(QueueOffset(*offset))),
        Some(Target::TimeMs(time)) => Ok(ResetTo::Time(*time)),
        Some(Target::SkipToNewest(count)) => Ok(ResetTo::Newest(*count)),
        None | Some(Target::Earliest(false) | Target::Latest(false)) => Err(Wrong::Request(
            "the reset says not where to: set earliest or latest to true, or give offset, time_ms or skip_to_newest"
                .to_owned(),
        )),
    }
}

/// Which queues, each once.
pub fn queues(mut queues: Vec<u32>) -> Vec<QueueId> {
    queues.sort_unstable();
    queues.dedup();
    queues.into_iter().map(QueueId).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_and_half_a_target_is_none() {
        for (given, read) in [
            (Target::Earliest(true), ResetTo::Earliest),
            (Target::Latest(true), ResetTo::Latest),
            (Target::Offset(7), ResetTo::Offset(QueueOffset(7))),
            (Target::TimeMs(0), ResetTo::Time(0)),
            (Target::SkipToNewest(0), ResetTo::Newest(0)),
        ] {
            assert_eq!(target(Some(&given)), Ok(read));
        }
        for given in [None, Some(Target::Earliest(false)), Some(Target::Latest(false))] {
            let refusal = target(given.as_ref()).unwrap_err().to_string();
            assert!(refusal.contains("skip_to_newest"), "{refusal}");
        }
    }

    #[test]
    fn a_queue_that_is_named_twice_is_meant_once() {
        assert_eq!(queues(vec![3, 1, 3]), [QueueId(1), QueueId(3)]);
    }
}
