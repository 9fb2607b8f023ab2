//! Who holds what, and since when.

use super::*;
use crate::engine::held::{Held, Pile};

impl Fixture {
    fn ask_as(&self, client: &str, auto_renew: bool, max: usize) -> Receive {
        Receive {
            client: Arc::from(client),
            auto_renew,
            max,
            ..self.ask(Duration::ZERO)
        }
    }

    fn held(&self) -> Vec<Held> {
        self.engine.held(Some(self.group.id), |_| true)
    }
}

fn counts(pile: Option<Pile>) -> u64 {
    pile.map_or(0, |pile| pile.messages)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_client_holds_what_it_was_given_until_it_settles_it_or_its_time_is_over() {
    let at = fixture(false, 17).await;
    for n in 0..10 {
        at.send(&format!("{n}"), None).await;
    }
    let pushed = at.take(at.ask_as("push", true, 4)).await;
    let fetched = at.take(at.ask_as("fetch", false, 3)).await;
    let held = |at: &Fixture| -> Vec<(String, u64, u64)> {
        let one = |held: &Held| (held.client.to_string(), counts(held.renewed), counts(held.hidden));
        at.held().iter().map(one).collect()
    };
    assert_eq!(held(&at), [("fetch".into(), 0, 3), ("push".into(), 4, 0)]);
    assert_eq!(at.engine.held(None, |client| client == "push").len(), 1);
    assert!(at.settle(&pushed[0], Change::Done).await);
    assert!(at.settle(&pushed[1], Change::VisibleIn(90_000)).await);
    assert!(at.settle(&fetched[0], Change::VisibleIn(90_000)).await);
    assert_eq!(held(&at), [("fetch".into(), 0, 3), ("push".into(), 2, 1)]);
    at.pass(60_000);
    assert_eq!(
        held(&at),
        [("fetch".into(), 0, 1), ("push".into(), 0, 1)],
        "the others are visible again"
    );
    at.pass(30_000);
    assert_eq!(held(&at), []);
    let other = CreateGroup::on_first_use("other");
    let other = at.engine.create_group(other).await.unwrap();
    assert_eq!(at.engine.held(Some(other.id), |_| true), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_has_its_time_whether_the_log_is_in_memory_or_not() {
    for ring_bytes in [32 << 20, 0] {
        let setup = Setup {
            ring_bytes,
            ..Setup::default()
        };
        let at = setup.make().await;
        for n in 0..3 {
            at.send(&format!("{n}"), None).await;
        }
        let mut expected = Vec::new();
        for _ in 0..3 {
            at.pass(1000);
            let message = at.take(at.ask_as("c", true, 1)).await.remove(0);
            expected.push((message.delivery, at.engine.now()));
        }
        at.pass(1000);
        at.send("the last frame leaves memory with the next one", None)
            .await;
        for (delivery, time) in &expected {
            assert_eq!(at.engine.delivered_at(*delivery), Some(*time));
        }
        let oldest = at.held()[0].renewed.unwrap().oldest;
        assert_eq!(oldest, expected[0].0);
        let never = sluice_core::ids::DeliveryId(u64::MAX);
        assert_eq!(at.engine.delivered_at(never), None);
    }
}
