//! Monitors, rules and dashboards: where they can be, and from the files of monitoring/.

use serde_json::{Value, json};
use sluice_tests::kube::helm;
use sluice_tests::{binaries, dashboards};

use crate::stage::{MONITORS, of_kind, render, render_file, the};

const KINDS: [&str; 3] = ["ServiceMonitor", "PodMonitor", "PrometheusRule"];
const FILES: [&str; 3] = [
    "alerting-rules.yaml",
    "operator-rules.yaml",
    "recording-rules.yaml",
];

/// The groups of the repository's rules, in the order of the files' names.
fn groups_of_repository() -> Vec<Value> {
    let mut groups = Vec::new();
    for file in FILES {
        let text = std::fs::read_to_string(binaries::workspace().join("monitoring").join(file)).unwrap();
        let content = helm::objects(&text).unwrap().remove(0);
        groups.extend(content["groups"].as_array().unwrap().clone());
    }
    groups
}

fn rules(objects: &[Value]) -> Vec<Value> {
    let groups = the(objects, "PrometheusRule")["spec"]["groups"]
        .as_array()
        .unwrap();
    groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .collect()
}

fn alert<'a>(rules: &'a [Value], name: &str) -> Option<&'a Value> {
    rules.iter().find(|rule| rule["alert"] == name)
}

#[test]
fn there_are_monitors_and_rules_only_where_their_kinds_are_known_and_wanted() {
    let with = |arguments: &[&str]| -> Vec<&str> {
        let objects = render(arguments);
        KINDS
            .into_iter()
            .filter(|kind| !of_kind(&objects, kind).is_empty())
            .collect()
    };
    assert_eq!(with(&["--set", "podMonitor.enabled=true"]), [""; 0]);
    assert_eq!(with(&MONITORS), ["ServiceMonitor", "PrometheusRule"]);
    assert_eq!(
        with(&[&MONITORS[..], &["--set", "podMonitor.enabled=true"]].concat()),
        KINDS
    );
    for (index, kind) in ["serviceMonitor", "podMonitor", "prometheusRule"]
        .into_iter()
        .enumerate()
    {
        let off = format!("podMonitor.enabled=true,{kind}.enabled=false");
        let found = with(&[&MONITORS[..], &["--set", &off]].concat());
        assert!(!found.contains(&KINDS[index]) && found.len() == 2, "{found:?}");
    }
}

#[test]
fn the_rules_are_the_repositorys_to_the_last_word() {
    let objects = render(&MONITORS);
    let groups = the(&objects, "PrometheusRule")["spec"]["groups"]
        .as_array()
        .unwrap();
    assert_eq!(*groups, groups_of_repository());
}

#[test]
fn the_threshold_of_a_backlog_is_a_value_everywhere() {
    let threshold =
        |rules: &[Value], name: &str| alert(rules, name).unwrap()["expr"].as_str().unwrap().to_owned();
    let usual = rules(&render(&MONITORS));
    let changed = rules(&render_file("everything"));
    for (name, times) in [("SluiceQueueLag", 1), ("SluiceLagGrowing", 2)] {
        let (usual, changed) = (threshold(&usual, name), threshold(&changed, name));
        assert_eq!(usual.matches("100000").count(), times, "{usual}");
        assert_eq!(changed, usual.replace("100000", "5000000"));
    }
}

#[test]
fn alerts_can_be_left_out_and_lead_to_the_runbook() {
    let usual = rules(&render(&MONITORS));
    let changed = rules(&render_file("everything"));
    assert_eq!(changed.len(), usual.len() - 1);
    assert!(alert(&usual, "SluiceResourceNotReady").is_some());
    assert!(alert(&changed, "SluiceResourceNotReady").is_none());
    for rule in changed.iter().filter(|rule| rule["alert"].is_string()) {
        let heading = rule["alert"].as_str().unwrap().to_lowercase();
        assert_eq!(
            rule["annotations"]["runbook_url"],
            format!("https://example.org/runbook#{heading}")
        );
    }
    assert!(
        usual
            .iter()
            .all(|rule| rule["annotations"].get("runbook_url").is_none())
    );
}

#[test]
fn the_jobs_are_called_as_the_rules_call_them() {
    let objects = render_file("everything");
    for (kind, endpoints, job) in [
        ("ServiceMonitor", "endpoints", "sluice-operator"),
        ("PodMonitor", "podMetricsEndpoints", "sluice"),
    ] {
        let endpoint = &the(&objects, kind)["spec"][endpoints][0];
        let named = json!({"targetLabel": "job", "replacement": job, "action": "replace"});
        assert_eq!(endpoint["relabelings"][0], named, "{kind}");
    }
    let texts: Vec<_> = FILES
        .iter()
        .map(|file| std::fs::read_to_string(binaries::workspace().join("monitoring").join(file)).unwrap())
        .collect();
    let jobs: Vec<_> = texts
        .iter()
        .flat_map(|text| text.split("job=\"").skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(
        jobs.len() > 3 && jobs.iter().all(|job| ["sluice", "sluice-operator"].contains(job)),
        "{jobs:?}"
    );
}

#[test]
fn each_dashboard_has_a_config_map_with_the_label_that_grafana_looks_for() {
    let objects = render_file("everything");
    let labelled: Vec<_> = of_kind(&objects, "ConfigMap")
        .into_iter()
        .filter(|object| object["metadata"]["labels"]["grafana_dashboard"] == "1")
        .collect();
    let dashboards = dashboards::all().unwrap();
    assert_eq!(labelled.len(), dashboards.len());
    for (object, (name, content)) in labelled.iter().zip(&dashboards) {
        assert_eq!(object["metadata"]["namespace"], "monitoring");
        assert_eq!(object["metadata"]["annotations"]["grafana_folder"], "Sluice");
        let text = object["data"][format!("sluice-{name}.json")].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), *content);
    }
}
