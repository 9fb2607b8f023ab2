//! Running other programs: their output goes through unchanged, and a failure names the command.

use std::io::Write;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::panics::Panics;
use crate::tally::Tally;
use crate::{silence, workspace};

/// What libtest binaries said, and how their command ended.
pub struct Tested {
    pub tally: Tally,
    pub panics: Panics,
    pub ended: Result<()>,
}

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

/// Runs a command that runs libtest binaries, passes its output through, adds up what their summary lines say and keeps why
/// tests failed. One that is silent for `longest` is killed.
pub fn run_tests(command: &mut Command, longest: Duration) -> Result<Tested> {
    println!("$ {}", shown(command));
    let (output, to) = std::io::pipe().context("cannot make a pipe")?;
    // One pipe for both, so that what is printed keeps its order.
    command.stdout(to.try_clone()?).stderr(to);
    let started = command.spawn();
    // The command holds the pipe open for as long as it lives.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = started.with_context(|| format!("cannot start `{}`", shown(command)))?;
    let mut counted = Counted::default();
    let heard = silence::pass_on(output, longest, |piece| {
        counted.add(piece);
        let mut to = std::io::stdout();
        to.write_all(piece)?;
        Ok(to.flush()?)
    });
    if let Err(error) = heard {
        silence::kill_with_descendants(child.id())?;
        child.wait()?;
        let last = String::from_utf8_lossy(&counted.line).into_owned();
        let error = error.context(format!(
            "`{}` hangs, and was killed at \"{last}\"",
            shown(command)
        ));
        return Ok(counted.tested(Err(error)));
    }
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for `{}`", shown(command)))?;
    Ok(counted.tested(succeeded(command, status)))
}

/// Summary lines added up, and panics kept, from output that comes in pieces.
#[derive(Default)]
struct Counted {
    tally: Tally,
    panics: Panics,
    /// What came of the last line; kept whole until another one begins.
    line: Vec<u8>,
}

impl Counted {
    fn add(&mut self, piece: &[u8]) {
        for &byte in piece {
            if self.line.last() == Some(&b'\n') {
                self.line.clear();
            }
            self.line.push(byte);
            if byte == b'\n' {
                let line = String::from_utf8_lossy(&self.line);
                self.tally.add_line(&line);
                self.panics.add_line(&line);
            }
        }
    }

    fn tested(self, ended: Result<()>) -> Tested {
        let Self { tally, panics, .. } = self;
        Tested { tally, panics, ended }
    }
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
    fn output_is_counted_in_whatever_pieces_it_comes() {
        let output: &[u8] =
            b"running 2 tests\n\xff\xfe\ntest result: ok. 2 passed; 0 failed; 0 ignored\ntest last ... ";
        for size in [1, 7, output.len()] {
            let mut counted = Counted::default();
            output.chunks(size).for_each(|piece| counted.add(piece));
            let expected = Tally {
                passed: 2,
                failed: 0,
                ignored: 0,
            };
            assert_eq!(counted.tally, expected);
            assert_eq!(counted.line, b"test last ... ");
        }
    }

    #[test]
    fn a_command_that_hangs_is_killed_and_named_with_its_last_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "printf 'test that waits ... '; sleep 1000"]);
        let tested = run_tests(&mut command, Duration::from_secs(3)).unwrap();
        let error = format!("{:#}", tested.ended.unwrap_err());
        assert!(error.contains("sleep 1000` hangs"), "{error}");
        assert!(error.contains("\"test that waits ... \""), "{error}");
    }

    #[test]
    fn why_a_test_failed_is_kept_whichever_way_it_was_printed() {
        let panic = "thread 't' panicked at it.rs:1:1:\\nit broke, by 3\\n\\n";
        for to in ["", " >&2"] {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("printf \"{panic}\"{to}; exit 101")]);
            let tested = run_tests(&mut command, Duration::from_secs(60)).unwrap();
            assert!(tested.ended.is_err());
            let said: Vec<_> = tested.panics.lines().collect();
            assert_eq!(said, ["thread 't' panicked at it.rs:1:1:", "it broke, by 3"]);
        }
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
