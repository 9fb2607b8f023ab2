//! What is delivered and reaches nobody is handed back: at once, and without a count.

use super::*;
use std::collections::BTreeMap;

impl Fixture {
    /// What can be received until nothing comes for a while, with its attempt.
    async fn rest(&self, expected: usize) -> BTreeMap<String, u16> {
        let mut rest = BTreeMap::new();
        while rest.len() < expected {
            let got = self.take(self.ask(Duration::from_secs(20))).await;
            assert!(!got.is_empty(), "{} of {expected} came", rest.len());
            let attempts = got.iter().map(|message| message.attempt);
            rest.extend(bodies(&got).into_iter().zip(attempts));
        }
        rest
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receive_cancelled_at_any_moment_costs_its_message_no_attempt() {
    const ROUNDS: usize = 300;
    let at = Arc::new(fixture(false, 1).await);
    assert!(at.receive().await.is_empty(), "the first receive subscribes");
    let mut delivered = BTreeMap::new();
    for round in 0..ROUNDS {
        let call = tokio::spawn({
            let at = Arc::clone(&at);
            async move { at.take(at.ask(Duration::from_secs(20))).await }
        });
        at.send(&format!("{round}"), None).await;
        for _ in 0..round % 11 {
            tokio::task::yield_now().await;
        }
        call.abort();
        for message in call.await.unwrap_or_default() {
            delivered.insert(bodies(std::slice::from_ref(&message)).remove(0), message.attempt);
        }
    }
    let rest = at.rest(ROUNDS - delivered.len()).await;
    delivered.extend(rest);
    assert_eq!(delivered.len(), ROUNDS, "each message came to somebody");
    assert!(delivered.values().all(|attempt| *attempt == 1), "{delivered:?}");
    assert!(at.engine.tables().topic(&dead_letter_topic("g")).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_in_an_answer_is_handed_back_and_what_was_taken_out_is_not() {
    let at = fixture(false, 1).await;
    for body in ["one", "two", "three"] {
        at.send(body, None).await;
    }
    let mut answer = at.engine.receive(at.ask(Duration::ZERO)).await.unwrap();
    let first = answer.next().unwrap();
    let separate = answer.separate(|message| bodies(std::slice::from_ref(message)) == ["three"]);
    assert_eq!(
        (bodies(&answer), bodies(&separate)),
        (vec!["two".to_owned()], vec!["three".to_owned()])
    );
    drop(separate);
    assert_eq!(at.rest(1).await, BTreeMap::from([("three".to_owned(), 1)]));
    drop(answer);
    assert_eq!(at.rest(1).await, BTreeMap::from([("two".to_owned(), 1)]));
    assert!(at.settle(&first, Change::Done).await, "it is still held");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_repeats_a_delivery_that_may_have_been_seen_counts_when_it_is_handed_back() {
    let at = fixture(false, 17).await;
    at.send("one", None).await;
    let ask = Receive {
        attempt_id: 77,
        ..at.ask(Duration::ZERO)
    };
    assert_eq!(at.take(ask.clone()).await[0].attempt, 1);
    let again = at.engine.receive(ask).await.unwrap();
    assert_eq!(again[0].attempt, 1);
    drop(again);
    assert_eq!(at.rest(1).await, BTreeMap::from([("one".to_owned(), 2)]));
}
