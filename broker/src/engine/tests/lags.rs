//! What a group has not done, as metrics and the admin API tell it.

use super::*;
use crate::engine::lag::{self, Ages, Lag};

impl Fixture {
    fn lag(&self, ages: &mut Ages) -> Lag {
        let tables = self.engine.tables();
        let subscription = tables.subscription(self.group.id, self.topic.id).unwrap();
        let (queues, now) = (self.engine.store().queues(), self.engine.now());
        let lags = lag::by_queue(queues, &self.topic, &subscription, now, ages);
        lags.into_iter().fold(Lag::default(), Lag::and)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lag_tells_ready_and_held_messages_apart_and_how_old_the_oldest_of_them_are() {
    let at = fixture(false, 17).await;
    assert!(at.receive().await.is_empty(), "the first receive subscribes");
    let mut ages = Ages::default();
    assert_eq!(at.lag(&mut ages), Lag::default());
    let sent = at.engine.now();
    at.send("one", None).await;
    let got = at.receive().await;
    at.pass(1000);
    at.send("two", None).await;
    at.pass(500);
    let lag = at.lag(&mut ages);
    let (since, ready_since) = (Some(sent), Some(sent + 1000));
    let expected = Lag {
        ready: 1,
        in_flight: 1,
        since,
        ready_since,
    };
    assert_eq!(lag, expected);
    let now = at.engine.now();
    assert_eq!(
        (lag.messages(), lag.age_ms(now), lag.ready_age_ms(now)),
        (2, 1500, 500)
    );
    assert!(at.settle(&got[0], Change::Done).await);
    let lag = at.lag(&mut ages);
    assert_eq!(
        (lag.messages(), lag.since, lag.ready_since),
        (1, ready_since, ready_since),
        "what is remembered is known to be of another message"
    );
}
