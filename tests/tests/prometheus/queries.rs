//! The queries of docs/metrics.md, asked of a Prometheus that is configured as the page says.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_proto::v2::Code;
use sluice_tests::client::{
    Client, Receive, Session, code, fifo_message, message, producer_settings, push_consumer_settings,
};
use sluice_tests::dashboards;
use sluice_tests::process::Setup;
use sluice_tests::prometheus::Prometheus;
use sluice_tests::wait;

use crate::page::{configuration, fenced};

/// What metrics begin with that have no samples here: the operator's, and those of the resources and their workloads.
const NOT_OF_A_BROKER: [&str; 2] = ["sluice_operator_", "kube_"];
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// A producer and a group with a consumer, which have announced themselves.
async fn sessions(client: &Client, consumer: &Client) -> [Session; 2] {
    let producing = producer_settings(client, &["orders"]);
    let consuming = push_consumer_settings(consumer, "served", &[("orders", "*")]);
    let producing = Session::open(client, producing).await;
    let consuming = Session::open(consumer, consuming).await;
    [producing.unwrap(), consuming.unwrap()]
}

/// One message of each kind, one of them received, and a call that fails.
async fn traffic(client: &Client) {
    client.send_ok(message("orders", "an order")).await.unwrap();
    client
        .send_ok(fifo_message("orders", "one", "in order"))
        .await
        .unwrap();
    let receive = Receive::new("served", "orders");
    client.receive(&receive).await.unwrap();
    let failed = client.query_route("no such topic?").await.unwrap();
    assert_ne!(code(failed.status.as_ref()), Some(Code::Ok));
}

/// All queries of the dashboards are taken, and those for a broker's metrics have an answer.
fn ask_dashboards(prometheus: &Prometheus) {
    let mut unanswered: BTreeMap<String, String> = dashboards::queries()
        .unwrap()
        .into_iter()
        .map(|query| (query.promql, format!("{}: {}", query.dashboard, query.of)))
        .collect();
    // A slope is of two points of what is recorded, so some answer late.
    let answered = wait::until(
        "every query of the dashboards is answered",
        ANSWERED_WITHIN,
        || {
            for promql in unanswered.keys().cloned().collect::<Vec<_>>() {
                let answer = prometheus.query(&promql)?;
                let is_elsewhere = NOT_OF_A_BROKER.iter().any(|metrics| promql.contains(metrics));
                if is_elsewhere || !answer.is_empty() {
                    unanswered.remove(&promql);
                }
            }
            Ok(unanswered.is_empty().then_some(()))
        },
    );
    if let Err(error) = answered {
        panic!("{error:#}; without an answer: {unanswered:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_of_the_page_is_answered() {
    let broker = Setup::new().flag("--queue-metrics", "true").start().unwrap();
    let prometheus = Prometheus::start(&configuration(&broker)).unwrap();
    wait::until("the broker is scraped", ANSWERED_WITHIN, || {
        Ok(prometheus.sum("up{job=\"sluice\"}")?.filter(|up| *up == 1.0))
    })
    .unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    let consumer = Client::new(&broker.endpoint()).unwrap();
    let _sessions = sessions(&client, &consumer).await;
    // Rates are of what is counted between two scrapes, so it goes on.
    let going_on = tokio::spawn({
        let client = client.clone();
        async move {
            let mut turns = tokio::time::interval(Duration::from_millis(50));
            loop {
                turns.tick().await;
                traffic(&client).await;
            }
        }
    });
    let receive = Receive::new("lonely", "orders");
    client.receive(&receive).await.unwrap();
    let queries = fenced("promql");
    assert!(queries.len() > 15, "{} queries are not all", queries.len());
    for query in queries {
        let answer = wait::until(query, ANSWERED_WITHIN, || {
            let samples = prometheus.query(query)?;
            let all_numbers = !samples.iter().any(|(_, value)| value.is_nan());
            Ok((!samples.is_empty() && all_numbers).then_some(samples))
        });
        answer.unwrap();
    }
    for (query, expected) in [
        (
            "topic_group:rocketmq_consumer_lag_messages:sum{consumer_group=\"lonely\",topic=\"orders\"} > bool 0",
            1.0,
        ),
        (
            "count(sluice_consumer_queue_lag_messages_max{topic=\"orders\"})",
            2.0,
        ),
        (
            "rocketmq_consumer_connections{consumer_group=\"served\",consume_mode=\"push\",language=\"rust\",version=\"v5_0_0\"}",
            1.0,
        ),
        (
            "count(rocketmq_consumer_connections{consumer_group=\"lonely\"}) or vector(0)",
            0.0,
        ),
        (
            "count(rocketmq_consumer_lag_latency) - count(rocketmq_consumer_lag_latency_milliseconds)",
            0.0,
        ),
    ] {
        // What the other group brings is scraped a little later.
        wait::until(query, ANSWERED_WITHIN, || {
            Ok(prometheus.sum(query)?.filter(|sum| *sum == expected))
        })
        .unwrap();
    }
    ask_dashboards(&prometheus);
    going_on.abort();
    let rules = prometheus.rules().unwrap();
    assert!(rules.len() > 15, "{rules:?}");
    assert!(rules.iter().all(|(_, error)| error.is_empty()), "{rules:?}");
}
