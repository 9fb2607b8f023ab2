//! What the operator takes of the machine with many resources. The system suite that counts its writes measures it, too.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};

use super::Setup;
use super::table::{Goal, Table};
use crate::process::shown;
use crate::test::of_workspace;

const SUITE: &str = "operator_scaling";
/// All of its tests with so many.
const TESTS: &str = "load::";
/// Of each kind.
const COUNT: &str = "1000";
/// What stands before each figure in what the suite prints.
const FIGURE: &str = "figure: ";

/// Runs the suite's test with the optimised programs.
pub fn measure(setup: &Setup) -> Result<Table> {
    let mut table = Table::new(format!("{COUNT} topics and {COUNT} groups"))
        .with_goal("all are made: s", Goal::AtMost(60.0))
        .with_goal("steady: percent of a core", Goal::AtMost(5.0))
        .with_goal("steady: memory, MiB", Goal::AtMost(100.0))
        .with_goal("all scaled: percent of a core", Goal::AtMost(5.0))
        .with_goal("all scaled: memory, MiB", Goal::AtMost(100.0));
    for _ in 0..setup.runs {
        let mut command = of_workspace(&[SUITE.to_owned()]);
        command
            .args(["--", "--nocapture", "--test-threads=1", TESTS])
            .env("SLUICE_BIN_DIR", &setup.programs)
            .env("SLUICE_OPERATOR_OBJECTS", COUNT);
        let output = command.stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("cannot start `{}`", shown(&command)))?;
        let printed = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "the suite {SUITE} failed:\n{printed}");
        let figures = printed.lines().filter_map(|line| line.split_once(FIGURE));
        let mut found = 0;
        for (_, figure) in figures {
            let (name, value) = figure.split_once(" = ").context("a figure without a value")?;
            table.add(name, value.parse().with_context(|| figure.to_owned())?);
            found += 1;
        }
        ensure!(found > 0, "the suite {SUITE} has printed no figure:\n{printed}");
    }
    Ok(table)
}
