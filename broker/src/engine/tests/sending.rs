//! Messages that are sent together, where the broker is too busy for all of them, or their topic goes meanwhile.

use super::files::{one_queue, open, outgoing};
use super::*;
use futures::future::join_all;
use sluice_core::command::Terms;
use sluice_core::ids::QueueOffset;

const CALLS: usize = 64;
const EACH: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_together_is_taken_in_order_or_not_at_all_by_a_busy_broker() {
    let bounds = |log: &mut LogOptions| log.inbox_commands = 3 * EACH;
    let engine = open(&FaultyIo::new(1), &Arc::new(Hand::new(1_000_000)), bounds);
    let topic = engine.create_topic(one_queue("t")).await.unwrap();
    let message = || engine.encode(&topic, QueueId(0), outgoing("x", Some("group")));
    let together = || (0..EACH).map(|_| message()).collect();
    let deadline = Instant::now() + Duration::from_secs(20);
    let (mut taken, mut busy) = (0, 0);
    while taken == 0 || busy == 0 {
        assert!(Instant::now() < deadline, "{taken} taken, {busy} refused");
        let calls = (0..CALLS).map(|_| engine.send_all(&topic, together()));
        for answers in join_all(calls).await {
            assert_eq!(answers.len(), EACH);
            match &answers[0] {
                Ok(first) => {
                    let in_order = (first.0..).map(|offset| Ok(QueueOffset(offset)));
                    assert!(answers.iter().cloned().eq(in_order.take(EACH)), "{answers:?}");
                    taken += 1;
                }
                Err(_) => {
                    assert_eq!(answers, vec![Err(EngineError::Busy); EACH]);
                    busy += 1;
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_sent_together_to_a_topic_that_was_deleted_is_told_its_name() {
    let at = fixture(false, 17).await;
    let topic = at.engine.topic("t").await.unwrap();
    at.engine
        .delete_topic("t", false, Terms::default())
        .await
        .unwrap();
    let message = || at.engine.encode(&topic, QueueId(0), outgoing("x", None));
    let answers = at.engine.send_all(&topic, vec![message(), message()]).await;
    assert_eq!(answers, vec![Err(EngineError::TopicDeleted("t".to_owned())); 2]);
}
