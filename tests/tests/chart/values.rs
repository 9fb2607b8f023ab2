//! The chart's values: file, schema and table say the same, and what is wrong is refused.

use std::collections::BTreeMap;

use serde_json::Value;
use sluice_tests::kube::helm::{self, Helm, chart};

use crate::stage::{MONITORS, refusal, render, values_file, values_files};

fn read(file: &str) -> String {
    std::fs::read_to_string(chart().join(file)).unwrap()
}

/// The values with their paths. What stands under a value that the schema does not divide further belongs to it.
fn leaves(schema: &Value, values: &Value) -> BTreeMap<String, (String, Value)> {
    let mut leaves = BTreeMap::new();
    for (name, property) in schema["properties"].as_object().unwrap() {
        if name == "global" {
            continue;
        }
        if property.get("properties").is_some() {
            assert_eq!(property["additionalProperties"], false, "{name}");
            let below = self::leaves(property, &values[name]);
            leaves.extend(
                below
                    .into_iter()
                    .map(|(path, leaf)| (format!("{name}.{path}"), leaf)),
            );
        } else {
            let description = property["description"]
                .as_str()
                .expect("a description")
                .to_owned();
            let value = values
                .get(name)
                .unwrap_or_else(|| panic!("values.yaml lacks {name}"));
            leaves.insert(name.clone(), (description, value.clone()));
        }
    }
    let unknown = values
        .as_object()
        .unwrap()
        .keys()
        .find(|name| schema["properties"].get(name).is_none());
    assert_eq!(unknown, None, "the schema lacks it");
    leaves
}

fn all_leaves() -> BTreeMap<String, (String, Value)> {
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    let values = helm::objects(&read("values.yaml")).unwrap().remove(0);
    leaves(&schema, &values)
}

/// The comments of values.yaml, each with the name that stands under it.
fn comments() -> Vec<(String, String)> {
    let (mut comments, mut comment) = (Vec::new(), String::new());
    for line in read("values.yaml").lines().map(str::trim) {
        match line.strip_prefix("# ") {
            Some(text) if comment.is_empty() => text.clone_into(&mut comment),
            Some(text) => comment = format!("{comment} {text}"),
            None if line.is_empty() => comment.clear(),
            None => {
                if let Some((name, _)) = line.split_once(':') {
                    comments.push((name.to_owned(), std::mem::take(&mut comment)));
                }
            }
        }
    }
    comments
}

#[test]
fn the_table_of_the_page_has_each_value_with_its_default_and_the_schemas_words() {
    let page = read("README.md");
    let (_, values) = page.split_once("\n## Values\n").unwrap();
    let rows: Vec<_> = values.lines().filter(|line| line.starts_with("| `")).collect();
    let leaves = all_leaves();
    for (path, (description, default)) in &leaves {
        let row = format!("| `{path}` | `{default}` | {description} |");
        assert!(
            rows.contains(&&*row),
            "charts/sluice/README.md lacks the row\n{row}"
        );
    }
    assert_eq!(
        rows.len(),
        leaves.len(),
        "the table has rows of values that are gone"
    );
}

#[test]
fn the_comments_of_the_values_are_the_schemas_descriptions() {
    let comments = comments();
    for (path, (description, _)) in all_leaves() {
        let name = path.rsplit('.').next().unwrap();
        let same = |(of, comment): &(String, String)| of == name && *comment == description;
        assert!(
            comments.iter().any(same),
            "values.yaml says something else about {path} than: {description}"
        );
    }
}

#[test]
fn every_file_of_values_is_linted_and_rendered() {
    let chart = chart();
    for (name, file) in values_files() {
        let file = file.to_str().unwrap();
        let lint = ["lint", "--strict", chart.to_str().unwrap(), "--values", file];
        let said = Helm::default().run(&lint).unwrap();
        assert!(!said.contains("[WARNING]"), "{name}: {said}");
        let objects = render(&[&MONITORS[..], &["--values", file]].concat());
        assert!(!objects.is_empty(), "{name}");
    }
}

#[test]
fn a_value_that_does_not_exist_or_cannot_be_is_refused_by_name() {
    for (set, named) in [
        ("replica=3", "replica"),
        ("replicas=0", "replicas"),
        ("image.digest=sha256:1", "digest"),
        ("logFormat=xml", "logFormat"),
        ("logLevel=verbose", "logLevel"),
        ("logLevel=info\\,kube=loud", "logLevel"),
        (
            "lease.renewWithinSeconds=20",
            "lease.renewWithinSeconds 20 must be less than lease.durationSeconds 15",
        ),
        (
            "lease.retrySeconds=10",
            "lease.retrySeconds 10 must be less than lease.renewWithinSeconds 10",
        ),
        ("crds.kept=true", "kept"),
        ("watchNamespaces={Shop}", "watchNamespaces"),
        ("prometheusRule.queueLagMessages=many", "queueLagMessages"),
        ("rbac.scaleTargets[0].kind=Deployment", "scaleTargets"),
        ("serviceAccount.create=false", "serviceAccount.name is needed"),
        (
            "webhook.enabled=true",
            "webhook.tokenSecretRef.name or webhook.clientCaSecretRef.name",
        ),
        (
            "webhook.enabled=true,webhook.clientCaSecretRef.name=a",
            "needs webhook.tls.secretRef.name",
        ),
        ("webhook.tls.name=a", "tls"),
    ] {
        let said = refusal(&["--set", set]);
        assert!(said.contains(named), "{set}: {said}");
    }
}

#[test]
fn what_is_set_by_everything_is_all_that_there_is_to_set() {
    let everything = std::fs::read_to_string(values_file("everything")).unwrap();
    let set = helm::objects(&everything).unwrap().remove(0);
    // Seen with other values in the other files, or only of use without what is set here.
    let elsewhere = [
        "watchNamespaces",
        "allowSharedNamespaces",
        "fullnameOverride",
        "image.tag",
        "tests.enabled",
        "hostUsers",
        "crds.enabled",
        "crds.keep",
        "rbac.create",
        "rbac.aggregateClusterRoles",
        "rbac.podMonitors",
        "serviceAccount.create",
        "serviceMonitor.enabled",
        "prometheusRule.enabled",
        "grafanaDashboards.enabled",
        "grafanaDashboards.labels",
        "networkPolicy.enabled",
        "podDisruptionBudget.enabled",
    ];
    for path in all_leaves().keys() {
        let found = path.split('.').try_fold(&set, |value, name| value.get(name));
        assert!(
            found.is_some() || elsewhere.contains(&&**path),
            "ci/everything-values.yaml lacks {path}"
        );
    }
}
