//! `cargo xtask figures`: makes the tables of docs/benchmarks.md on the machine that it runs on.

mod disk;
mod idle;
mod load;
mod operator;
mod overload;
mod page;
mod plot;
mod queues;
mod scrape;
mod sections;
mod server;
mod soak;
mod state;
mod table;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

use table::Table;

use crate::process::{cargo, check};
use crate::{apt, test, workspace};

/// What to measure, and how often.
#[derive(Args)]
pub struct FiguresArgs {
    /// What to measure; everything without it
    #[arg(value_enum)]
    sections: Vec<Section>,
    /// How often each figure is taken; the tables show all and their median
    #[arg(long, default_value_t = 5, value_name = "N")]
    runs: usize,
    /// Requests of each run that sends as fast as it can
    #[arg(long, default_value_t = 1_200_000, value_name = "N")]
    requests: u64,
    /// Messages that are kept for the section `kept`
    #[arg(long, default_value_t = 10_000_000, value_name = "N")]
    messages: u64,
    /// How long the section `soak` runs
    #[arg(long, default_value_t = 600, value_name = "N")]
    soak_seconds: u64,
    /// Where the section `soak` draws its plot, as SVG; nowhere without it
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Where servers keep their data: the disk that is measured; target/figures without it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// A table, or a few that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Section {
    /// Sends as fast as they go, broker and bare in turns, with synchronous flush
    Sync,
    /// The same with asynchronous flush
    Async,
    /// One message id and key over and over against different ones, and looking them up
    Index,
    /// Receiving and acknowledging, one by one and in batches
    Consume,
    /// Latency of sends and deliveries at 10,000 a second
    Paced,
    /// A look at the metrics of 1,000 topics with 3 groups each, and sends with a look a second and without
    Scrape,
    /// Sends as fast as they go beside 9,900 idle connections and without them
    Idle,
    /// Twice the sends that a slow disk takes, and what comes after them
    Overload,
    /// The operator with 1,000 topics and 1,000 groups on a real API server
    Operator,
    /// Starting empty, starting after kill -9 under full load, and what an idle broker needs
    Starts,
    /// Starting with ten million messages kept
    Kept,
    /// Ten million messages in flight: memory, checkpoints, and the start after kill -9
    State,
    /// Sends to 8,000 queues against sends to 8, and checkpoints then
    Queues,
    /// Ten minutes of sends as fast as they go, with 8 GiB kept: memory and latency over time, with a plot
    Soak,
}

/// What all sections need.
pub struct Setup {
    /// Figures are taken so often.
    pub runs: usize,
    pub requests: u64,
    pub messages: u64,
    pub soak_seconds: u64,
    pub plot: Option<PathBuf>,
    /// Wiped between runs.
    pub dir: PathBuf,
    /// Where the programs are.
    pub programs: PathBuf,
}

impl Setup {
    /// The broker with faults that its environment can switch on; built here, since nobody ships it.
    fn faulty_broker(&self) -> Result<PathBuf> {
        const NAME: &str = "sluice-broker-faulty";
        let target = workspace::target()?.join("faulty");
        let mut build = cargo(&["build", "--locked", "--release", "-p", "sluice-broker"]);
        build.args(["--bin", NAME, "--features", "planted-faults", "--target-dir"]);
        check(build.arg(&target))?;
        Ok(target.join("release").join(NAME))
    }
}

/// Measures the programs of this source, or those in the folder that `SLUICE_BIN_DIR` names, and prints the tables as Markdown. Fails where a goal is missed, after all is measured.
pub fn figures(args: &FiguresArgs) -> Result<ExitCode> {
    apt::H2LOAD.install()?;
    let target = workspace::target()?;
    let programs = match env::var_os(test::BINARIES) {
        Some(given) => PathBuf::from(given),
        None => {
            test::build_executables()?;
            target.join("release")
        }
    };
    let dir = args.dir.clone().unwrap_or_else(|| target.join("figures"));
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let setup = Setup {
        runs: args.runs.max(1),
        requests: args.requests,
        messages: args.messages,
        soak_seconds: args.soak_seconds,
        plot: args.plot.clone(),
        dir,
        programs,
    };
    let chosen = match args.sections.as_slice() {
        [] => Section::value_variants(),
        some => some,
    };
    let mut missed = Vec::new();
    for section in chosen {
        eprintln!("measuring: {section:?}");
        let tables = sections::measure(*section, &setup).with_context(|| format!("section {section:?}"))?;
        tables.iter().for_each(|table| println!("{table}"));
        missed.extend(tables.iter().flat_map(Table::missed));
    }
    if missed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("goals that are missed:\n{}", missed.join("\n"));
    Ok(ExitCode::FAILURE)
}
