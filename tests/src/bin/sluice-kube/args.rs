//! What can be asked for.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::foreign::Named;

/// A Kubernetes of one node on this machine.
#[derive(Parser)]
#[command(name = "sluice-kube")]
pub struct Args {
    #[command(subcommand)]
    /// What to do
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Start it, wait until it is ready, and tell how to use it
    Up(Place),
    /// Make the images of the broker and the operator, and hand them to it
    Images(Place),
    /// End it and remove everything of it
    Down(Place),
    /// Remove from somebody's cluster what earlier runs of the suites left, and see whether it can be used
    Prepare(Named),
    /// Remove from somebody's cluster what the suites made
    Clear(Named),
    /// Run it until a signal comes (what up starts)
    #[command(hide = true)]
    Hold(Place),
}

#[derive(clap::Args)]
pub struct Place {
    /// Everything that it writes is in this folder
    pub folder: PathBuf,
}
