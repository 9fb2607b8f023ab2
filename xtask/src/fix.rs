//! `cargo xtask fix`: the writing twin of `verify`.

use std::process::ExitCode;

use anyhow::Result;

use crate::process::{cargo, check};
use crate::run::Run;

/// Applies clippy's fixes, then formats, since a fix may leave a line badly broken.
pub fn fix() -> Result<ExitCode> {
    let mut run = Run::start();
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--fix",
        "--allow-dirty",
        "--allow-staged",
    ];
    run.step("apply lint fixes", || check(&mut cargo(&clippy)));
    run.step("format", || check(&mut cargo(&["fmt", "--all"])));
    Ok(run.finish())
}
