//! What cannot be changed once it is there, and what can.

use std::collections::BTreeSet;

use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::stage::{KINDS, Kind, api, client, manifest, messages_of_rules, refusal};

/// Fields of the spec before and after, and what the refusal of the change says; nothing if it is taken.
type Row = (Kind, Value, Value, Option<&'static str>);

#[tokio::test]
async fn what_others_rely_on_cannot_be_changed_and_the_rest_can() {
    let client = client().await;
    let mut unproven: BTreeSet<_> = KINDS
        .iter()
        .flat_map(|kind| messages_of_rules(*kind, true))
        .collect();
    for (kind, before, after, says) in rows() {
        let what = format!("{} from {before} to {after}", kind.name());
        let resources = api(&client, kind);
        let made = resources
            .create(&PostParams::default(), &manifest(kind, "changing", &before))
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut changed = manifest(kind, "changing", &after);
        changed.metadata.resource_version = made.metadata.resource_version;
        let answer = resources
            .replace("changing", &PostParams::default(), &changed)
            .await;
        match says {
            None => assert!(answer.is_ok(), "{what}: {answer:?}"),
            Some(says) => {
                let message = refusal(answer, &what);
                assert!(
                    message.contains(says),
                    "{what}\nis not refused with {says:?} but: {message}"
                );
                unproven.retain(|rule| !message.contains(rule));
            }
        }
        resources
            .delete("changing", &DeleteParams::default())
            .await
            .unwrap();
    }
    assert!(
        unproven.is_empty(),
        "no row is refused by these rules: {unproven:#?}"
    );
}

fn rows() -> Vec<Row> {
    [of_topics(), of_consumer_groups(), of_clusters()].concat()
}

fn of_cluster(name: &str) -> Value {
    json!({"clusterRef": {"name": name}})
}

fn of_topics() -> Vec<Row> {
    use Kind::Topic;
    vec![
        (
            Topic,
            of_cluster("main"),
            of_cluster("other"),
            Some("clusterRef cannot be changed: make another Topic"),
        ),
        (
            Topic,
            json!({"messageType": "Normal"}),
            json!({"messageType": "Fifo"}),
            Some("messageType cannot be changed: make another Topic, and move to it"),
        ),
        (
            Topic,
            json!({"topicName": "one"}),
            json!({"topicName": "two"}),
            Some("topicName cannot be changed: make another Topic"),
        ),
        (
            Topic,
            json!({}),
            json!({"topicName": "two"}),
            Some("topicName cannot be added or taken away"),
        ),
        (
            Topic,
            json!({"topicName": "one"}),
            json!({}),
            Some("topicName cannot be added or taken away"),
        ),
        (
            Topic,
            json!({"queues": 8}),
            json!({"queues": 4}),
            Some("queues may grow and not shrink"),
        ),
        (
            Topic,
            json!({"queues": 8}),
            json!({}),
            Some("queues may grow and not shrink"),
        ),
        (Topic, json!({"queues": 4}), json!({"queues": 8}), None),
        (Topic, json!({}), json!({"queues": 2}), None),
        (
            Topic,
            json!({"producers": "Open"}),
            json!({"producers": "Closed"}),
            None,
        ),
        (
            Topic,
            json!({"deletionPolicy": "Retain"}),
            json!({"deletionPolicy": "Delete"}),
            None,
        ),
    ]
}

fn of_consumer_groups() -> Vec<Row> {
    use Kind::ConsumerGroup;
    vec![
        (
            ConsumerGroup,
            of_cluster("main"),
            of_cluster("other"),
            Some("clusterRef cannot be changed"),
        ),
        (
            ConsumerGroup,
            json!({"groupName": "one"}),
            json!({"groupName": "two"}),
            Some("groupName cannot be changed: make another ConsumerGroup"),
        ),
        (
            ConsumerGroup,
            json!({}),
            json!({"groupName": "two"}),
            Some("groupName cannot be added or taken away"),
        ),
        (
            ConsumerGroup,
            json!({"retry": {"maxAttempts": 17}}),
            json!({"retry": {"maxAttempts": 3}}),
            None,
        ),
    ]
}

fn of_clusters() -> Vec<Row> {
    use Kind::BrokerCluster;
    let storage = |size: &str| json!({"storage": {"size": size}});
    let of_class = |class: &str| json!({"storage": {"size": "1Gi", "className": class}});
    vec![
        (
            BrokerCluster,
            storage("2Gi"),
            storage("1Gi"),
            Some("storage.size may grow and not shrink"),
        ),
        // The same amount in other words is no change.
        (BrokerCluster, storage("1Gi"), storage("1073741824"), None),
        (BrokerCluster, storage("1024Mi"), storage("2Gi"), None),
        (
            BrokerCluster,
            of_class("fast"),
            of_class("slow"),
            Some("storage.className cannot be changed"),
        ),
        (
            BrokerCluster,
            of_class("fast"),
            storage("1Gi"),
            Some("storage.className cannot be changed"),
        ),
        (
            BrokerCluster,
            json!({"version": "0.1.0"}),
            json!({"version": "0.2.0"}),
            None,
        ),
        (
            BrokerCluster,
            json!({"config": {}}),
            json!({"config": {"autoCreateTopics": false}}),
            None,
        ),
    ]
}
