//! The operator's command line.

use crate::crds::{self, CrdsArgs};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Runs Sluice's brokers, topics and consumer groups on Kubernetes
#[derive(Parser)]
#[command(name = "sluice-operator", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the definitions of the custom resources, or write them into a folder
    Crds(CrdsArgs),
}

/// Parses the arguments, does what they ask for, and says by its code how it went: 2 for arguments that cannot be
/// followed, 1 for anything that failed.
pub fn from_command_line() -> ExitCode {
    let done = match Args::parse().command {
        Command::Crds(args) => crds::crds(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
