//! The rules of the house that no compiler checks. Each rule is a function from the tree to what violates it;
//! only `tree.rs` reads files.

mod attributes;
mod configuration;
mod edges;
mod hygiene;
mod links;
mod manifests;
mod markers;
mod metrics;
mod pages;
mod sizes;
mod tokens;
mod tree;
mod unsafety;

use std::fmt;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::run::Run;
use tree::Tree;

/// One place that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    path: String,
    /// From 1; the first line where a file as a whole is meant.
    line: usize,
    message: String,
}

type Rule = fn(&Tree) -> Vec<Violation>;

/// Package edges and manifests, then Rust source, then text.
const RULES: &[Rule] = &[
    edges::follow_the_design,
    edges::crates_stay_where_they_belong,
    manifests::lints_are_inherited,
    tokens::source_can_be_read,
    sizes::files_are_short,
    attributes::lints_are_relaxed_for_a_reason,
    attributes::no_test_is_ignored,
    unsafety::unsafe_is_in_one_file,
    unsafety::core_is_pure,
    markers::no_unfinished_work,
    hygiene::text_names_no_outside_place,
    links::links_resolve,
    configuration::keys_and_page_agree,
    metrics::only_metrics_that_exist_are_asked_for,
    pages::every_suite_is_described,
    pages::every_variable_is_documented,
    pages::tool_versions_are_stated,
];

/// `cargo xtask tidy`.
pub fn tidy() -> Result<ExitCode> {
    let mut run = Run::start();
    run.step("rules of the house", check_workspace);
    Ok(run.finish())
}

/// Reports all violations, then fails if there is one.
pub fn check_workspace() -> Result<()> {
    let tree = Tree::load()?;
    let violations = violations(&tree);
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        bail!("{} violations", violations.len());
    }
    println!("{} files keep {} rules", tree.files.len(), RULES.len());
    Ok(())
}

fn violations(tree: &Tree) -> Vec<Violation> {
    let mut all: Vec<_> = RULES.iter().flat_map(|rule| rule(tree)).collect();
    all.sort();
    all.dedup();
    all
}

impl Violation {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.message)
    }
}

#[cfg(test)]
mod testing {
    use super::tree::Tree;
    use super::{Rule, Violation};

    /// The places (`path:line`) at which a rule finds the given files to break it.
    pub fn places(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
        let found = rule(&Tree::of_files(files));
        found
            .iter()
            .map(|Violation { path, line, .. }| format!("{path}:{line}"))
            .collect()
    }

    /// The rule finds nothing to say about the files.
    pub fn passes(rule: Rule, files: &[(&str, &str)]) {
        assert_eq!(rule(&Tree::of_files(files)), []);
    }
}
