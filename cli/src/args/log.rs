//! `sluicectl log …`

use clap::{Args, Subcommand};
use sluice_store::repair::Part;
use std::path::PathBuf;

const INSPECT: &str = "\
DIR is the data folder, or the folder of one broker in it. Nothing in it is changed. While a broker runs over it, what is
shown is already out of date, and a warning says so.

Examples:
  sluicectl log inspect sluice-data
  sluicectl log inspect sluice-data/broker-a -o wide
  sluicectl log inspect sluice-data -o json";

const VERIFY: &str = "\
DIR is the data folder, or the folder of one broker in it. Everything is read and nothing changed: segments with every
frame and command, queue files, index, checkpoints, meta. Damage is named by file and place, and ends with exit code 1. It is
refused while a broker runs over the folder (exit code 4): stop it first, or verify a copy.

Examples:
  sluicectl log verify sluice-data
  sluicectl log verify sluice-data -o json";

const REPAIR: &str = "\
For a broker that does not start because its log is damaged, when there is no backup. What is to be given
up is said by the refused start and by `sluicectl log verify DIR`, with the whole command; FROM and TO are offsets in the log. First is
shown what is lost; it is done when that is agreed to, or with --yes. With --dry-run it is shown alone. What is replaced is saved in files *.bak beside it.

Before the newest checkpoint only the messages in the range are lost. Behind it, deliveries and acknowledgements that follow are
given up too, for the offsets that they name depend on what is lost: groups get those messages again. That a
group was moved back is lost, and told: move it once more. FROM..END ends the log at FROM, and gives up all that follows: the last resort.
FROM..TO/N:BYTES are N damaged places with BYTES bytes of the log between FROM and TO, and nothing that is sound between them; it is
refused if more are damaged by now, or more bytes.
FROM..PAGE is the first page of the segment at FROM, which holds no message.

Where both meta files are lost --make-meta makes them again. Where no checkpoint can be read that state needs, --accept-lost-state
goes on without the parts that cannot: it lists what groups get again, what is put together, and what is lost. Copy the folder first.

It is refused (exit code 4) while a broker runs over the folder, and if the ranges leave out something that is damaged;
without --wider also if they cover what is not, as they do where nothing is damaged.

Examples:
  sluicectl log repair sluice-data --accept-loss 4096..5120 --dry-run
  sluicectl log repair sluice-data --accept-loss 4096..5120
  sluicectl log repair sluice-data --accept-loss 4096..5120 --accept-loss 9000..9064 --yes
  sluicectl log repair sluice-data --accept-loss 4096..99200/200:8400
  sluicectl log repair sluice-data --accept-loss 4096..END --wider --yes
  sluicectl log repair sluice-data --make-meta
  sluicectl log repair sluice-data --accept-lost-state --dry-run";

/// About the files of a stopped broker.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Show what the folder of a broker holds: segments with offsets, terms, frames; commands by kind; derived files
    #[command(after_help = INSPECT)]
    Inspect {
        /// The folder
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
    /// Check every byte of the folder of a broker that has a checksum
    #[command(after_help = VERIFY)]
    Verify {
        /// The folder
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
    /// Repair a damaged log so that its broker starts again: damaged parts are given up, with the messages in them
    #[command(after_help = REPAIR)]
    Repair(RepairLog),
}

/// What is given up, and whether that is agreed to.
#[derive(Debug, Args)]
pub struct RepairLog {
    /// The folder
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// A damaged part of the log that is given up; may be given several times. Try it with --dry-run first
    #[arg(long, value_name = "FROM..TO")]
    pub accept_loss: Vec<Part>,
    /// Show what would be lost, and change nothing
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Also give up what is not damaged: whole frames, or the log's end
    #[arg(long)]
    pub wider: bool,
    /// Make meta.a and meta.b again where both are lost, from what the log and the checkpoints say
    #[arg(long)]
    pub make_meta: bool,
    /// Give up what cannot be read of the newest checkpoint where nothing else knows it. Try it with --dry-run first
    #[arg(long, conflicts_with_all = ["accept_loss", "make_meta", "wider"])]
    pub accept_lost_state: bool,
    /// Do it without asking
    #[arg(long)]
    pub yes: bool,
}
