//! Running other programs: their output goes through unchanged, and a failure names the command.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

use crate::tally::Tally;
use crate::workspace;

/// `cargo <arguments>` in the workspace's root.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command
        .args(arguments)
        .current_dir(workspace::root())
        .stdin(Stdio::null());
    for name in set_by_cargo_run() {
        command.env_remove(name);
    }
    command
}

/// What `cargo run` told this process about the package xtask. Handed on, some build scripts (ring's) would
/// see a changed environment and build again at every turn between `cargo build` and `cargo xtask`.
pub fn set_by_cargo_run() -> Vec<String> {
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        .collect()
}

/// Runs the command; anything but success is an error.
pub fn check(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    succeeded(command, status)
}

/// Runs a command that runs libtest binaries, passes its output through and adds up what their summary lines
/// say. The second value tells whether the command itself succeeded.
pub fn run_tests(command: &mut Command) -> Result<(Tally, Result<()>)> {
    println!("$ {}", shown(command));
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    let output = child.stdout.take().context("the child's output is not piped")?;
    let tally = pass_through(BufReader::new(output), &mut std::io::stdout())
        .with_context(|| format!("cannot pass on the output of `{}`", shown(command)))?;
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for `{}`", shown(command)))?;
    Ok((tally, succeeded(command, status)))
}

/// Copies line by line, so that a summary line is seen whole; output that is not UTF-8 is copied as it is.
fn pass_through(mut from: impl BufRead, to: &mut impl Write) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        to.flush()?;
        tally.add_line(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(tally)
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_goes_through_unchanged_and_is_counted() {
        let output: &[u8] =
            b"running 2 tests\n\xff\xfe\ntest result: ok. 2 passed; 0 failed; 0 ignored\nlast, no newline";
        let mut copied = Vec::new();
        let tally = pass_through(output, &mut copied).unwrap();
        assert_eq!(copied, output);
        assert_eq!(
            tally,
            Tally {
                passed: 2,
                failed: 0,
                ignored: 0
            }
        );
    }

    #[test]
    fn a_failing_command_is_named() {
        let mut command = Command::new("false");
        command.arg("--now");
        let error = check(&mut command).unwrap_err();
        assert!(
            error.to_string().starts_with("`false --now` ended with"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_command_is_named() {
        let error = check(&mut Command::new("no-such-program-here")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `no-such-program-here`");
    }
}
