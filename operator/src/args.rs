//! The operator's command line.

use crate::broker::causes;
use crate::check::{self, CheckArgs};
use crate::crds::{self, CrdsArgs};
use crate::run;
use crate::settings::RunArgs;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use std::io::Write as _;
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
    /// Run the operator until it is told to stop
    Run(Box<RunArgs>),
    /// Print the definitions of the custom resources, or write them into a folder
    Crds(CrdsArgs),
    /// Tell whether a replica is ready, and whether its account may do what it has to
    Check(CheckArgs),
}

/// Parses the arguments, does what they ask for, and says by its code how it went: 2 for arguments that cannot be
/// followed, 1 for anything that failed.
pub fn from_command_line() -> ExitCode {
    let done = match Args::parse().command {
        Command::Run(args) => match args.check(host_name()) {
            Ok(settings) => run::run(settings),
            Err(refusal) => Args::command().error(ErrorKind::ValueValidation, refusal).exit(),
        },
        Command::Crds(args) => crds::crds(&args),
        Command::Check(args) => check::check(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Says what went wrong, each cause once: libraries repeat theirs in their own sentences.
fn complain(error: &anyhow::Error) {
    let line = format!("error: {}\n", causes(error.as_ref()));
    // There is nowhere left to say that standard error is closed; the exit code says the rest.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// What the machine is called; in a pod, the pod's name.
fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned())
}
