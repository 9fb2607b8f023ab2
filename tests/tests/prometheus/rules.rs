//! The rules of monitoring/, as promtool sees them.

use std::collections::BTreeSet;

use crate::page::{PAGE, monitoring};
use crate::promtool;

/// Files of alerts, each with the file of its tests, and where the alerts that a mistake is planted into are.
const ALERTS: [(&str, &str); 2] = [
    ("alerting-rules.yaml", "rules-test.yaml"),
    ("operator-rules.yaml", "operator-rules-test.yaml"),
];

const RUNBOOK: &str = include_str!("../../../docs/runbook.md");

fn text(file: &str) -> String {
    std::fs::read_to_string(monitoring().join(file)).unwrap()
}

/// What stands behind `key: ` in a file of rules.
fn values(file: &str, key: &str) -> Vec<String> {
    let key = format!("{key}: ");
    let text = text(file);
    let values = text
        .lines()
        .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(&*key));
    values
        .map(|value| value.trim_matches(['"', ',']).to_owned())
        .collect()
}

fn alerts() -> BTreeSet<String> {
    ALERTS
        .iter()
        .flat_map(|(file, _)| values(file, "alert"))
        .collect()
}

#[test]
fn the_rules_are_rules_and_each_alert_fires_and_does_not() {
    let monitoring = monitoring();
    promtool::run(&monitoring, &["check", "rules", "recording-rules.yaml"]);
    for (file, test) in ALERTS {
        promtool::run(&monitoring, &["check", "rules", file]);
        promtool::run(&monitoring, &["test", "rules", test]);
        let tests = text(test);
        for alert in values(file, "alert") {
            let quiet = format!("alertname: {alert}, exp_alerts: []");
            let firing = format!("alertname: {alert}\n");
            assert!(
                tests.contains(&quiet) && tests.contains(&firing),
                "{alert} has no test"
            );
        }
    }
}

#[test]
fn the_page_has_every_alert_and_no_other() {
    let rows = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("| `Sluice")?.split_once('`'));
    let rows: BTreeSet<_> = rows.map(|(name, _)| format!("Sluice{name}")).collect();
    assert_eq!(rows, alerts());
}

#[test]
fn the_runbook_has_a_heading_for_every_alert_and_each_alert_leads_to_its_own() {
    let headings = RUNBOOK.lines().filter_map(|line| line.strip_prefix("## "));
    // The page has others, for what no alert tells of.
    let of_alerts = headings.filter(|heading| heading.starts_with("Sluice"));
    assert_eq!(of_alerts.map(str::to_owned).collect::<BTreeSet<_>>(), alerts());
    for (file, _) in ALERTS {
        let expected = values(file, "alert")
            .iter()
            .map(|alert| format!("docs/runbook.md#{}", alert.to_lowercase()))
            .collect::<Vec<_>>();
        assert_eq!(values(file, "runbook"), expected, "{file}");
    }
}

#[test]
fn every_alert_of_the_runbook_says_what_to_look_at_and_what_to_do() {
    for part in RUNBOOK.split("\n## ").skip(1) {
        let (heading, text) = part.split_once('\n').unwrap();
        // The next chapter's heading is not the alert's.
        let text = text.split("\n# ").next().unwrap();
        for wanted in ["\n**", "\nLook at", "\nDo"] {
            assert!(text.contains(wanted), "{heading} lacks {wanted:?}");
        }
    }
}

#[test]
fn a_rule_that_is_wrong_is_noticed() {
    for (file, test, right, wrong) in [
        ("alerting-rules.yaml", "rules-test.yaml", "> 100000", "> 100001"),
        ("alerting-rules.yaml", "rules-test.yaml", "> 0.99", "> 0.3"),
        ("operator-rules.yaml", "operator-rules-test.yaml", "== 1", "== 0"),
        (
            "operator-rules.yaml",
            "operator-rules-test.yaml",
            "for: 10m",
            "for: 30m",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        for copied in ["recording-rules.yaml", file, test] {
            std::fs::copy(monitoring().join(copied), dir.path().join(copied)).unwrap();
        }
        let rules = text(file);
        let changed = rules.replace(right, wrong);
        assert_ne!(changed, rules, "{right}");
        std::fs::write(dir.path().join(file), changed).unwrap();
        let (content, said) = promtool::ask(dir.path(), &["test", "rules", test]);
        assert!(!content, "{right} may be {wrong}:\n{said}");
    }
}
