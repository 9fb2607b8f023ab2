//! Polls follow topics and groups that change under them, and end where those are deleted.

use super::administering::{group_put, topic_put};
use super::*;
use sluice_core::command::{PutGroup, Terms};
use tokio::task::JoinSet;

const LONG: Duration = Duration::from_secs(30);

impl Fixture {
    /// Starts a poll whose end is looked at whatever it is, and comes back when it waits.
    async fn park_any(self: &Arc<Self>) -> JoinSet<Result<Vec<Received>, EngineError>> {
        let (at, mut polls) = (Arc::clone(self), JoinSet::new());
        let ask = self.ask(LONG);
        polls.spawn(async move { at.engine.receive(ask).await.map(Iterator::collect) });
        loop {
            let dispatcher = self.engine.dispatchers.find(self.group.id, self.topic.id);
            if dispatcher.is_some_and(|dispatcher| dispatcher.waiters.len() == 1) {
                return polls;
            }
            tokio::task::yield_now().await;
        }
    }

    fn group_changed(&self, change: impl FnOnce(&mut PutGroup)) -> PutGroup {
        let mut put = group_put("g");
        put.spec = self.group.spec.clone();
        change(&mut put);
        put
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_that_waits_hears_of_messages_in_new_queues() {
    let at = Arc::new(fixture(false, 17).await);
    let mut polls = at.park(2, LONG).await;
    at.engine.put_topic(topic_put("t", 3)).await.unwrap();
    at.append_all([at.append(QueueId(2), "new", None)].into_iter())
        .await;
    let got = polls.join_next().await.unwrap().unwrap();
    assert_eq!(got[0].id.at.queue, QueueId(2));
    at.send("old", None).await;
    let got = polls.join_next().await.unwrap().unwrap();
    assert_eq!(bodies(&got), ["old"]);
    assert_eq!(at.engine.dispatchers.len(), 1, "the old one is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_in_flight_stays_so_when_the_topic_grows() {
    let at = Arc::new(fixture(false, 17).await);
    at.send("held", None).await;
    let held = at.receive().await;
    at.engine.put_topic(topic_put("t", 2)).await.unwrap();
    assert!(at.receive().await.is_empty());
    assert!(at.settle(&held[0], Change::Done).await);
}

#[tokio::test]
async fn a_group_with_fewer_attempts_sends_messages_to_its_dead_letters_at_once() {
    let at = fixture(false, 17).await;
    at.send("m", None).await;
    let got = at.receive().await;
    assert!(at.settle(&got[0], Change::VisibleIn(0)).await);
    let put = at.group_changed(|put| put.spec.max_attempts = 1);
    at.engine.put_group(put).await.unwrap();
    assert!(at.receive().await.is_empty());
    let dead = at.engine.tables().topic(&dead_letter_topic("g")).unwrap();
    assert_eq!(dead.messages(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_becomes_fifo_and_back_under_polls_that_wait() {
    let at = Arc::new(fixture(false, 17).await);
    let one_at_a_time = || Receive {
        max: 1,
        ..at.ask(LONG)
    };
    for fifo in [true, false] {
        let mut polls = JoinSet::new();
        for already in 0..2 {
            at.park_one(&mut polls, one_at_a_time(), already).await;
        }
        let put = at.group_changed(|put| put.spec.fifo = fifo);
        at.engine.put_group(put).await.unwrap();
        for body in ["first", "second"] {
            at.send(body, Some("one")).await;
        }
        let one = polls.join_next().await.unwrap().unwrap();
        if fifo {
            assert_eq!(bodies(&one), ["first"]);
            assert!(at.receive().await.is_empty(), "its message group is locked");
        }
        let settled = at.settle(&one[0], Change::Done);
        // Without order both polls have one, whoever is done.
        let other = if fifo {
            assert!(settled.await);
            polls.join_next().await.unwrap().unwrap()
        } else {
            let other = polls.join_next().await.unwrap().unwrap();
            assert!(settled.await);
            other
        };
        assert_ne!(bodies(&one), bodies(&other), "fifo {fifo}");
        assert!(at.settle(&other[0], Change::Done).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_of_a_deleted_topic_or_group_end_and_say_so() {
    let terms = Terms::default();
    let at = Arc::new(fixture(false, 17).await);
    let mut polls = at.park_any().await;
    at.engine.delete_topic("t", false, terms).await.unwrap();
    let ended = polls.join_next().await.unwrap().unwrap();
    assert_eq!(ended.unwrap_err(), EngineError::TopicDeleted("t".to_owned()));
    let late = at.engine.receive(at.ask(Duration::ZERO)).await;
    assert_eq!(late.err(), Some(EngineError::TopicDeleted("t".to_owned())));
    assert_eq!(at.engine.dispatchers.len(), 0);

    let at = Arc::new(fixture(false, 17).await);
    let mut polls = at.park_any().await;
    at.engine.delete_group("g", false, terms).await.unwrap();
    let ended = polls.join_next().await.unwrap().unwrap();
    assert_eq!(ended.unwrap_err(), EngineError::GroupDeleted("g".to_owned()));
    assert_eq!(at.engine.dispatchers.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_anew_begins_anew() {
    let at = Arc::new(fixture(false, 17).await);
    at.send("old", None).await;
    let held = at.receive().await;
    at.engine
        .delete_topic("t", false, Terms::default())
        .await
        .unwrap();
    assert!(at.engine.settle(held[0].id, Change::Done, vec![]).await.is_err());
    let topic = at.engine.put_topic(topic_put("t", 1)).await.unwrap().topic;
    assert_ne!(topic.id, at.topic.id);
    let ask = || Receive {
        topic: Arc::clone(&topic),
        ..at.ask(Duration::ZERO)
    };
    assert!(at.take(ask()).await.is_empty());
    let message = files::outgoing("new", None);
    let offset = at.engine.send(&topic, QueueId(0), message).await.unwrap();
    assert_eq!(offset.0, 0);
    assert_eq!(bodies(&at.take(ask()).await), ["new"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_message_is_lost_to_polls_while_everything_changes_under_them() {
    const MESSAGES: usize = 300;
    for fifo in [false, true] {
        let at = Arc::new(fixture(fifo, 17).await);
        let mut consumers = JoinSet::new();
        let got = Arc::new(parking_lot::Mutex::new(Vec::new()));
        for _ in 0..4 {
            let (at, got) = (Arc::clone(&at), Arc::clone(&got));
            consumers.spawn(async move {
                while got.lock().len() < MESSAGES {
                    let ask = Receive {
                        max: 3,
                        ..at.ask(Duration::from_millis(200))
                    };
                    for message in at.take(ask).await {
                        // First: once it is settled, another consumer may have the next of its group.
                        got.lock().push(bodies(std::slice::from_ref(&message))[0].clone());
                        assert!(at.settle(&message, Change::Done).await);
                    }
                }
            });
        }
        for number in 0..MESSAGES {
            at.send(&format!("{number}"), Some(&format!("{}", number % 5)))
                .await;
            match number % 30 {
                0 => {
                    let queues = 1 + number as u32 / 30;
                    at.engine.put_topic(topic_put("t", queues)).await.unwrap();
                }
                15 => {
                    let attempts = 10 + (number / 30) as u16;
                    let put = at.group_changed(|put| put.spec.max_attempts = attempts);
                    at.engine.put_group(put).await.unwrap();
                }
                _ => {}
            }
        }
        while let Some(ended) = consumers.join_next().await {
            ended.unwrap();
        }
        let mut got: Vec<usize> = got.lock().iter().map(|body| body.parse().unwrap()).collect();
        if fifo {
            for group in 0..5 {
                let of_group: Vec<usize> = got.iter().copied().filter(|n| n % 5 == group).collect();
                assert!(of_group.is_sorted(), "message group {group}: {of_group:?}");
            }
        }
        got.sort_unstable();
        assert_eq!(got, (0..MESSAGES).collect::<Vec<_>>(), "fifo {fifo}");
        assert_eq!(at.engine.dispatchers.len(), 1);
    }
}
