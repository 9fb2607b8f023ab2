//! Why a configuration cannot be followed.

use crate::init::InitError;
use std::net::SocketAddr;
use std::path::PathBuf;
use thiserror::Error;

/// Why the broker does not start with what it is told.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A value that a key does not take.
    #[error("{place} is not usable: {reason}")]
    Value {
        /// The flag, the variable, or the file and its key.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A key that there is not.
    #[error("{place} is not known{}; 'sluice-broker config print' shows all keys", hint(nearest.as_deref()))]
    Unknown {
        /// The variable, or the file and its key.
        place: String,
        /// What may be meant.
        nearest: Option<String>,
    },
    /// A file that cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that holds something else than keys.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// One of two keys that only make sense together.
    #[error(
        "{given} is given without {missing}: give {missing} too, as --{flag}, as {variable} or in the file"
    )]
    Alone {
        /// The key that is there.
        given: &'static str,
        /// The key that is not.
        missing: &'static str,
        /// Its flag.
        flag: &'static str,
        /// Its variable.
        variable: &'static str,
    },
    /// An admin API that anyone could call.
    #[error(
        "the admin API would listen on {address}, where other hosts reach it, and ask nobody who they are: give --admin-token-file or --admin-client-ca, or --admin-listen 127.0.0.1:{}",
        address.port()
    )]
    Unguarded {
        /// Where.
        address: SocketAddr,
    },
    /// Marks on the disk that contradict each other.
    #[error("the disk's marks are not usable together: {reason}")]
    Marks {
        /// Which, and why.
        reason: String,
    },
    /// The file of `--init`.
    #[error("--init cannot be followed")]
    Init(#[from] InitError),
}

/// Why a change is refused while the broker runs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChangeError {
    /// A key that there is not.
    #[error("there is no key '{key}'{}", hint(nearest.as_deref()))]
    Unknown {
        /// What was asked for.
        key: String,
        /// What may be meant.
        nearest: Option<String>,
    },
    /// A key that is fixed when the broker starts.
    #[error(
        "{0} cannot be changed while the broker runs: change its flag, its variable or the file, and restart"
    )]
    Fixed(&'static str),
    /// A value that the key does not take.
    #[error("{key} is not usable: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Values that are right alone, and not together.
    #[error("the change is not usable: {0}")]
    Together(String),
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(": did you mean '{name}'?"))
}
