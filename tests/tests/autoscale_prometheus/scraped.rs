//! A broker with a backlog, and a Prometheus that sees it twice.

use std::time::{Duration, SystemTime};

use sluice_operator::prometheus::{Client as Queries, ErrorKind, Question, Server};
use sluice_proto::admin::{GetLagRequest, GroupLag};
use sluice_tests::admin::Admin;
use sluice_tests::client::{Client, Receive, message};
use sluice_tests::process::Broker;
use sluice_tests::prometheus::Prometheus;
use sluice_tests::wait;

const SEEN_WITHIN: Duration = Duration::from_secs(60);

/// Two jobs look at one broker, as two servers of a pair would: each of its series is there twice.
pub fn twice(broker: &Broker) -> String {
    let job = |name: &str| {
        format!(
            "- job_name: {name}\n  static_configs:\n  - targets: ['127.0.0.1:{}']\n",
            broker.http_port()
        )
    };
    format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n{}{}",
        job("one"),
        job("two")
    )
}

pub fn queries(prometheus: &Prometheus) -> Queries {
    let server = Server {
        url: prometheus.url(),
        authorization: None,
        tenant: None,
        ca_bundle: None,
        client_certificate: None,
        timeout: Duration::from_secs(10),
    };
    server.client().unwrap()
}

pub fn question(query: String) -> Question {
    Question {
        query,
        age_query: None,
        max_age_seconds: 30,
    }
}

pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// What the broker says of the group.
pub async fn lag(broker: &Broker) -> GroupLag {
    let admin = Admin::new(&broker.admin_endpoint()).unwrap();
    let request = GetLagRequest {
        group: "billing".to_owned(),
        ..GetLagRequest::default()
    };
    admin.groups().get_lag(request).await.unwrap().into_inner()
}

/// 9 and 5 messages in two topics, of which a group holds some and another group none.
pub async fn backlog(broker: &Broker) {
    let client = Client::new(&broker.endpoint()).unwrap();
    for (topic, count) in [("orders", 9), ("refunds", 5)] {
        for n in 0..count {
            client.send_ok(message(topic, format!("{n}"))).await.unwrap();
        }
        for group in ["billing", "other"] {
            // Held for longer than any test takes.
            let receive = Receive {
                batch: 2,
                invisible: Duration::from_secs(3600),
                ..Receive::new(group, topic)
            };
            client.receive(&receive).await.unwrap();
        }
    }
}

pub async fn count(queries: &Queries, query: String) -> Option<u64> {
    queries.count(&question(query), now()).await.ok()
}

/// Waits until the query's number is that.
pub async fn becomes(queries: &Queries, query: &str, wanted: u64) {
    wait_for(queries, query, |found| found == Ok(wanted)).await;
}

/// Waits until what the query comes to is as it should be.
pub async fn wait_for(queries: &Queries, query: &str, is_so: impl Fn(Result<u64, ErrorKind>) -> bool) {
    let question = question(query.to_owned());
    wait::until_async(query, SEEN_WITHIN, async || {
        let found = queries.count(&question, now()).await;
        anyhow::ensure!(
            is_so(found.clone().map_err(|error| error.kind)),
            "it is {found:?}"
        );
        Ok(Some(()))
    })
    .await
    .unwrap();
}
