//! A message's way from sending to its end, and what clients see of it.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_sent_is_received_once_and_gone_after_its_acknowledgement() {
    let at = fixture(false, 17).await;
    at.send("one", None).await;
    let got = at.receive().await;
    assert_eq!((bodies(&got), got[0].attempt), (vec!["one".to_owned()], 1));
    assert!(at.receive().await.is_empty(), "it is held");
    assert!(at.settle(&got[0], Change::Done).await);
    assert!(
        !at.settle(&got[0], Change::Done).await,
        "a second acknowledgement is refused"
    );
    at.pass(10_000_000);
    assert!(at.receive().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_polls_and_one_message_make_one_delivery_and_at_most_two_wake_ups() {
    let at = Arc::new(fixture(false, 17).await);
    let polls: Vec<_> = (0..1000)
        .map(|_| {
            let at = Arc::clone(&at);
            tokio::spawn(async move { at.take(at.ask(Duration::from_secs(10))).await })
        })
        .collect();
    while at.engine.polls() < 1000 {
        tokio::task::yield_now().await;
    }
    at.send("one", None).await;
    let mut delivered = 0;
    for poll in polls {
        delivered += poll.await.unwrap().len();
    }
    assert_eq!(delivered, 1);
    assert!(
        at.engine.poll_wakeups() <= 2,
        "{} wake-ups",
        at.engine.poll_wakeups()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_poll_gets_what_is_sent_and_what_becomes_visible() {
    let at = Arc::new(fixture(false, 17).await);
    let wait = |at: &Arc<Fixture>| {
        let at = Arc::clone(at);
        tokio::spawn(async move { at.take(at.ask(Duration::from_secs(20))).await })
    };
    let poll = wait(&at);
    at.send("one", None).await;
    let got = poll.await.unwrap();
    assert_eq!(bodies(&got), ["one"]);
    let poll = wait(&at);
    assert!(at.settle(&got[0], Change::VisibleIn(0)).await);
    let again = poll.await.unwrap();
    assert_eq!((bodies(&again), again[0].attempt), (vec!["one".to_owned()], 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_caller_that_has_gone_was_given_is_visible_again() {
    let at = Arc::new(fixture(false, 17).await);
    assert!(at.receive().await.is_empty(), "the first receive subscribes");
    for round in 0..200 {
        at.send(&format!("{round}"), None).await;
        let call = tokio::spawn({
            let at = Arc::clone(&at);
            async move { at.receive().await.len() }
        });
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        call.abort();
        let _ = call.await;
    }
    // Whatever the moment of each abort: every message is either given now or was given to a call that ended whole.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let shard = at
            .engine
            .tables()
            .subscription(at.group.id, at.topic.id)
            .unwrap()
            .shards[0]
            .clone();
        let held = shard.read(|shard| shard.lag(at.topic.tail(QueueId(0)).unwrap(), at.engine.now()));
        let got = at.receive().await.len() as u64;
        if held.ready == got || Instant::now() > deadline {
            assert_eq!(held.ready, got, "nothing stays reserved by a call that has gone");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_groups_of_a_fifo_group_wait_for_their_own_messages_only() {
    let at = fixture(true, 17).await;
    for (body, message_group) in [("a1", "a"), ("b1", "b"), ("a2", "a")] {
        at.send(body, Some(message_group)).await;
    }
    let mut one = at.ask(Duration::ZERO);
    one.max = 1;
    let first = at.take(one).await;
    assert_eq!(bodies(&first), ["a1"]);
    let others = at.receive().await;
    assert_eq!(bodies(&others), ["b1"], "a2 waits for a1");
    assert!(at.settle(&first[0], Change::Done).await);
    assert_eq!(bodies(&at.receive().await), ["a2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_out_of_attempts_stands_in_the_dead_letter_topic() {
    let at = fixture(false, 2).await;
    at.send("poison", None).await;
    for attempt in 1..=2 {
        let got = at.receive().await;
        assert_eq!(got[0].attempt, attempt);
        assert!(at.settle(&got[0], Change::VisibleIn(0)).await);
        at.pass(1);
    }
    assert!(at.receive().await.is_empty());
    let dead = at.engine.tables().topic(&dead_letter_topic("g")).unwrap();
    let mut ask = at.ask(Duration::ZERO);
    ask.topic = dead;
    assert_eq!(bodies(&at.take(ask).await), ["poison"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_given_again_uncounted_to_the_same_attempt_id() {
    let at = fixture(false, 17).await;
    at.send("one", None).await;
    let mut ask = at.ask(Duration::ZERO);
    ask.attempt_id = 77;
    let first = at.take(ask.clone()).await;
    let again = at.take(ask).await;
    assert_eq!((bodies(&again), again[0].attempt), (bodies(&first), 1));
    assert!(
        !at.settle(&first[0], Change::Done).await,
        "the first handle is followed by a newer one"
    );
    assert!(at.settle(&again[0], Change::Done).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_id_that_two_clients_use_takes_nothing_from_either() {
    let at = fixture(false, 17).await;
    at.send("one", None).await;
    let mut ask = at.ask(Duration::ZERO);
    ask.attempt_id = 77;
    let first = at.take(ask.clone()).await;
    ask.client = Arc::from("another");
    assert!(at.take(ask.clone()).await.is_empty());
    at.send("two", None).await;
    assert_eq!(bodies(&at.take(ask).await), ["two"]);
    assert!(at.settle(&first[0], Change::Done).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_gone_gives_back_what_the_broker_renewed_for_it() {
    let at = fixture(false, 17).await;
    at.send("one", None).await;
    assert_eq!(at.receive().await.len(), 1);
    assert_eq!(at.engine.holders().len(), 1);
    assert_eq!(at.engine.release_client("client", 1_000).await.unwrap(), 1);
    assert!(at.receive().await.is_empty(), "not at once");
    at.pass(1_000);
    assert_eq!(at.receive().await[0].attempt, 2);
}
