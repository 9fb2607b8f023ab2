//! `sluicectl context …`

use clap::Subcommand;

const GUIDE: &str = "\
Contexts are kept in a file: SLUICECTL_CONFIG, else sluice/config.yaml in XDG_CONFIG_HOME or ~/.config. Tokens are not kept
there, only the names of their files.

Examples:
  sluicectl context set prod --admin broker.example:8082 --token-file /etc/sluice/token --ca /etc/sluice/ca.pem
  sluicectl context use prod
  sluicectl context list
  sluicectl context show prod
  sluicectl context delete prod
  sluicectl topic list --context prod";

/// About contexts.
#[derive(Debug, Subcommand)]
pub enum ContextCommand {
    /// List the contexts there are
    #[command(after_help = GUIDE)]
    List,
    /// Use a context where neither a flag nor the environment says otherwise
    #[command(after_help = GUIDE)]
    Use {
        /// The context
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Make or change a context: it takes --admin, --endpoint, --token-file, --tls, --ca, --insecure-skip-verify, --cert and --cert-key
    #[command(after_help = GUIDE)]
    Set {
        /// The context
        #[arg(value_name = "NAME")]
        name: String,
        /// Begin anew instead of changing what there is
        #[arg(long)]
        anew: bool,
    },
    /// Show a context; the one in use unless named
    #[command(after_help = GUIDE)]
    Show {
        /// The context
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Delete a context
    #[command(after_help = GUIDE)]
    Delete {
        /// The context
        #[arg(value_name = "NAME")]
        name: String,
    },
}

impl ContextCommand {
    /// Whether it writes the file of contexts.
    pub fn changes(&self) -> bool {
        match self {
            Self::Use { .. } | Self::Set { .. } | Self::Delete { .. } => true,
            Self::List | Self::Show { .. } => false,
        }
    }

    /// Whether it writes the file where there is none yet.
    pub fn makes(&self) -> bool {
        matches!(self, Self::Set { .. })
    }
}
