//! A cluster that stays until it is taken down: what `cargo xtask kube up` and `down` start.

#![forbid(unsafe_code)]

mod args;
mod foreign;
mod hold;
mod images;
mod up;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Up(place) => up::up(&place.folder),
        Command::Images(place) => images::hand_over(&place.folder),
        Command::Down(place) => up::down(&place.folder),
        Command::Prepare(named) => foreign::prepare(&named),
        Command::Clear(named) => foreign::clear(&named),
        Command::Hold(place) => hold::hold(&place.folder),
    }
}
