//! Licences, bans and sources of all dependencies, by cargo-deny and deny.toml.
//!
//! Advisories stay outside: a report published overnight is no reason for a test that passed yesterday to
//! fail today.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::process::{cargo, check};
use crate::run::Run;

/// Pinned, so that a new release of the tool never changes what passes.
const VERSION: &str = "0.20.2";

/// `cargo xtask deny`.
pub fn deny() -> Result<ExitCode> {
    let mut run = Run::start();
    step(&mut run);
    Ok(run.finish())
}

/// The check as a step of a run; cargo-deny is built first where it is not installed (one to two minutes).
pub fn step(run: &mut Run) {
    run.step("licences, bans and sources of the dependencies", || {
        install()?;
        check(&mut cargo(&[
            "deny",
            "--locked",
            "--workspace",
            "check",
            "bans",
            "licenses",
            "sources",
        ]))
    });
}

fn install() -> Result<()> {
    let answer = Command::new("cargo-deny").arg("--version").output();
    if answer.is_ok_and(|answer| is_pinned(&String::from_utf8_lossy(&answer.stdout))) {
        return Ok(());
    }
    println!("cargo-deny {VERSION} missing; installing it with cargo");
    let mut install = cargo(&[
        "install",
        "cargo-deny",
        "--locked",
        "--force",
        "--version",
        VERSION,
    ]);
    // It works for seconds: to optimise it takes far longer than that.
    install
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "256");
    check(&mut install)
}

/// `--version` prints `cargo-deny 0.20.2`.
fn is_pinned(answer: &str) -> bool {
    answer.split_whitespace().nth(1) == Some(VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pinned_version_is_taken() {
        assert!(is_pinned(&format!("cargo-deny {VERSION}\n")));
        assert!(!is_pinned("cargo-deny 0.20.20\n"));
        assert!(!is_pinned(""));
    }
}
