//! `cargo xtask fuzz`: the fuzz targets for as long as one likes, optimised. As a step of `cargo xtask test` they run for ten
//! seconds each, in what is built for the unit tests already.

use std::fs;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::cargo;
use crate::run::{Expected, LONGEST_SILENCE, Run};
use crate::{suites, workspace};

/// A file or a folder each.
const TARGETS: &str = "broker/src/fuzz/targets";
/// Tells the targets for how long they run.
const TIME_MS: &str = "BOLERO_RANDOM_TEST_TIME_MS";
const SECONDS_IN_TESTS: u64 = 10;

#[derive(clap::Args)]
pub struct FuzzArgs {
    /// Run only this target; without it all run, one after the other
    target: Option<String>,
    /// For how long each of them runs
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=7 * 24 * 3600))]
    seconds: u64,
    /// List the targets and run nothing
    #[arg(long, conflicts_with_all = ["target", "seconds"])]
    list: bool,
}

/// Runs what the arguments ask for. The first run builds the broker's tests once more, optimised.
pub fn fuzz(args: &FuzzArgs) -> Result<ExitCode> {
    let all = targets()?;
    if args.list {
        all.iter().for_each(|target| println!("{target}"));
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = suites::choose("fuzz target", &all, args.target.as_slice())?;
    let mut run = Run::start();
    run.bear_silence(LONGEST_SILENCE + Duration::from_secs(args.seconds));
    for target in &chosen {
        let title = format!("fuzz target {target} ({} s)", args.seconds);
        run.tests(&title, Expected::AtLeastOne, optimised(target, args.seconds));
    }
    Ok(run.finish())
}

/// All targets, a little of each, with the proofs that they find what was planted.
pub fn step(run: &mut Run) {
    let title = format!("fuzz targets, {SECONDS_IN_TESTS} s each");
    let mut command = cargo(&["test", "--locked", "--workspace", "--lib", "--no-fail-fast", "--"]);
    command
        .args(["--test-threads=1", "fuzz::"])
        .env(TIME_MS, millis(SECONDS_IN_TESTS));
    run.tests(&title, Expected::AtLeastOne, command);
}

/// What it says at its end is its figures: it is not to be kept from the terminal.
fn optimised(target: &str, seconds: u64) -> Command {
    let mut command = cargo(&[
        "test",
        "--locked",
        "--profile",
        "fuzz",
        "-p",
        "sluice-broker",
        "--lib",
        "--",
    ]);
    command
        .args(["--nocapture", "--test-threads=1", "--skip", "planted"])
        .arg(format!("fuzz::targets::{target}::"))
        .env(TIME_MS, millis(seconds));
    command
}

fn millis(seconds: u64) -> String {
    (seconds * 1000).to_string()
}

/// The names of all targets, sorted.
fn targets() -> Result<Vec<String>> {
    let folder = workspace::root().join(TARGETS);
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut targets = Vec::new();
    for entry in entries {
        let path = entry?.path();
        targets.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    targets.retain(|name| name != "mod");
    targets.sort_unstable();
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_and_folder_is_a_target() {
        let targets = targets().unwrap();
        for name in ["frame", "requests", "sniff"] {
            assert!(
                targets.iter().any(|target| target == name),
                "{name} of {targets:?}"
            );
        }
        assert!(!targets.iter().any(|target| target == "mod"));
    }

    #[test]
    fn a_target_is_run_alone_and_for_its_time() {
        let command = optimised("frame", 900);
        let shown = crate::process::shown(&command);
        assert!(
            shown.ends_with("--skip planted fuzz::targets::frame::"),
            "{shown}"
        );
        let time = command.get_envs().find(|(name, _)| *name == TIME_MS).unwrap();
        assert_eq!(time.1.unwrap(), "900000");
    }
}
