//! Loads and times servers that speak RocketMQ 5's gRPC API; `sluice-bench --help` is the manual.
//!
//! [`produce`], [`consume`] and [`latency`] are runs over [`client`] connections in a [`session`] as an official
//! client has it; [`pace`] decides when each send is due and [`report`] what is printed. [`bare`] is the ceiling:
//! a server that only writes and syncs. [`h2load`] serves a leaner load than this one; [`look_up`] reads a stopped
//! broker's index. [`spread`] makes many topics and groups, [`hold`] much that is in flight, and [`idle`] connections on which
//! nothing happens.

mod acknowledge;
pub mod args;
pub mod bare;
pub mod channel;
pub mod client;
pub mod consume;
pub mod h2load;
pub mod hold;
pub mod idle;
pub mod latency;
pub mod look_up;
pub mod message;
pub mod pace;
pub mod produce;
pub mod progress;
pub mod receive;
pub mod report;
pub mod session;
pub mod settings;
pub mod spread;
pub mod tally;
pub mod timeline;
pub mod units;

use anyhow::Result;

use args::{Cli, Command};

/// Does what the command line asks for; false when a run had failures or measured nothing.
///
/// # Errors
/// When it could not be done at all.
pub async fn run(cli: &Cli) -> Result<bool> {
    let report = match &cli.command {
        Command::Produce(args) => produce::run(args).await?,
        Command::Consume(args) => consume::run(args).await?,
        Command::Latency(args) => latency::run(args).await?,
        Command::H2loadReport(args) => h2load::report(args)?,
        Command::LookUp(args) => look_up::run(args)?,
        Command::Spread(args) => spread::run(args).await?,
        Command::Hold(args) => hold::run(args).await?,
        Command::Bare(args) => return bare::run(args).await.map(|()| true),
        Command::Idle(args) => return idle::run(args).await.map(|()| true),
        Command::H2loadData(args) => return h2load::write_request(args).await.map(|()| true),
    };
    report.print(cli.json)?;
    Ok(report.clean())
}
