//! The definitions themselves, and the examples of the documentation.

use serde_json::Value;
use sluice_tests::binaries;
use sluice_tests::kube::ApiServer;
use sluice_tests::kube::kubectl::Kubectl;

use crate::stage::{KINDS, api, client, definition, kubectl, manifest, trial};

#[tokio::test]
async fn the_server_takes_the_definitions_without_a_warning_and_without_a_condition_against_them() {
    let server = ApiServer::start().await.unwrap();
    let kubectl = Kubectl::of(server.kubeconfig());
    for kind in KINDS {
        let file = definition(kind).display().to_string();
        let output = kubectl
            .output(&["apply", "--server-side", "--filename", &file])
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && error.is_empty(),
            "{}: {error}",
            kind.name()
        );
    }
    kubectl.wait_for_definitions().unwrap();
    let definitions = kubectl.json(&["get", "crd"]).unwrap();
    let definitions = definitions["items"].as_array().unwrap();
    assert_eq!(definitions.len(), KINDS.len());
    for definition in definitions {
        let conditions = definition["status"]["conditions"].as_array().unwrap();
        // A schema that is not structural, and a name that is taken, are such conditions.
        let against: Vec<_> = conditions
            .iter()
            .filter(|condition| {
                let holds = condition["status"] == "True";
                let is_good = condition["type"] == "Established" || condition["type"] == "NamesAccepted";
                holds != is_good
            })
            .collect();
        assert!(
            against.is_empty(),
            "{}: {against:?}",
            definition["metadata"]["name"]
        );
    }
}

#[tokio::test]
async fn the_smallest_resource_of_each_kind_is_taken_and_the_server_writes_in_the_defaults() {
    let client = client().await;
    for (kind, field, default) in [
        (KINDS[0], "/spec/deletionPolicy/volumes", Value::from("Retain")),
        (KINDS[0], "/spec/listeners/0/name", Value::from("grpc")),
        (KINDS[0], "/spec/replicas", Value::from(1)),
        (KINDS[1], "/spec/deletionPolicy", Value::from("Retain")),
        (KINDS[1], "/spec/retry/maxAttempts", Value::from(17)),
        (KINDS[2], "/spec/deletionPolicy", Value::from("Retain")),
        (KINDS[2], "/spec/messageType", Value::from("Normal")),
    ] {
        let smallest = manifest(kind, "smallest", &Value::Object(Default::default()));
        let made = api(&client, kind).create(&trial(), &smallest).await.unwrap();
        assert_eq!(
            made.data.pointer(field),
            Some(&default),
            "{} {field}",
            kind.name()
        );
    }
}

#[tokio::test]
async fn every_example_of_the_documentation_is_taken() {
    let kubectl = kubectl().await;
    let mut examples: Vec<_> = std::fs::read_dir(binaries::workspace().join("docs/examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    examples.sort();
    assert!(!examples.is_empty());
    for example in examples {
        let file = example.display().to_string();
        // Strict: a field that is misspelt is no example.
        let apply = [
            "apply",
            "--dry-run=server",
            "--validate=strict",
            "--filename",
            &file,
        ];
        let output = kubectl.output(&apply).unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && error.is_empty(), "{file}: {error}");
        println!("{file}: {}", String::from_utf8_lossy(&output.stdout).trim());
    }
}
