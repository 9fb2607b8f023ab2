//! `sluicectl client …`

use clap::{Subcommand, ValueEnum};

const LIST: &str = "\
Examples:
  sluicectl client list
  sluicectl client list --group readers -o wide
  sluicectl client list --role producer -o json";

/// About clients.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// List clients
    #[command(after_help = LIST)]
    List {
        /// Only of this group
        #[arg(long, value_name = "GROUP", default_value = "")]
        group: String,
        /// Only of this role
        #[arg(long, value_enum)]
        role: Option<Role>,
    },
    /// Show a client, what it reads or sends to, what it holds and how fast it is
    #[command(after_help = "Examples:\n  sluicectl client show host@4711@1")]
    Show {
        /// The client
        #[arg(value_name = "ID")]
        client_id: String,
    },
}

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// It sends.
    Producer,
    /// It receives.
    Consumer,
}
