//! monitoring/kube-state-metrics.yaml: what it reads is in the definitions, and what it makes is on the page.

use std::collections::BTreeSet;

use serde_json::Value;
use sluice_tests::binaries;
use sluice_tests::kube::helm;

use crate::stage::texts;

const PAGE: &str = include_str!("../../../docs/monitoring-on-kubernetes.md");

fn of_repository(file: &str) -> Value {
    let text = std::fs::read_to_string(binaries::workspace().join(file)).unwrap();
    helm::objects(&text).unwrap().remove(0)
}

fn resources() -> Vec<Value> {
    let configuration = of_repository("monitoring/kube-state-metrics.yaml");
    assert_eq!(configuration["kind"], "CustomResourceStateMetrics");
    configuration["spec"]["resources"].as_array().unwrap().clone()
}

/// The schema of what a path leads to; of an array's elements where it leads to an array.
fn follow<'a>(schema: &'a Value, path: &Value) -> Option<&'a Value> {
    let mut schema = schema;
    for name in texts(path) {
        // Every object has metadata, which no definition describes.
        if name == "metadata" {
            return Some(schema);
        }
        schema = schema["properties"].get(name)?;
        schema = schema.get("items").unwrap_or(schema);
    }
    Some(schema)
}

#[test]
fn every_path_leads_to_something_in_the_definition() {
    for resource in resources() {
        let kind = resource["groupVersionKind"]["kind"].as_str().unwrap();
        let definition = of_repository(&format!("crds/{}s.yaml", kind.to_lowercase()));
        let version = &definition["spec"]["versions"][0];
        assert_eq!(version["name"], resource["groupVersionKind"]["version"]);
        assert_eq!(definition["spec"]["group"], resource["groupVersionKind"]["group"]);
        let schema = &version["schema"]["openAPIV3Schema"];
        let leads =
            |schema: &Value, path: &Value| assert!(follow(schema, path).is_some(), "{kind} has no {path}");
        for path in resource["labelsFromPath"].as_object().unwrap().values() {
            leads(schema, path);
        }
        for metric in resource["metrics"].as_array().unwrap() {
            let gauge = &metric["each"]["gauge"];
            leads(schema, &gauge["path"]);
            let target = follow(schema, &gauge["path"]).unwrap();
            for path in gauge["labelsFromPath"]
                .as_object()
                .into_iter()
                .flat_map(|labels| labels.values())
            {
                leads(target, path);
            }
            match gauge.get("valueFrom") {
                Some(path) => leads(target, path),
                None => assert!(
                    matches!(target["type"].as_str(), Some("integer" | "number" | "boolean")),
                    "{metric}"
                ),
            }
        }
    }
}

#[test]
fn the_page_has_every_metric_and_no_other() {
    let mut made = BTreeSet::new();
    for resource in resources() {
        let prefix = resource["metricNamePrefix"].as_str().unwrap();
        for metric in resource["metrics"].as_array().unwrap() {
            assert!(metric["help"].is_string());
            made.insert(format!("{prefix}_{}", metric["name"].as_str().unwrap()));
        }
    }
    let rows = PAGE.lines().filter(|line| line.starts_with("| `kube_"));
    let names = rows.flat_map(|row| row.split(" | ").next().unwrap_or_default().split('`'));
    let names = names.filter(|name| name.starts_with("kube_")).map(str::to_owned);
    assert_eq!(names.collect::<BTreeSet<_>>(), made);
}
