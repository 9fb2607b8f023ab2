//! Why a store could not be opened or closed.

use super::Refusal;
use crate::checkpoint::CheckpointError;
use crate::index::IndexError;
use crate::log::LogError;
use crate::queue::QueueError;
use sluice_core::log::NotProposed;
use sluice_core::state::RestoreError;
use std::path::PathBuf;
use thiserror::Error;

/// Why a store could not be opened or closed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log is damaged where it was durable, and it is known how far that reaches.
    #[error("{refusal}; {extent}")]
    Damaged {
        /// What has stopped the start.
        refusal: Refusal,
        /// How far it reaches, what is lost with it, and the command that repairs it.
        extent: String,
    },
    /// The checkpoints.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// No checkpoint can be used, and it is known how to go on.
    #[error("{error}; or else {way_on}")]
    WithoutState {
        /// What has stopped the start.
        error: CheckpointError,
        /// What can be done, with the command.
        way_on: String,
    },
    /// The system does not let this process use a file of the store, or a folder.
    #[error("{error}: {way_on}")]
    Denied {
        /// What was refused.
        error: Box<StoreError>,
        /// To whom it belongs, and what to do.
        way_on: String,
    },
    /// The queue files.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Queue files lack what the newest checkpoint counts on, and nothing can make it again.
    #[error(
        "{lacking}, and nothing can make it again: {why}: bring the folder queue back from a backup of this moment"
    )]
    Irreparable {
        /// What is missing.
        lacking: Box<StoreError>,
        /// Why replay does not make it.
        why: String,
    },
    /// A checkpoint's content.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A thread could not be started, or has panicked.
    #[error("the thread '{0}' could not be run")]
    Thread(&'static str),
    /// The log is from an older version, and what raises its level found no room.
    #[error(
        "this version raises the log in {} to level {level}, and there is no room for the command that does: {why}: free 1 MiB on the disk of that folder, and start again", dir.display()
    )]
    NoRoomToRaise {
        /// The store's folder.
        dir: PathBuf,
        /// The level.
        level: u32,
        /// What is scarce.
        why: NotProposed,
    },
    /// The log took no command.
    #[error("the log does not take commands: {0}")]
    NotTaken(String),
}

impl StoreError {
    pub(crate) fn cannot_be_made_again(lacking: Self, why: String) -> Self {
        let lacking = Box::new(lacking);
        Self::Irreparable { lacking, why }
    }
}
