//! `cargo xtask verify`: the fast checks, which change nothing but the build directory.

use std::process::ExitCode;

use anyhow::Result;

use crate::process::{cargo, check};
use crate::run::{Expected, Run};
use crate::tidy;

/// Takes every step, so that one run names all there is to mend.
pub fn verify() -> Result<ExitCode> {
    let mut run = Run::start();
    steps(&mut run);
    Ok(run.finish())
}

/// The steps of `verify`, which `test` begins with too: the cheapest first.
pub fn steps(run: &mut Run) {
    run.step("rules of the house", tidy::check_workspace);
    run.step("format", || check(&mut cargo(&["fmt", "--all", "--check"])));
    run.step("lints", || {
        check(&mut cargo(&[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    });
    run.step("documentation", || {
        let mut doc = cargo(&["doc", "--locked", "--workspace", "--no-deps"]);
        check(doc.env("RUSTDOCFLAGS", "-D warnings"))
    });
    let units = cargo(&[
        "test",
        "--locked",
        "--workspace",
        "--lib",
        "--bins",
        "--no-fail-fast",
    ]);
    run.tests("unit tests", Expected::AtLeastOne, units);
    let examples = cargo(&["test", "--locked", "--workspace", "--doc", "--no-fail-fast"]);
    run.tests("examples in the documentation", Expected::Any, examples);
}
