//! What people read of the resources with kubectl.

use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::stage::{KINDS, Kind, api, client, definition_of, kubectl, manifest};

/// How much of a description is looked for on the page: it is broken into lines there.
const WORDS: usize = 3;

#[tokio::test]
async fn kubectl_explains_every_field_that_is_ours() {
    let kubectl = kubectl().await;
    for kind in KINDS {
        let plural = kind.plural();
        let printed = kubectl.run(&["explain", &format!("{plural}.spec")]).unwrap();
        let definition = definition_of(kind);
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        for part in ["spec", "status"] {
            let mut undescribed = Vec::new();
            look_for_undescribed(part, &schema["properties"][part], &mut undescribed);
            assert!(
                undescribed.is_empty(),
                "{plural} does not explain {undescribed:#?}"
            );
        }
        for (field, of_field) in schema["properties"]["spec"]["properties"].as_object().unwrap() {
            assert!(
                printed.contains(&format!("  {field}\t<")),
                "{plural}: no {field} in {printed}"
            );
            let first_words = of_field["description"]
                .as_str()
                .unwrap()
                .split_whitespace()
                .take(WORDS);
            let first_words = first_words.collect::<Vec<_>>().join(" ");
            assert!(printed.contains(&first_words), "{plural}.spec.{field}: {printed}");
        }
    }
    // A field deep inside, with its type, its words and its bounds.
    let printed = kubectl
        .run(&[
            "explain",
            "consumergroups.spec.autoscaling.lag.messagesPerReplica",
        ])
        .unwrap();
    for part in ["FIELD: messagesPerReplica <integer>", "1 to 2147483647"] {
        assert!(printed.contains(part), "{printed}");
    }
}

/// Fields without words, except in parts that are Kubernetes' own, which are kept bare to keep the definitions small.
fn look_for_undescribed(path: &str, schema: &Value, undescribed: &mut Vec<String>) {
    let words = schema["description"].as_str().unwrap_or_default();
    if words.trim().is_empty() {
        undescribed.push(path.to_owned());
    }
    let is_part_of_pod = path.starts_with("spec.podTemplate.") && path != "spec.podTemplate.metadata";
    let is_ours = !is_part_of_pod && !KUBERNETES_OWN.iter().any(|own| path.ends_with(own));
    if let Some(fields) = schema["properties"].as_object().filter(|_| is_ours) {
        for (name, field) in fields {
            look_for_undescribed(&format!("{path}.{name}"), field, undescribed);
        }
    }
    if let Some(fields) = schema["items"]["properties"].as_object().filter(|_| is_ours) {
        for (name, field) in fields {
            look_for_undescribed(&format!("{path}[].{name}"), field, undescribed);
        }
    }
}

const KUBERNETES_OWN: [&str; 5] = [
    "spec.resources",
    "conditions",
    "networkPolicy.adminFrom",
    "networkPolicy.clientsFrom",
    "networkPolicy.metricsFrom",
];

#[tokio::test]
async fn kubectl_shows_the_columns_with_what_is_in_the_resource() {
    let (client, kubectl) = (client().await, kubectl().await);
    let ready = json!([{
        "type": "Ready", "status": "True", "reason": "Synced", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
    }]);
    for (kind, short, fields, status, shown) in [
        (
            Kind::Topic,
            "mqt",
            json!({"queues": 8}),
            json!({"topicName": "shown-topic", "queues": 8, "messages": 4711}),
            &["CLUSTER", "main", "shown-topic", "8", "4711", "True"][..],
        ),
        (
            Kind::ConsumerGroup,
            "cg",
            json!({}),
            json!({"groupName": "shown-group", "lag": {"messages": 815}}),
            &["LAG", "main", "shown-group", "815", "True"][..],
        ),
        (
            Kind::BrokerCluster,
            "bc",
            json!({}),
            json!({"version": "0.1.0"}),
            &["ADDRESS", "0.1.0", "True"][..],
        ),
    ] {
        let resources = api(&client, kind);
        let made = manifest(kind, "shown", &fields);
        resources.create(&PostParams::default(), &made).await.unwrap();
        let mut status = status;
        status["conditions"] = ready.clone();
        let patch = Patch::Merge(json!({"status": status}));
        resources
            .patch_status("shown", &PatchParams::default(), &patch)
            .await
            .unwrap();

        let printed = kubectl.run(&["get", short]).unwrap();

        let definition = definition_of(kind);
        let columns = definition["spec"]["versions"][0]["additionalPrinterColumns"]
            .as_array()
            .unwrap();
        let names = columns
            .iter()
            .filter(|column| column["priority"].as_i64().unwrap_or_default() == 0)
            .map(|column| column["name"].as_str().unwrap().to_uppercase());
        for word in names.chain(shown.iter().map(|&word| word.to_owned())) {
            assert!(printed.contains(&word), "{short} does not show {word}: {printed}");
        }
        let all = kubectl.run(&["get", "mq", "--output", "name"]).unwrap();
        assert!(
            all.contains(&format!("{}.sluice.dev/shown", kind.name().to_lowercase())),
            "{all}"
        );
        resources.delete("shown", &DeleteParams::default()).await.unwrap();
    }
}
