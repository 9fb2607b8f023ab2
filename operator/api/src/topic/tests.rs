use super::*;
use crate::testing::{parse, refusals};

fn topic(name: &str, spec: &str) -> Topic {
    let head = "apiVersion: sluice.dev/v1alpha1\nkind: Topic\n";
    parse(&format!(
        "{head}metadata: {{name: {name}}}\nspec: {{clusterRef: {{name: prod}}{spec}}}\n"
    ))
}

#[test]
fn a_spec_that_says_no_more_than_its_cluster_has_the_defaults() {
    let topic = topic("orders", "");
    assert_eq!(refusals(&topic, None), [""; 0]);
    assert_eq!(topic.topic_name(), "orders");
    let TopicSpec {
        message_type,
        queues,
        producers,
        deletion_policy,
        retention_hours,
        retention_bytes,
        ..
    } = topic.spec;
    assert_eq!(
        (message_type, queues, producers, deletion_policy),
        (MessageType::Normal, None, Access::Open, DeletionPolicy::Retain)
    );
    assert_eq!((retention_hours, retention_bytes), (None, None));
}

#[test]
fn a_bound_on_bytes_is_a_size_that_a_broker_takes() {
    let unread = "spec.retentionBytes: retentionBytes is a number, perhaps with a fraction, and one of Ki, Mi, Gi, Ti, Pi, Ei, k, M, G, T, P and E, such as 10Gi";
    let beyond = "spec.retentionBytes: retentionBytes is 1Mi to 1Pi, or 0 for any number";
    for (size, refusal) in [
        ("0", None),
        ("1Mi", None),
        ("1048576", None),
        ("1.5Gi", None),
        ("10G", None),
        ("1Pi", None),
        ("1", Some(beyond)),
        ("0.5", Some(beyond)),
        ("1M", Some(beyond)),
        ("1.1Pi", Some(beyond)),
        ("1Ei", Some(beyond)),
        ("10GiB", Some(unread)),
        ("-1Gi", Some(unread)),
        ("100m", Some(unread)),
        ("much", Some(unread)),
    ] {
        let topic = topic("orders", &format!(", retentionBytes: '{size}'"));
        assert_eq!(refusals(&topic, None), Vec::from_iter(refusal), "{size}");
    }
}

#[test]
fn a_topic_has_the_name_that_its_spec_gives() {
    assert_eq!(
        topic("orders", ", topicName: Order_Paid").topic_name(),
        "Order_Paid"
    );
}

#[test]
fn a_name_that_no_topic_can_have_is_refused() {
    let own = "the resource's name cannot be a topic's: give spec.topicName of up to 127 letters, digits and any of % | _ -";
    let system = "spec.topicName: topicName is one of the system's: topics that begin with %DLQ%, %RETRY% or rmq_sys_ are the brokers' own";
    let cases = [
        ("orders", "", None),
        ("a.b", "", Some(own)),
        ("a.b", ", topicName: a_b", None),
        ("x", ", topicName: '%DLQ%g'", Some(system)),
        ("x", ", topicName: '%RETRY%g'", Some(system)),
        ("x", ", topicName: RMQ_SYS_TRACE_TOPIC", Some(system)),
        ("x", ", topicName: 'a%DLQ%'", None),
    ];
    for (name, spec, refusal) in cases {
        assert_eq!(
            refusals(&topic(name, spec), None),
            Vec::from_iter(refusal),
            "{name} {spec}"
        );
    }
    let long = "a".repeat(128);
    assert_eq!(refusals(&topic(&long, ""), None), [own]);
}

#[test]
fn what_cannot_change_is_refused_and_what_can_is_not() {
    let name_given = "spec: topicName cannot be added or taken away: make another Topic";
    let fewer = "spec: queues may grow and not shrink: a topic keeps every queue that it has";
    let cases: [(&str, &str, &[&str]); 12] = [
        (", retentionBytes: 10Gi", ", retentionBytes: 1Gi", &[]),
        (", queues: 8", ", queues: 8", &[]),
        (", queues: 8", ", queues: 16", &[]),
        ("", ", queues: 16", &[]),
        (", queues: 8", ", queues: 7", &[fewer]),
        (", queues: 8", "", &[fewer]),
        ("", ", producers: Closed", &[]),
        (", deletionPolicy: Delete", ", deletionPolicy: DeleteIfEmpty", &[]),
        (
            "",
            ", messageType: Fifo",
            &["spec.messageType: messageType cannot be changed: make another Topic, and move to it"],
        ),
        ("", ", topicName: other", &[name_given]),
        (", topicName: other", "", &[name_given]),
        (
            ", topicName: one",
            ", topicName: other",
            &["spec.topicName: topicName cannot be changed: make another Topic"],
        ),
    ];
    for (old, new, expected) in cases {
        let refused = refusals(&topic("orders", new), Some(&topic("orders", old)));
        assert_eq!(refused, expected, "{old} -> {new}");
    }
    let mut moved = topic("orders", "");
    moved.spec.cluster_ref.name = "test".to_owned();
    assert_eq!(
        refusals(&moved, Some(&topic("orders", ""))),
        ["spec.clusterRef: clusterRef cannot be changed: make another Topic"]
    );
}
