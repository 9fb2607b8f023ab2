//! What can be asked for.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{deny, figures, fix, fuzz, kube, test, tidy, verify};

/// The project's checks and tests.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub struct Args {
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
    /// Run the fuzz targets for longer than `test` does
    Fuzz(fuzz::FuzzArgs),
    /// A real Kubernetes on this machine: up, down, test
    #[command(subcommand)]
    Kube(kube::KubeCommand),
    /// Measure what docs/benchmarks.md shows, on this machine
    Figures(figures::FiguresArgs),
    /// Check only the rules of the house (a part of verify)
    Tidy,
    /// Check only licences, bans and sources of the dependencies (a part of test)
    Deny,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Verify => verify::verify(),
            Command::Fix => fix::fix(),
            Command::Test(args) => test::test(&args),
            Command::Fuzz(args) => fuzz::fuzz(&args),
            Command::Kube(command) => kube::kube(&command),
            Command::Figures(args) => figures::figures(&args),
            Command::Tidy => tidy::tidy(),
            Command::Deny => deny::deny(),
        }
    }
}
