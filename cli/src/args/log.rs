//! `sluicectl log …`

use clap::Subcommand;
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
}
