//! `cargo xtask`: the project's checks, tests and measurements behind one command.
//!
//! `verify` only reads, `fix` is its writing twin, and `test` is everything that continuous integration runs.

mod apt;
mod args;
mod budget;
mod deny;
mod figures;
mod fix;
mod fuzz;
mod kube;
mod panics;
mod process;
mod room;
mod run;
mod silence;
mod suites;
mod tally;
mod test;
mod tidy;
mod tools;
mod verify;
mod workspace;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    args::Args::parse().run().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
