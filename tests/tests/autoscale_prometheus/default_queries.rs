//! The default queries, beside the broker's own word.

use sluice_operator::prometheus::{Question, Selection};
use sluice_operator::scaling::LagQueries;
use sluice_tests::client::{Client, message};
use sluice_tests::process::{Broker, Setup};
use sluice_tests::prometheus::Prometheus;

use crate::scraped::{backlog, becomes, count, lag, now, queries, question, twice};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_of_one_name_in_two_namespaces_are_told_apart_where_their_series_say_which() {
    let [shop, other] = [(); 2].map(|()| Setup::new().start().unwrap());
    let job = |name: &str, broker: &Broker, labels: &str| {
        format!(
            "- job_name: {name}\n  static_configs:\n  - targets: ['127.0.0.1:{}']\n    labels: {{{labels}}}\n",
            broker.http_port()
        )
    };
    let configuration = |labels: [&str; 2]| {
        let jobs = [job("shop", &shop, labels[0]), job("other", &other, labels[1])];
        format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n{}",
            jobs.concat()
        )
    };
    backlog(&shop).await;
    let selection = || Selection::new("billing", &[]).unwrap();
    let labelled = Prometheus::start(&configuration(["namespace: shop", "namespace: other"])).unwrap();
    let labelled = queries(&labelled);
    becomes(&labelled, &selection().of_namespace("shop").ready(), 10).await;
    let elsewhere = count(&labelled, selection().of_namespace("other").ready()).await;
    assert_eq!(elsewhere, None, "that cluster has no such group");
    let plain = Prometheus::start(&configuration(["", ""])).unwrap();
    becomes(&queries(&plain), &selection().of_namespace("other").ready(), 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_queries_agree_with_the_broker_although_each_series_is_there_twice() {
    let broker = Setup::new().flag("--queue-metrics", "true").start().unwrap();
    let prometheus = Prometheus::start(&twice(&broker)).unwrap();
    let queries = queries(&prometheus);
    backlog(&broker).await;
    let client = Client::new(&broker.endpoint()).unwrap();
    client.send_ok(message("mails", "of no group")).await.unwrap();
    let lag = lag(&broker).await;
    let (ready, inflight) = lag.topics.iter().fold((0, 0), |(ready, inflight), topic| {
        (ready + topic.ready, inflight + topic.inflight)
    });
    assert!(ready > 0 && inflight > 0, "{lag:?}");
    assert_eq!(ready + inflight, 14);

    let all = Selection::new("billing", &[]).unwrap();
    // Both jobs have seen all of it: what is summed without care is twice as much.
    let careless = "sum(rocketmq_consumer_lag_messages{consumer_group=\"billing\"})";
    becomes(&queries, careless, 28).await;
    assert_eq!(count(&queries, all.ready()).await, Some(ready));
    assert_eq!(count(&queries, all.inflight()).await, Some(inflight));
    assert_eq!(count(&queries, all.delivered()).await, Some(inflight));
    for sample in queries.vector(&all.lag_by_queue()).await.unwrap() {
        let topic = lag
            .topics
            .iter()
            .find(|topic| topic.topic == sample.labels["topic"]);
        let queue: usize = sample.labels["queue_id"].parse().unwrap();
        assert_eq!(sample.count(), Ok(topic.unwrap().queues[queue].lag), "{sample:?}");
    }
    let age = count(&queries, all.lag_age()).await.unwrap();
    let oldest = self::lag(&broker)
        .await
        .topics
        .iter()
        .map(|topic| topic.age_ms)
        .max();
    assert!(age > 0 && Some(age) <= oldest, "{age} ms, and later {oldest:?}");

    let by_queue = queries.vector(&all.lag_by_queue()).await.unwrap();
    let queues: usize = lag.topics.iter().map(|topic| topic.queues.len()).sum();
    assert_eq!(by_queue.len(), queues, "{by_queue:?}");
    // The broker has a third topic, which the group does not read.
    let numbers = count(
        &queries,
        "sum(rocketmq_topic_queue_number{perm=\"read\"}) / 2".to_owned(),
    )
    .await;
    assert!(numbers > u64::try_from(queues).ok(), "{numbers:?}");

    let read = LagQueries {
        selection: all.clone(),
        own: None,
        max_age_seconds: 30,
    };
    let found = read.lag(&queries, now()).await.unwrap();
    assert_eq!((found.ready, found.inflight), (ready, inflight));
    assert_eq!(found.queues.len(), queues);
    let total: u64 = found.queues.iter().map(|queue| queue.ready).sum();
    assert_eq!(total, 14, "{found:?}");
    let counted = read.queues(&queries, now()).await.unwrap().unwrap();
    assert_eq!(usize::try_from(counted.get()).unwrap(), queues);

    let fresh = Question {
        age_query: Some(all.age()),
        ..question(all.ready())
    };
    assert_eq!(queries.count(&fresh, 0).await, Ok(ready), "by its own clock");
}
