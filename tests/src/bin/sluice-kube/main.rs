//! A cluster that stays until it is taken down: what `cargo xtask kube up` and `down` start.

#![forbid(unsafe_code)]

mod hold;
mod images;
mod up;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// A Kubernetes of one node on this machine.
#[derive(Parser)]
#[command(name = "sluice-kube")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start it, wait until it is ready, and tell how to use it
    Up(Place),
    /// Make the images of the broker and the operator, and hand them to it
    Images(Place),
    /// End it and remove everything of it
    Down(Place),
    /// Run it until a signal comes (what up starts)
    #[command(hide = true)]
    Hold(Place),
}

#[derive(clap::Args)]
struct Place {
    /// Everything that it writes is in this folder
    folder: PathBuf,
}

fn main() -> Result<()> {
    match Args::parse().command {
        Command::Up(place) => up::up(&place.folder),
        Command::Images(place) => images::hand_over(&place.folder),
        Command::Down(place) => up::down(&place.folder),
        Command::Hold(place) => hold::hold(&place.folder),
    }
}
