//! The rules of monitoring/, as promtool sees them.

use std::collections::BTreeSet;
use std::process::Command;

use crate::page::{PAGE, monitoring};

fn promtool(arguments: &[&str]) -> String {
    let mut command = Command::new("promtool");
    let run = command.args(arguments).current_dir(monitoring()).output();
    let output = run.expect("promtool is there: Debian's package prometheus brings it");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}:\n{said}");
    said
}

/// The names behind `key: ` in a file of rules.
fn names(file: &str, key: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(monitoring().join(file)).unwrap();
    let key = format!("{key}: ");
    let names = text
        .lines()
        .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(&*key));
    names
        .map(|name| name.trim_matches(['"', ',']).to_owned())
        .collect()
}

#[test]
fn the_rules_are_rules_and_each_alert_fires_and_does_not() {
    promtool(&["check", "rules", "recording-rules.yaml", "alerting-rules.yaml"]);
    promtool(&["test", "rules", "rules-test.yaml"]);
    let tests = std::fs::read_to_string(monitoring().join("rules-test.yaml")).unwrap();
    for alert in names("alerting-rules.yaml", "alert") {
        let quiet = format!("alertname: {alert}, exp_alerts: []");
        let firing = format!("alertname: {alert}\n");
        assert!(
            tests.contains(&quiet) && tests.contains(&firing),
            "{alert} has no test"
        );
    }
}

#[test]
fn the_page_has_every_alert_and_no_other() {
    let rows = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("| `Sluice")?.split_once('`'));
    let rows: BTreeSet<_> = rows.map(|(name, _)| format!("Sluice{name}")).collect();
    assert_eq!(rows, names("alerting-rules.yaml", "alert"));
}

#[test]
fn a_rule_that_is_wrong_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["recording-rules.yaml", "rules-test.yaml"] {
        std::fs::copy(monitoring().join(file), dir.path().join(file)).unwrap();
    }
    let alerts = std::fs::read_to_string(monitoring().join("alerting-rules.yaml")).unwrap();
    let wrong = alerts.replace("> 100000", "> 100001");
    assert_ne!(wrong, alerts);
    std::fs::write(dir.path().join("alerting-rules.yaml"), wrong).unwrap();
    let run = Command::new("promtool")
        .args(["test", "rules", "rules-test.yaml"])
        .current_dir(dir.path())
        .output();
    assert!(!run.unwrap().status.success());
}
