//! What Artifact Hub shows of the chart, from the annotations in its `Chart.yaml`: they are texts that Helm does not read.

use std::collections::BTreeSet;

use serde_json::Value;
use sluice_tests::binaries;
use sluice_tests::kube::helm::{chart, objects};

use crate::admission::{apply, server};
use crate::stage::name;

/// An annotation's list.
fn annotation(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    let file: Value = serde_yaml::from_str(&text).unwrap();
    let text = &file["annotations"][format!("artifacthub.io/{name}")];
    let text = text.as_str().unwrap_or_else(|| panic!("no {name}"));
    serde_yaml::from_str(text).unwrap()
}

fn kinds(list: &[Value]) -> BTreeSet<&str> {
    list.iter().map(|entry| entry["kind"].as_str().unwrap()).collect()
}

/// Every manifest of `docs/examples`.
fn examples() -> Vec<Value> {
    let folder = binaries::workspace().join("docs/examples");
    let mut examples = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        examples.extend(objects(&text).unwrap());
    }
    examples
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_an_example_of_each_kind_that_the_documentation_has_and_a_server_takes() {
    let shown = annotation("crdsExamples");
    let documented = examples();
    assert_eq!(kinds(&shown), kinds(&annotation("crds")));
    let (server, kubectl) = server().await.unwrap();
    for example in &shown {
        assert!(documented.contains(example), "{} is another one", name(example));
        let arguments = ["--dry-run=server", "--namespace", "shop"];
        let taken = apply(&kubectl, server.folder(), example, &arguments);
        taken.unwrap_or_else(|error| panic!("{}: {error:#}", name(example)));
    }
}

#[test]
fn definitions_and_images_are_those_of_the_chart() {
    let folder = binaries::workspace().join("crds");
    for shown in annotation("crds") {
        let name = shown["name"].as_str().unwrap();
        let file = format!("{}.yaml", name.strip_suffix(".sluice.dev").unwrap());
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let definition: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(definition["metadata"]["name"], name);
        assert_eq!(definition["spec"]["names"]["kind"], shown["kind"]);
        assert_eq!(definition["spec"]["versions"][0]["name"], shown["version"]);
    }
    let tag = format!(":{}", env!("CARGO_PKG_VERSION"));
    for shown in annotation("images") {
        assert!(shown["image"].as_str().unwrap().ends_with(&tag), "{shown}");
    }
}

#[test]
fn links_have_a_name_and_lead_over_https() {
    let links = annotation("links");
    assert!(!links.is_empty());
    for link in links {
        let text = |field: &str| link[field].as_str().unwrap_or_default().to_owned();
        assert!(!text("name").is_empty(), "{link}");
        assert!(text("url").starts_with("https://"), "{link}");
    }
}
