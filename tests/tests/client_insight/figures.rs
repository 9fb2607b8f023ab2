//! What clients have done, and what they hold.

use std::time::Duration;

use sluice_proto::admin::{ClientRole, Held};
use sluice_proto::v2;
use sluice_tests::client::{Receive, Session, code, producer_settings, simple_consumer_settings};
use sluice_tests::wait;

use crate::stage::{SOON, Stage, push};

fn messages(held: &[Held]) -> u64 {
    held.iter().map(|held| held.messages).sum()
}

#[tokio::test]
async fn a_consumers_figures_add_up() {
    let stage = Stage::new();
    let (consumer, _session) = stage.push_consumer("workers").await;
    stage.send(&consumer, 10).await;
    let held = push(&consumer, "workers", 10).await;
    consumer.ack_ok("workers", "orders", &held[..6]).await.unwrap();
    let again = consumer.ack("workers", "orders", &held[..1]).await.unwrap();
    assert_ne!(code(again.status.as_ref()), Some(v2::Code::Ok), "it counts once");
    for message in &held[6..8] {
        let later = Duration::from_secs(60);
        let changed = consumer
            .change_invisible("workers", "orders", message, later)
            .await;
        assert_eq!(code(changed.unwrap().status.as_ref()), Some(v2::Code::Ok));
    }
    let given_up = consumer
        .forward_to_dead_letters("workers", "orders", &held[8])
        .await;
    assert_eq!(code(given_up.unwrap().status.as_ref()), Some(v2::Code::Ok));

    let shown = stage.describe(consumer.id()).await;
    let figures = shown.figures.unwrap();
    let counts = (
        figures.delivered,
        figures.acknowledged,
        figures.refused,
        figures.sent,
    );
    assert_eq!(counts, (10, 6, 3, 10));
    assert_eq!(
        (figures.inflight, messages(&shown.held)),
        (1, 1),
        "what is given back is not its own"
    );
    let rates = [
        figures.delivered_per_second,
        figures.acknowledged_per_second,
        figures.sent_per_second,
    ];
    assert!(rates.iter().all(|rate| *rate > 0.0), "{rates:?}");
    let (mean, max) = (
        figures.handling_ms_mean.unwrap(),
        figures.handling_ms_max.unwrap(),
    );
    assert!(0.0 <= mean && mean <= max && max < 60_000.0, "{mean} {max}");
    assert_eq!(shown.role, i32::from(ClientRole::Consumer));
    assert_eq!((shown.group.as_str(), shown.connected), ("workers", true));
    assert_eq!(
        (shown.language.as_str(), shown.version.as_str()),
        ("RUST", "5.0.0")
    );
    let address: std::net::SocketAddr = shown.address.parse().unwrap();
    assert!(address.ip().is_loopback() && address.port() > 0);
    let subscription = &shown.subscriptions[0];
    assert_eq!(
        (subscription.topic.as_str(), subscription.expression.as_str()),
        ("orders", "*")
    );
    assert_eq!(shown.held[0].topic, "orders");
}

#[tokio::test]
async fn a_producer_says_where_it_sends_to_and_is_counted() {
    let stage = Stage::new();
    let producer = stage.client();
    let settings = producer_settings(&producer, &["orders"]);
    let _session = Session::open(&producer, settings).await.unwrap();
    stage.send(&producer, 5).await;
    let shown = stage.describe(producer.id()).await;
    assert_eq!(shown.role, i32::from(ClientRole::Producer));
    assert_eq!(
        (shown.group.as_str(), shown.topics.as_slice()),
        ("", &["orders".to_owned()][..])
    );
    assert_eq!(shown.figures.unwrap().sent, 5);
}

#[tokio::test]
async fn a_simple_consumer_that_takes_its_time_refuses_nothing() {
    let stage = Stage::new();
    let reader = stage.client();
    let settings = simple_consumer_settings(&reader, "workers", &[("orders", "*")]);
    let _session = Session::open(&reader, settings).await.unwrap();
    stage.send(&reader, 1).await;
    let held = reader
        .receive(&Receive::new("workers", "orders"))
        .await
        .unwrap()
        .messages;
    let change = async |duration| {
        let changed = reader
            .change_invisible("workers", "orders", &held[0], duration)
            .await
            .unwrap();
        assert_eq!(code(changed.status.as_ref()), Some(v2::Code::Ok));
        let figures = stage.describe(reader.id()).await.figures.unwrap();
        (figures.refused, figures.inflight)
    };
    assert_eq!(
        change(Duration::from_secs(60)).await,
        (0, 1),
        "it goes on working on it"
    );
}

#[tokio::test]
async fn the_oldest_in_flight_grows_old_and_a_restart_and_a_farewell_do_not_hide_it() {
    let mut stage = Stage::new();
    let reader = stage.client();
    let settings = simple_consumer_settings(&reader, "workers", &[("orders", "*")]);
    let session = Session::open(&reader, settings).await.unwrap();
    stage.send(&reader, 2).await;
    let receive = Receive {
        batch: 1,
        invisible: Duration::from_secs(600),
        ..Receive::new("workers", "orders")
    };
    for _ in 0..2 {
        assert_eq!(reader.receive(&receive).await.unwrap().messages.len(), 1);
    }
    let oldest = async |stage: &Stage| {
        stage
            .describe(reader.id())
            .await
            .figures
            .unwrap()
            .oldest_inflight_ms
    };
    let before = oldest(&stage).await;
    let grown = wait::until_async("the oldest grows", SOON, async || {
        let now = oldest(&stage).await;
        Ok((now >= before + 50).then_some(now))
    });
    let grown = grown.await.unwrap();

    drop(session);
    reader.farewell().await.unwrap();
    stage.restart();

    let members = stage.members("workers").await;
    let [member] = members.as_slice() else {
        panic!("{members:?}")
    };
    assert_eq!(
        (member.client_id.as_str(), member.connected),
        (reader.id(), false)
    );
    assert_eq!(messages(&member.held), 2);
    let figures = member.figures.unwrap();
    assert_eq!((figures.inflight, figures.delivered), (2, 0), "counts begin anew");
    assert!(figures.oldest_inflight_ms >= grown, "{figures:?} {grown}");
}
