//! `cargo xtask`: the project's checks, tests and measurements behind one command.
//!
//! `verify` only reads, `fix` is its writing twin, and `test` is everything that continuous integration runs.

mod apt;
mod deny;
mod figures;
mod fix;
mod process;
mod run;
mod suites;
mod tally;
mod test;
mod tidy;
mod tools;
mod verify;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's checks and tests.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check format, lints, documentation, unit tests and the rules of the house; changes nothing
    Verify,
    /// Format the code and apply the lint fixes that need no thought
    Fix,
    /// Run everything: verify, dependencies, integration tests and the system suites
    Test(test::TestArgs),
    /// Measure what docs/benchmarks.md shows, on this machine
    Figures(figures::FiguresArgs),
    /// Check only the rules of the house (a part of verify)
    Tidy,
    /// Check only licences, bans and sources of the dependencies (a part of test)
    Deny,
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Verify => verify::verify(),
        Command::Fix => fix::fix(),
        Command::Test(args) => test::test(&args),
        Command::Figures(args) => figures::figures(&args),
        Command::Tidy => tidy::tidy(),
        Command::Deny => deny::deny(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
