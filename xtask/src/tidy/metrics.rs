//! What reads metrics names metrics that exist: rules and queries are not told of a wrong name, they are just empty.

use std::collections::BTreeSet;

use super::Violation;
use super::tree::{File, Tree};

/// The pages with tables of metrics, and with queries.
const PAGES: [&str; 3] = [
    "docs/metrics.md",
    "docs/operator-metrics.md",
    "docs/monitoring-on-kubernetes.md",
];

/// Rules and their tests. The queries of dashboards are a suite's.
const MONITORING: &str = "monitoring/";
const RULES: &str = ".yaml";

/// What the names of our metrics begin with.
const PREFIXES: [&str; 3] = ["rocketmq_", "sluice_", "process_"];

/// How the names of a metric's series end.
const HISTOGRAM: &[&str] = &["_bucket", "_sum", "_count"];
const OTHERS: &[&str] = &[""];

/// Every metric that a rule or a query of a page names has a row on a page, or is recorded by a rule.
pub fn only_metrics_that_exist_are_asked_for(tree: &Tree) -> Vec<Violation> {
    let pages = || PAGES.iter().filter_map(|page| tree.file(page));
    let mut known: BTreeSet<String> = pages().flat_map(series).collect();
    let is_rules = |path: &str| path.starts_with(MONITORING) && path.ends_with(RULES);
    let monitoring = || tree.files.iter().filter(|file| is_rules(&file.path));
    for file in monitoring() {
        let recorded = file.text.lines().filter_map(|line| line.split_once("record: "));
        known.extend(recorded.map(|(_, name)| name.trim().to_owned()));
    }
    let asked = monitoring().flat_map(|file| lines(file).map(move |line| (file, line)));
    let asked = asked.chain(pages().flat_map(|page| queries(page).map(move |line| (page, line))));
    let mut violations = Vec::new();
    for (file, (line, number)) in asked {
        for name in names(line).filter(|name| !known.contains(*name)) {
            let message = format!(
                "there is no metric {name}: no page of metrics has a row for it, and no rule records it"
            );
            violations.push(Violation::new(&file.path, number, message));
        }
    }
    violations
}

/// The names of all series that a page's tables have.
fn series(page: &File) -> BTreeSet<String> {
    let rows = page
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let series = rows.flat_map(|(name, rest)| {
        let ends = if rest.starts_with("histogram ") {
            HISTOGRAM
        } else {
            OTHERS
        };
        ends.iter().map(move |end| format!("{name}{end}"))
    });
    series.collect()
}

/// The lines of a file but for comments.
fn lines(file: &File) -> impl Iterator<Item = (&str, usize)> {
    let lines = file.text.lines().zip(1..);
    lines.filter(|(line, _)| !line.trim_start().starts_with('#'))
}

/// The lines of a page's queries.
fn queries(page: &File) -> impl Iterator<Item = (&str, usize)> {
    let mut inside = false;
    page.text.lines().zip(1..).filter(move |(line, _)| {
        match *line {
            "```promql" => inside = true,
            "```" => inside = false,
            _ => return inside,
        }
        false
    })
}

/// The words outside of quotes that look like metrics of ours.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let unquoted = line.split('"').step_by(2);
    let words = unquoted
        .flat_map(|text| text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))));
    let is_ours = |part: &str| PREFIXES.iter().any(|prefix| part.starts_with(prefix));
    words
        .map(|word| word.trim_matches(':'))
        .filter(move |word| word.split(':').any(is_ours))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::{passes, places};

    const PAGE: &str = PAGES[0];
    const ROWS: &str = "| `sluice_depth` | gauge | | x |\n| `sluice_time_seconds` | histogram | | x |\n\n";

    #[test]
    fn metrics_of_the_page_and_of_rules_pass() {
        let page = format!(
            "{ROWS}sluice_store is a crate\n\n```promql\nrate(sluice_time_seconds_bucket[5m]) > topic:sluice_depth:sum{{reason=\"process_died\"}}\n```\n"
        );
        let rules = "# sluice_gone was renamed\n- record: topic:sluice_depth:sum\n  expr: sum by (topic) (sluice_depth)\n";
        let of_operator = "| `sluice_operator_leader` | gauge | | x |\n";
        let of_leader = "- expr: sluice_operator_leader == 0\n";
        passes(
            only_metrics_that_exist_are_asked_for,
            &[
                (PAGE, &page),
                (PAGES[1], of_operator),
                ("monitoring/rules.yaml", rules),
                ("monitoring/more.yaml", of_leader),
            ],
        );
    }

    #[test]
    fn a_metric_that_is_not_there_is_caught_in_rules_and_in_queries() {
        let page = format!("{ROWS}```promql\nsluice_dept\n```\n");
        let rules =
            "- expr: sluice_depth > 1\n- expr: rocketmq_lag + sluice_depth\n- expr: group:sluice_depth:sum\n";
        assert_eq!(
            places(
                only_metrics_that_exist_are_asked_for,
                &[(PAGE, &page), ("monitoring/rules.yaml", rules)]
            ),
            [
                "monitoring/rules.yaml:2",
                "monitoring/rules.yaml:3",
                "docs/metrics.md:5"
            ]
        );
    }
}
