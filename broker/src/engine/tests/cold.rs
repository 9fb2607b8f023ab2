//! Entries that have left memory: found in files, and never read while the applier waits.

use super::receive::look::Look;
use super::*;
use sluice_core::ids::QueueOffset;
use sluice_core::plan::Room;

/// More than stays in memory of one queue once it is in files.
pub(super) const MESSAGES: u64 = 6000;

pub(super) async fn with_cold_entries() -> Fixture {
    let at = fixture(false, 17).await;
    assert!(at.receive().await.is_empty(), "the first receive subscribes");
    at.append_all((0..MESSAGES).map(|_| at.append(QueueId(0), "x", None)))
        .await;
    let queue = at.queue();
    at.engine
        .store()
        .queues()
        .flush_tails(&[(queue, QueueOffset(MESSAGES))])
        .unwrap();
    assert!(at.engine.store().queues().hot_from(queue) > QueueOffset(0));
    at
}

impl Fixture {
    fn queue(&self) -> TopicQueue {
        TopicQueue {
            topic: self.topic.id,
            queue: QueueId(0),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_in_memory_reads_no_file_and_reserves_nothing_where_it_would_have_to() {
    let at = with_cold_entries().await;
    let dispatcher = at.engine.dispatchers.find(at.group.id, at.topic.id).unwrap();
    let ask = Arc::new(at.ask(Duration::ZERO));
    let look = Look::new(&at.engine, &dispatcher, &ask, QueueId(0));
    let (room, now) = (Room::new(32, 1 << 16), at.engine.now());
    assert!(look.in_memory(room, now).is_err());
    let plan = look.in_files(room, now).unwrap();
    let offsets: Vec<u64> = plan.offers.iter().map(|offer| offer.take.offset.0).collect();
    assert_eq!(offsets, (0..32).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_whose_entries_are_in_files_are_received_in_order_up_to_those_in_memory() {
    let at = with_cold_entries().await;
    let mut next = 0;
    while next < MESSAGES {
        for message in at.receive().await {
            assert_eq!(message.offset.0, next);
            next += 1;
        }
    }
}
