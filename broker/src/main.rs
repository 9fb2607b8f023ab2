//! Entry point of `sluice-broker`.

use clap::Parser as _;
use sluice_broker::args::Args;
use sluice_broker::run;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    run::start_logging();
    run::abort_on_panic();
    let config = match args.check() {
        Ok(config) => config,
        Err(error) => return run::refuse(&error),
    };
    run::to_the_end(config)
}
