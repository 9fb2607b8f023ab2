//! Waiting polls are woken for what they can take, when they can take it, and for little else.

use super::*;
use tokio::task::JoinSet;

impl Fixture {
    /// Starts `polls` long polls, and comes back when all of them wait.
    pub(super) async fn park(self: &Arc<Self>, polls: usize, wait: Duration) -> JoinSet<Vec<Received>> {
        let mut waiting = JoinSet::new();
        for already in 0..polls {
            self.park_one(&mut waiting, self.ask(wait), already).await;
        }
        waiting
    }

    /// Starts one behind those that wait `already`.
    pub(super) async fn park_one(
        self: &Arc<Self>,
        polls: &mut JoinSet<Vec<Received>>,
        ask: Receive,
        already: usize,
    ) {
        let at = Arc::clone(self);
        polls.spawn(async move { at.take(ask).await });
        loop {
            let dispatcher = self.engine.dispatchers.find(self.group.id, self.topic.id);
            if dispatcher.is_some_and(|dispatcher| dispatcher.waiters.len() == already + 1) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn receive_hidden(&self, invisible_ms: u64) -> Vec<Received> {
        let ask = Receive {
            max: 1,
            invisible_ms,
            ..self.ask(Duration::ZERO)
        };
        self.take(ask).await
    }
}

const LONG: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_that_becomes_visible_wakes_a_poll() {
    for messages in [2, 3, 5] {
        let at = Arc::new(fixture(false, 17).await);
        for number in 1..=messages {
            at.send(&format!("{number}"), None).await;
            assert_eq!(at.receive_hidden(100 * number).await.len(), 1);
        }
        let mut polls = at.park(messages as usize, LONG).await;
        for number in 1..=messages {
            at.pass(100);
            let got = polls.join_next().await.unwrap().unwrap();
            assert_eq!(bodies(&got), [format!("{number}")], "of {messages}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_become_visible_together_wake_as_many_polls_as_carry_them() {
    let at = Arc::new(fixture(false, 17).await);
    for number in 0..64 {
        at.send(&format!("{number}"), None).await;
    }
    for _ in 0..2 {
        assert_eq!(at.receive().await.len(), 32);
    }
    let mut polls = at.park(2, LONG).await;
    at.engine.release_client("client", 50).await.unwrap();
    at.pass(50);
    for _ in 0..2 {
        assert_eq!(polls.join_next().await.unwrap().unwrap().len(), 32);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_hidden_for_longer_or_taken_by_another_poll_leaves_the_alarm_of_the_others() {
    let at = Arc::new(fixture(false, 17).await);
    for body in ["sooner", "later"] {
        at.send(body, None).await;
    }
    let sooner = at.receive_hidden(100).await;
    assert_eq!(at.receive_hidden(200).await.len(), 1);
    let mut polls = at.park(1, LONG).await;
    assert!(at.settle(&sooner[0], Change::VisibleIn(1000)).await);
    at.pass(200);
    assert_eq!(bodies(&polls.join_next().await.unwrap().unwrap()), ["later"]);
    let mut polls = at.park(1, LONG).await;
    at.pass(800);
    assert_eq!(bodies(&polls.join_next().await.unwrap().unwrap()), ["sooner"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visible_message_whose_message_group_is_locked_wakes_nobody_until_it_may_go() {
    let at = Arc::new(fixture(true, 17).await);
    for body in ["first", "second"] {
        at.send(body, Some("a")).await;
    }
    let held = at.receive().await;
    assert_eq!(bodies(&held), ["first", "second"]);
    assert!(at.settle(&held[1], Change::VisibleIn(0)).await);
    let before = at.engine.poll_wakeups();
    let mut polls = at.park(1, Duration::from_secs(2)).await;
    assert!(polls.join_next().await.unwrap().unwrap().is_empty());
    let wakeups = at.engine.poll_wakeups() - before;
    assert!(wakeups <= 1, "{wakeups} wake-ups for nothing");

    let mut polls = at.park(1, LONG).await;
    assert!(at.settle(&held[0], Change::Done).await);
    assert_eq!(bodies(&polls.join_next().await.unwrap().unwrap()), ["second"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_lock_by_time_wakes_a_poll_for_all_that_waited_for_it() {
    let at = Arc::new(fixture(true, 17).await);
    for body in ["first", "second"] {
        at.send(body, Some("a")).await;
    }
    let held = at.receive().await;
    assert!(at.settle(&held[1], Change::VisibleIn(0)).await);
    let mut polls = at.park(1, LONG).await;
    assert!(at.settle(&held[0], Change::VisibleIn(50)).await);
    at.pass(50);
    let got = polls.join_next().await.unwrap().unwrap();
    assert_eq!(bodies(&got), ["first", "second"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_burial_of_a_message_wakes_a_poll_for_what_waited_behind_it() {
    let at = Arc::new(fixture(true, 2).await);
    for round in 0..50 {
        for (body, message_group) in [("a1", "a"), ("a2", "a"), ("b1", "b")] {
            at.send(body, Some(message_group)).await;
        }
        let first = at.receive_hidden(100).await;
        assert!(at.settle(&first[0], Change::VisibleIn(0)).await);
        let ask = Receive {
            invisible_ms: 100,
            ..at.ask(Duration::ZERO)
        };
        let held = at.take(ask).await;
        assert_eq!(bodies(&held), ["a1", "a2", "b1"]);
        assert!(at.settle(&held[1], Change::VisibleIn(0)).await);
        let mut polls = at.park(2, LONG).await;
        // One poll buries a1 and takes b1; the other may look at a2 before the first has put a1 away.
        at.pass(100);
        let mut got = Vec::new();
        while let Some(more) = polls.join_next().await {
            got.extend(more.unwrap());
        }
        let mut names = bodies(&got);
        names.sort();
        assert_eq!(names, ["a2", "b1"], "round {round}");
        for message in &got {
            assert!(at.settle(message, Change::Done).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_is_over_before_its_receive_has_heard_of_it_wakes_the_next_poll() {
    let at = Arc::new(fixture(false, 17).await);
    for round in 0..50 {
        let mut polls = JoinSet::new();
        for already in 0..2 {
            let over_at_once = Receive {
                invisible_ms: 0,
                ..at.ask(LONG)
            };
            at.park_one(&mut polls, over_at_once, already).await;
        }
        at.send("one", None).await;
        let mut attempts = Vec::new();
        while let Some(got) = polls.join_next().await {
            attempts.extend(got.unwrap().iter().map(|message| message.attempt));
        }
        attempts.sort_unstable();
        assert_eq!(attempts, [1, 2], "round {round}");
        assert!(at.settle(&at.receive().await[0], Change::Done).await);
    }
}
