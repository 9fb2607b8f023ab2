//! What the broker is told, and by whom: one table of keys, read from a file, the environment and flags, each
//! overriding the one before; some of them can be changed while the broker runs.

mod checked;
mod command;
mod environment;
mod error;
mod file;
mod forms;
mod keys;
mod layers;
mod limits;
mod live;
mod print;
mod watch;

pub use checked::{Config, FlushMode};
pub use command::command;
pub use error::{ChangeError, ConfigError};
pub use forms::{Form, HostPort};
pub use keys::Key;
pub use layers::{Entry, Source};
pub use limits::Limits;
pub use live::{Live, LiveValues};
pub use watch::follow_file;

use command::Task;
use layers::Layers;
use sluice_access::tls::{self, ClientCa, TlsError};
use sluice_access::tokens::{Tokens, TokensError};
use std::ffi::OsString;
use thiserror::Error;

/// What a command line comes to.
#[derive(Debug)]
pub enum Asked {
    /// A broker is to run.
    Run(Box<Config>),
    /// This is to be shown, and nothing to be started.
    Show(String),
}

/// Why a command line comes to nothing.
#[derive(Debug, Error)]
pub enum AskError {
    /// It asks for help or a version, or cannot be read.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// What is said here and elsewhere does not come to a configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It is to be checked, and names a certificate that cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It is to be checked, and names tokens that cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokensError),
}

/// Reads a command line, the name of the program first, and the environment that belongs to it.
pub fn read(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Asked, AskError> {
    let (task, flags) = command::read(arguments)?;
    let layers = Layers::read(flags, variables)?;
    Ok(match task {
        Task::Run => Asked::Run(Box::new(Config::of(layers)?)),
        Task::Print(output) => Asked::Show(print::print(&layers.entries(), output)),
        Task::Check => {
            let config = Config::of(layers)?;
            config.tls.as_ref().map(tls::check).transpose()?;
            let tokens = config.admin_token_file.as_deref();
            tokens
                .map(|file| Tokens::open(file, "the admin API"))
                .transpose()?;
            config
                .admin_client_ca
                .as_deref()
                .map(ClientCa::open)
                .transpose()?;
            Asked::Show(format!(
                "a broker can start with this configuration\n{}",
                of_empty_file(&config)?
            ))
        }
    })
}

/// What is said of a file that may be the rest of one whose writing has failed: a broker starts with it all the same.
fn of_empty_file(config: &Config) -> Result<String, ConfigError> {
    let Some((path, _)) = config.live.file() else {
        return Ok(String::new());
    };
    let says_nothing = file::says_nothing(&file::text(&path)?);
    let remark = || {
        format!(
            "{} is empty, or has remarks alone: every key has its default where no flag and no variable gives it another value \
             (to say that this is meant, write {{}} to it)\n",
            path.display()
        )
    };
    Ok(says_nothing.then(remark).unwrap_or_default())
}

impl Config {
    /// What these flags alone come to.
    pub fn of_flags(flags: &[&str]) -> Result<Self, AskError> {
        let (_, flags) = command::read(["sluice-broker"].iter().chain(flags))?;
        Ok(Self::of(Layers::read(flags, [])?)?)
    }
}

#[cfg(test)]
mod tests;
