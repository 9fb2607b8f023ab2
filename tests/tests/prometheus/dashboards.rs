//! The dashboards of monitoring/: each query is PromQL and asks for metrics that exist.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sluice_tests::dashboards::{self, Query};

use crate::page::monitoring;
use crate::promtool;

/// The pages with tables of metrics.
const PAGES: [&str; 3] = ["metrics.md", "operator-metrics.md", "monitoring-on-kubernetes.md"];

/// Metrics of Prometheus itself.
const OF_PROMETHEUS: [&str; 1] = ["up"];

fn all_queries() -> Vec<Query> {
    let mut queries = dashboards::queries().unwrap();
    assert!(queries.len() > 50, "{} queries are not all", queries.len());
    queries.extend(dashboards::selectors_of_variables().unwrap());
    queries
}

/// Every name of a series that a page has a row for, or a rule records.
fn known() -> BTreeSet<String> {
    let mut known: BTreeSet<String> = OF_PROMETHEUS.iter().map(|&name| name.to_owned()).collect();
    for page in PAGES {
        let text = std::fs::read_to_string(monitoring().join("../docs").join(page)).unwrap();
        let rows = text
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
        for (name, rest) in rows {
            let ends: &[&str] = match rest.starts_with("histogram ") {
                true => &["_bucket", "_sum", "_count"],
                false => &[""],
            };
            known.extend(ends.iter().map(|end| format!("{name}{end}")));
        }
    }
    for file in ["recording-rules.yaml", "operator-rules.yaml"] {
        let text = std::fs::read_to_string(monitoring().join(file)).unwrap();
        let recorded = text.lines().filter_map(|line| line.split_once("record: "));
        known.extend(recorded.map(|(_, name)| name.trim().to_owned()));
    }
    known
}

/// The words of a query that stand where a metric's name can: in front of a selector or a range, or at an end.
fn metrics(promql: &str) -> BTreeSet<&str> {
    let in_selectors_left_out = promql.split('{').enumerate().flat_map(|(index, part)| {
        let outside = if index == 0 {
            part
        } else {
            part.split_once('}').map_or("", |(_, rest)| rest)
        };
        // The labels of `by (…)` and `on (…)` are none.
        outside.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':')))
    });
    let ours = |word: &&str| {
        word.split(':').any(|part| {
            ["rocketmq_", "sluice_", "process_", "kube_sluice_"]
                .iter()
                .any(|prefix| part.starts_with(prefix))
        }) || OF_PROMETHEUS.contains(word)
    };
    in_selectors_left_out.filter(ours).collect()
}

#[test]
fn every_query_asks_for_metrics_that_exist() {
    let known = known();
    for query in all_queries() {
        let metrics = metrics(&query.promql);
        assert!(!metrics.is_empty(), "{query:?} asks for no metric");
        for metric in metrics {
            assert!(known.contains(metric), "there is no {metric}: {query:?}");
        }
    }
}

/// What the alerts on the store are about, and what its keys are set by.
const OF_THE_STORE: [&str; 8] = [
    "sluice_data_disk_used_ratio",
    "sluice_data_disk_mark_ratio",
    "sluice_data_disk_level",
    "sluice_retention_blocked",
    "sluice_retention_size_limit_bytes",
    "sluice_scrub_bytes_total",
    "sluice_scrub_rounds_total",
    "sluice_scrub_findings_total",
];

#[test]
fn the_dashboard_of_storage_shows_retention_damage_the_scrub_and_the_marks_of_the_disk() {
    let queries = dashboards::queries().unwrap();
    let of_storage: Vec<_> = queries
        .iter()
        .filter(|query| query.dashboard == "storage")
        .collect();
    for metric in OF_THE_STORE {
        let is_shown = of_storage
            .iter()
            .any(|query| metrics(&query.promql).contains(metric));
        assert!(is_shown, "no panel shows {metric}");
    }
}

#[test]
fn every_query_is_promql() {
    let folder = tempfile::tempdir().unwrap();
    let mut rules = "groups:\n  - name: dashboards\n    rules:\n".to_owned();
    for (index, query) in all_queries().iter().enumerate() {
        let promql = serde_json::to_string(&query.promql).unwrap();
        writeln!(rules, "      - record: query_{index}\n        expr: {promql}").unwrap();
    }
    let file = folder.path().join("rules.yaml");
    std::fs::write(&file, &rules).unwrap();
    promtool::run(folder.path(), &["check", "rules", "rules.yaml"]);
    std::fs::write(&file, rules.replacen("expr: \"", "expr: \"((", 1)).unwrap();
    let (content, _) = promtool::ask(folder.path(), &["check", "rules", "rules.yaml"]);
    assert!(!content, "promtool takes what is no PromQL");
}

#[test]
fn dashboards_can_be_told_apart_and_take_any_prometheus() {
    let dashboards = dashboards::all().unwrap();
    let uids: BTreeSet<_> = dashboards
        .iter()
        .map(|(_, content)| content["uid"].as_str().unwrap())
        .collect();
    assert_eq!(
        uids,
        BTreeSet::from([
            "sluice-groups",
            "sluice-overview",
            "sluice-storage",
            "sluice-topics"
        ])
    );
    for (name, content) in &dashboards {
        assert_eq!(content["uid"], format!("sluice-{name}"));
        let panels = content["panels"].as_array().unwrap();
        let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{name} has two panels of one id");
        for panel in panels.iter().filter(|panel| panel["type"] != "row") {
            assert_eq!(
                panel["datasource"]["uid"], "${datasource}",
                "{name}: {}",
                panel["title"]
            );
        }
    }
}
