//! `/metrics`: what it says, and that docs/metrics.md says the same of it.

use crate::sessions;
use crate::support::*;
use sluice_proto::v2::{Code, ReceiveMessageRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PAGE: &str = include_str!("../../../docs/metrics.md");
/// On every series.
const COMMON: [&str; 3] = ["cluster", "node_type", "node_id"];

async fn scrape(fixture: &Fixture) -> String {
    let mut stream = TcpStream::connect(fixture.broker.http_address()).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: broker\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    body.to_owned()
}

fn switch_queues(fixture: &Fixture, to: &str) {
    set(fixture, "queueMetrics", to);
}

fn set(fixture: &Fixture, key: &str, to: &str) {
    let change = (key.to_owned(), Some(to.to_owned()));
    fixture.live.set(&[change]).unwrap();
}

/// What is known of a metric: its type, and the labels of its series.
type Shapes = BTreeMap<String, (String, BTreeSet<String>)>;

/// The rows of the page's tables, but for the one of alerts.
fn documented() -> Shapes {
    let words = |cell: &str| {
        let names = cell
            .split(',')
            .map(|name| name.trim().trim_matches('`').to_owned());
        names.filter(|name| !name.is_empty()).collect::<BTreeSet<_>>()
    };
    let mut shapes = Shapes::new();
    let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
    for row in rows.filter(|line| !line.starts_with("| `Sluice")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, kind, labels, ..] = cells[..] else {
            panic!("{row}")
        };
        let name = name.trim_matches('`');
        let twice = shapes.insert(name.to_owned(), (kind.to_owned(), words(labels)));
        assert!(twice.is_none(), "{name} stands twice");
    }
    shapes
}

/// The metrics of a scrape, as they are written.
fn exposed(text: &str) -> Shapes {
    let mut types = BTreeMap::new();
    let mut shapes = Shapes::new();
    for line in text.lines() {
        if let Some(metric) = line.strip_prefix("# TYPE ") {
            let (name, kind) = metric.split_once(' ').unwrap();
            assert!(types.insert(name, kind).is_none(), "{name} is in two places");
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let (name, labels) = series.split_once('{').unwrap();
        let name = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| {
                name.strip_suffix(end)
                    .filter(|name| types.get(name) == Some(&"histogram"))
            })
            .unwrap_or(name);
        let labels = labels.trim_end_matches('}').split("\",");
        let labels: BTreeSet<String> = labels
            .map(|label| label.split('=').next().unwrap().to_owned())
            .collect();
        assert!(COMMON.iter().all(|common| labels.contains(*common)), "{line}");
        let own = labels
            .into_iter()
            .filter(|label| !COMMON.contains(&&**label) && label != "le");
        let own: BTreeSet<String> = own.collect();
        let shape = (types[name].to_owned(), own);
        let before = shapes.entry(name.to_owned()).or_insert_with(|| shape.clone());
        assert_eq!(*before, shape, "{line}");
    }
    let silent: Vec<_> = types.keys().filter(|name| !shapes.contains_key(**name)).collect();
    assert!(
        silent.is_empty(),
        "the test must make them show a series: {silent:?}"
    );
    shapes
}

fn value(text: &str, name: &str, with: &str) -> Option<f64> {
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{name}{{")) && line.contains(with))?;
    line.rsplit_once(' ').unwrap().1.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_is_on_its_page_with_its_type_and_labels_and_none_is_there_that_does_not_exist() {
    let topics = "topics: [{name: kept, retentionHours: 240}, {name: t, retentionBytes: 1MiB}]\n";
    let fixture = Fixture::with(topics, &[]).await;
    switch_queues(&fixture, "true");
    fixture.send_ok(message("t", "body")).await;
    fixture.receive(|_| {}).await;
    let mut producer = sessions::open(&fixture, "producer").await;
    producer.announce(sessions::producer()).await.unwrap();
    let mut consumer = sessions::open(&fixture, "consumer").await;
    consumer.announce(sessions::consumer("g")).await.unwrap();
    // Only where there is a bound is there one to be shown, as only of topics that have their own. Retention looks when it is changed.
    set(&fixture, "retentionBytes", "1GiB");
    let begun = Instant::now();
    let mut text = scrape(&fixture).await;
    while value(&text, "sluice_consumer_unread_topic_bytes", "").is_none() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "retention does not look"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
        text = scrape(&fixture).await;
    }
    let (exposed, documented) = (exposed(&text), documented());
    let differs = |name: &&String| exposed.get(*name) != documented.get(*name);
    let wrong = exposed.keys().chain(documented.keys()).filter(differs);
    let wrong = wrong.map(|name| (name, exposed.get(name), documented.get(name)));
    let wrong: Vec<_> = wrong.collect();
    assert!(
        wrong.is_empty(),
        "as exposed and as in docs/metrics.md: {wrong:#?}"
    );
    assert!(exposed.len() > 40, "{} metrics are not all", exposed.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lag_is_told_of_groups_without_clients_and_by_queue_where_that_is_asked_for() {
    let fixture = Fixture::new().await;
    let lag = "rocketmq_consumer_lag_messages";
    let by_queue = "rocketmq_consumer_queue_lag_messages";
    let group = "consumer_group=\"g\",topic=\"t\"";
    fixture.send_ok(message("t", "first")).await;
    assert_eq!(
        value(&scrape(&fixture).await, lag, group),
        None,
        "nobody has subscribed"
    );
    // The only call of this group, by no client that has announced itself. It takes the message for half a minute.
    assert_eq!(fixture.receive(|_| {}).await.messages.len(), 1);
    for _ in 0..4 {
        fixture.send_ok(message("t", "more")).await;
    }
    let text = scrape(&fixture).await;
    for (name, expected) in [
        (lag, 5.0),
        ("rocketmq_consumer_ready_messages", 4.0),
        ("rocketmq_consumer_inflight_messages", 1.0),
        ("sluice_consumer_queue_lag_messages_max", 2.0),
    ] {
        assert_eq!(value(&text, name, group), Some(expected), "{name}");
    }
    assert_eq!(value(&text, by_queue, group), None);
    switch_queues(&fixture, "true");
    let text = scrape(&fixture).await;
    let queues = (0..4).map(|queue| value(&text, by_queue, &format!("{group},queue_id=\"{queue}\"")));
    assert_eq!(queues.sum::<Option<f64>>(), Some(5.0));
    switch_queues(&fixture, "false");
    assert_eq!(value(&scrape(&fixture).await, by_queue, group), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unread_depth_is_the_log_from_the_first_ready_message_on() {
    const BODY: f64 = 100_000.0;
    /// More than headers and commands without a message come to.
    const BESIDE: f64 = 4_000.0;
    let fixture = Fixture::with("topics: [{name: t, queues: 2}]\n", &[]).await;
    let depth = async |group: &str| {
        let text = scrape(&fixture).await;
        let labels = format!("consumer_group=\"{group}\",topic=\"t\"");
        value(&text, "sluice_consumer_unread_depth_bytes", &labels)
    };
    let take = async |group: &str, most: i32| {
        let ask = |body: &mut ReceiveMessageRequest| {
            body.group = named(group);
            body.batch_size = most;
        };
        fixture.receive(ask).await.messages.len()
    };
    let send = async || {
        let body = "x".repeat(BODY as usize);
        fixture.send_ok(message("t", &body)).await;
    };
    send().await;
    assert_eq!(depth("g").await, None, "nobody reads it");
    assert_eq!(take("g", 1).await, 1);
    assert_eq!(depth("g").await, Some(0.0), "what is held is not ready");
    // In two queues: it counts from the one that is the first of all.
    for _ in 0..4 {
        send().await;
    }
    let are = |found: Option<f64>, messages: f64| {
        let found = found.unwrap() - messages * BODY;
        assert!(
            (0.0..BESIDE).contains(&found),
            "{messages} messages and {found} bytes"
        );
    };
    are(depth("g").await, 4.0);
    assert_eq!(take("late", 1).await, 1);
    are(depth("late").await, 4.0);
    for _ in 0..4 {
        assert_eq!(take("g", 1).await, 1);
    }
    assert_eq!(depth("g").await, Some(0.0), "all are held");
    are(depth("late").await, 4.0);
    send().await;
    are(depth("g").await, 1.0);
    are(depth("late").await, 5.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulled_messages_count_once_their_group_is_there() {
    let fixture = Fixture::with("topics: [{name: t, queues: 1}]\n", &[]).await;
    for _ in 0..3 {
        fixture.send_ok(message("t", "body")).await;
    }
    let group = "topic=\"t\",consumer_group=\"g\"";
    let (messages, bytes) = ("rocketmq_messages_out_total", "rocketmq_throughput_out_total");
    assert_eq!(fixture.pull(0, |_| {}).await.messages.len(), 3);
    assert_eq!(value(&scrape(&fixture).await, messages, group), None);
    assert_eq!(fixture.update_offset(1, |_| {}).await, Code::Ok);
    assert_eq!(fixture.pull(1, |_| {}).await.messages.len(), 2);
    let text = scrape(&fixture).await;
    assert_eq!(value(&text, messages, group), Some(2.0));
    assert_eq!(value(&text, bytes, group), Some(8.0));
    let calls = "rocketmq_rpc_latency_milliseconds_count";
    let pulls = "request_code=\"PullMessage\",response_code=\"OK\"";
    assert_eq!(value(&text, calls, pulls), Some(2.0));
}
