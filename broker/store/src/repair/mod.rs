//! Going on without a damaged part of the log, which somebody accepts to lose (`sluicectl log repair`).
//!
//! What is damaged is replaced, byte for byte as long, so that everything else stays where it is: frames by a tombstone, a
//! command in an otherwise whole frame by one that does nothing, a first page by the one that it must have been. What is lost before
//! a whole checkpoint leaves state as it is. Behind it, offsets of messages in their queues depend on what is lost, and commands
//! that name such offsets are given up: groups get messages again rather than lose them. The reasons are in `docs/adr/0006`.
//!
//! [`plan`] looks, decides and changes nothing; [`Plan::run`] changes the files. A stop anywhere leaves a log that is refused as
//! before, or the repaired one; running the same repair again does the rest.

mod anew;
mod covered;
mod diagnosis;
mod end;
mod groups;
mod loss;
mod make;
mod places;
mod plan;
mod queue;
mod range;
mod run;
mod spans;
mod state;
mod state_told;
mod topics;
mod trial;
mod unsure;
mod warn;
mod way_on;

pub use diagnosis::{Diagnosis, describe, diagnose, diagnosis};
pub use loss::{Loss, LostMessages, Place};
pub use places::{Part, Places, told_apart};
pub use plan::{Accepted, Plan, plan};
pub use range::{Range, command, command_in, needed, way_on};
pub use run::Done;
pub use way_on::way_on_without_state;

use crate::checkpoint::CheckpointError;
use crate::index::IndexError;
use crate::log::LogError;
use crate::queue::QueueError;
use crate::survey::SurveyError;
use thiserror::Error;

/// Why a log is not repaired.
#[derive(Debug, Error)]
pub enum RepairError {
    /// The log could not be read or written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The checkpoints could not.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The queue files could not.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The index could not.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Something could not be read.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// It would not do what it is to do.
    #[error("{what}; {hint}")]
    Refused {
        /// Why.
        what: String,
        /// What to do instead.
        hint: String,
    },
}

impl RepairError {
    fn refused(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused {
            what: what.into(),
            hint: hint.into(),
        }
    }
}
