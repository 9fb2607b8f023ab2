//! The system suites: the integration tests of the package `sluice-tests`, found, not listed.

use anyhow::{Result, bail};
use cargo_metadata::{Metadata, TargetKind};

use crate::workspace::SYSTEM_TESTS;

/// The names of all system suites, sorted.
pub fn of_system(metadata: &Metadata) -> Vec<String> {
    let mut suites: Vec<_> = integration_tests(metadata)
        .filter(|(package, _)| *package == SYSTEM_TESTS)
        .map(|(_, suite)| suite.to_owned())
        .collect();
    suites.sort_unstable();
    suites
}

/// The names of the integration tests of all other packages, sorted.
pub fn elsewhere(metadata: &Metadata) -> Vec<String> {
    let mut tests: Vec<_> = integration_tests(metadata)
        .filter(|(package, _)| *package != SYSTEM_TESTS)
        .map(|(_, test)| test.to_owned())
        .collect();
    tests.sort_unstable();
    tests.dedup();
    tests
}

/// Those of `all` that are asked for, in the order of `all`; all of them if none is named.
pub fn choose(what: &str, all: &[String], asked: &[String]) -> Result<Vec<String>> {
    if let Some(unknown) = asked.iter().find(|name| !all.contains(name)) {
        bail!(
            "there is no {what} named {unknown}; there are: {}",
            all.join(", ")
        );
    }
    Ok(all
        .iter()
        .filter(|suite| asked.is_empty() || asked.contains(suite))
        .cloned()
        .collect())
}

/// (package, suite)
fn integration_tests(metadata: &Metadata) -> impl Iterator<Item = (&str, &str)> {
    metadata.workspace_packages().into_iter().flat_map(|package| {
        let tests = package
            .targets
            .iter()
            .filter(|target| target.kind.contains(&TargetKind::Test));
        tests.map(|target| (package.name.as_str(), target.name.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn without_a_choice_every_suite_runs() {
        let all = names(&["crash", "java"]);
        assert_eq!(choose("suite", &all, &[]).unwrap(), all);
    }

    #[test]
    fn chosen_suites_run_once_and_in_order() {
        let all = names(&["crash", "java", "load"]);
        assert_eq!(
            choose("suite", &all, &names(&["load", "crash", "load"])).unwrap(),
            names(&["crash", "load"])
        );
    }

    #[test]
    fn an_unknown_suite_is_refused_with_those_there_are() {
        let error = choose("suite", &names(&["crash", "java"]), &names(&["jawa"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no suite named jawa; there are: crash, java"
        );
    }
}
