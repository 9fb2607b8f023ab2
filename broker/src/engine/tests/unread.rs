//! What is delivered and not read yet is bounded: by receive, and over all of a client's and of all clients' together.

use super::*;

const BODY: usize = 1 << 20;
const MESSAGES: usize = 12;

/// A queue of large messages, of which a client may leave 8 MiB unread.
async fn large() -> Fixture {
    let setup = Setup {
        segment_bytes: 64 << 20,
        ..Setup::default()
    };
    let at = setup.make().await;
    let body = "x".repeat(BODY);
    for _ in 0..MESSAGES {
        at.send(&body, None).await;
    }
    at
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receive_brings_four_mebibytes_and_its_last_message_and_the_next_one_goes_on() {
    let at = large().await;
    let mut offsets = Vec::new();
    for expected in [4, 4, 4, 0] {
        let received = at.receive().await;
        assert_eq!(received.len(), expected);
        offsets.extend(received.iter().map(|message| message.offset.0));
    }
    assert_eq!(offsets, (0..MESSAGES as u64).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_messages_unread_gets_no_more_and_takes_none_from_others() {
    let at = large().await;
    let unread = [(); 2].map(|()| at.engine.receive(at.ask(Duration::ZERO)));
    let [first, second] = unread;
    let (first, second) = (first.await.unwrap(), second.await);
    // Half of 16 MiB is one client's, and two receives are a little more.
    assert_eq!(second.err(), Some(EngineError::OwnUnread(8 << 20)));
    assert_eq!(at.engine.unread().refused(), 1);

    let other = Receive {
        client: Arc::from("other"),
        ..at.ask(Duration::ZERO)
    };
    let offsets: Vec<_> = at
        .take(other)
        .await
        .iter()
        .map(|message| message.offset.0)
        .collect();
    assert_eq!(offsets, [4, 5, 6, 7], "what was refused is there for others");

    drop(first);
    assert_eq!(at.engine.unread().bytes().0, 0);
    assert_eq!(at.take(at.ask(Duration::from_secs(20))).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_counts_for_as_long_as_its_messages_are_not_read() {
    let at = large().await;
    let pull = || Pull {
        topic: Arc::clone(&at.topic),
        queue: QueueId(0),
        offset: 0,
        client: Arc::from("client"),
        filter: Arc::default(),
        max: 32,
        deadline: Instant::now(),
    };
    let unread = at.engine.pull(pull()).await.unwrap();
    assert_eq!(unread.messages.len(), 3, "the fourth would be beyond 4 MiB");
    let kept = [at.engine.pull(pull()).await.unwrap(), unread];
    assert_eq!(
        at.engine.pull(pull()).await.err(),
        Some(EngineError::OwnUnread(8 << 20))
    );
    drop(kept);
    assert_eq!(at.engine.unread().bytes().0, 0);
}
