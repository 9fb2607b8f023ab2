//! Entry point: arguments, runtime, exit code.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use mimalloc::MiMalloc;
use sluice_bench::args::Cli;

/// Load and server allocate for every call; the system's allocator would be a good part of what is measured.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const RAN_WITH_FAILURES: u8 = 3;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(RAN_WITH_FAILURES),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cli.workers.max(1))
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(sluice_bench::run(cli))
}
