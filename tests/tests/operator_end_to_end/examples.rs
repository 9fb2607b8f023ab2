//! What a newcomer does: the chart installed, the examples applied, a message sent and received.

use sluice_tests::python;

use crate::shop::{self, CLUSTER};
use crate::stage::SOON;
use crate::workloads::bodies;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_become_ready_and_messages_of_an_official_client_go_through() {
    let shop = shop::open().await;
    shop.cluster_ready(CLUSTER).await;
    for topic in ["mails", "order-paid", "customer-changes", "orders-of-2025"] {
        shop.topic_ready(topic).await;
    }
    for group in ["mailer", "customer-index", "order-workers", "nightly-report"] {
        shop.group_ready(group).await;
    }

    let variables = |more: &[(&'static str, &str)]| {
        let all = [("TOPIC", "mails"), ("COUNT", "100"), ("WITHIN_SECONDS", "60")];
        let all = all.iter().chain(more);
        all.map(|(name, value)| (*name, (*value).to_owned()))
            .collect::<Vec<_>>()
    };
    let sending = variables(&[("PREFIX", "mail")]);
    shop.start_job("mail-producer", python::PRODUCER, 1, CLUSTER, &sending);
    let receiving = variables(&[("GROUP", "mailer")]);
    shop.start_job("mail-consumer", python::CONSUMER, 1, CLUSTER, &receiving);
    let sent = shop.finish_job("mail-producer", SOON).await;
    let received = shop.finish_job("mail-consumer", SOON).await;

    let [mut sent, mut received] = [bodies(&sent, "sent "), bodies(&received, "received ")];
    sent.sort_unstable();
    received.sort_unstable();
    assert_eq!(sent.len(), 100);
    assert_eq!(sent, received);
    let lag = shop
        .sluicectl(CLUSTER, &["group", "lag", "mailer", "-o", "json"])
        .unwrap();
    assert!(
        lag.contains("\"ready\":0") || lag.contains("\"ready\": 0"),
        "{lag}"
    );
}
