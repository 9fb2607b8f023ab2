//! A start that finds the log damaged says how far that reaches, and what to do.

use super::StoreError;
use crate::checkpoint::{CheckpointError, Checkpoints};
use crate::io::{BadBlocks, LogIo, SkippingIo, is_of_the_medium};
use crate::log::{self, LogError, LogPosition, LogRefusal, LogSurvey, PAGE_BYTES, Repaired};
use crate::repair;
use crate::restored::trial;
use crate::survey::{Checked, Findings, SurveyError};
use sluice_core::ids::PhysicalOffset;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is left where neither checkpoints nor the log tell what state was.
const NOTHING_TELLS: &str = "without a backup, as nothing tells what state was: move the folder away, and the broker begins with an empty one";

/// Where a start has met damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The damaged file.
    pub file: PathBuf,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is damaged at file offset {}: {}",
            self.file.display(),
            self.offset,
            self.reason
        )
    }
}

/// Refuses a folder of which all is gone that a log is known by, while a checkpoint says that there was one: a new log there would be none
/// that the checkpoint is of. Changes nothing.
pub(super) fn refuse_a_log_that_is_gone(io: &Arc<dyn LogIo>, dir: &Path) -> Result<(), StoreError> {
    let newest = Checkpoints::newest_named(io.as_ref(), &dir.join("checkpoint"))?;
    let io = SkippingIo::but_checkpoints(io, dir, &BadBlocks::default());
    if newest.is_none_or(|newest| newest.0 == 0) || log::has_any(io.as_ref(), dir)? {
        return Ok(());
    }
    let reason = "there are checkpoints, but neither a segment nor a valid meta file".to_owned();
    let file = dir.join("log");
    Err(StoreError::Log(LogError::Corruption {
        file,
        offset: 0,
        reason,
    }))
}

/// What a start over the files as they are would say that refuses them, judged as it judges; `None` if it goes on. `log` was read
/// from them. Changes nothing.
pub(crate) fn of_a_start(io: &Arc<dyn LogIo>, dir: &Path, log: &LogSurvey) -> Option<String> {
    let reading = SkippingIo::but_checkpoints(io, dir, &BadBlocks::default());
    let error = judge(&reading, dir, log).err()?;
    Some(with_extent(io, dir, error).to_string())
}

fn judge(io: &Arc<dyn LogIo>, dir: &Path, log: &LogSurvey) -> Result<(), StoreError> {
    refuse_a_log_that_is_gone(io, dir)?;
    match log.refused.clone() {
        Some(LogRefusal { file, offset, reason }) => {
            Err(StoreError::Log(LogError::Corruption { file, offset, reason }))
        }
        None => replays(log, trial::newest(io, dir, log.first)?),
    }
}

/// What refuses a start as damage where the disk has failed to read this file of the log, past what it does not give; `None` if nothing
/// does, as when it gives it now.
fn of_what_is_not_given(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    path: &Path,
) -> Result<Option<StoreError>, SurveyError> {
    let io = &SkippingIo::but_checkpoints(io, dir, &BadBlocks::default());
    let known = Checked::of(io, dir)?;
    let mut findings = Findings::default();
    let log = log::survey(io.as_ref(), dir, &known.ask(&[]), &mut findings, &mut |_, _| {})?;
    if let Err(error) = judge(io, dir, &log) {
        return Ok(Some(error));
    }
    // Files that are to be made again need more of the log than the replay.
    let there = log.damage.into_iter().find(|damage| damage.file == path);
    Ok(there.map(|damage| {
        StoreError::Log(LogError::Corruption {
            file: damage.file,
            offset: damage.file_offset,
            reason: damage.what,
        })
    }))
}

/// Whether nothing stops a replay of the log from this place on.
fn replays(log: &LogSurvey, from: LogPosition) -> Result<(), StoreError> {
    if let Some(damage) = log
        .damage
        .iter()
        .find(|damage| damage.stops_a_replay(from.physical))
    {
        return Err(StoreError::Log(LogError::Corruption {
            file: damage.file.clone(),
            offset: damage.file_offset,
            reason: damage.what.clone(),
        }));
    }
    let is_unknown = |repaired: &&Repaired| !repaired.state_is_known && repaired.from >= from.physical;
    let Some(lost) = log.repaired.iter().find(is_unknown) else {
        return Ok(());
    };
    let mut segments = log.segments.iter().rev();
    let segment = segments.find(|segment| segment.base <= lost.from);
    let base = segment.map_or(PhysicalOffset(0), |segment| segment.base);
    Err(StoreError::Log(LogError::Corruption {
        file: segment.map(|segment| segment.file.clone()).unwrap_or_default(),
        offset: PAGE_BYTES + (lost.from.0 - base.0),
        reason: "what stood there was lost, and no whole checkpoint behind it says what state was there"
            .to_owned(),
    }))
}

/// The error of a start over damage, with its extent where that can be told. The whole log is read for it.
pub(super) fn with_extent(io: &Arc<dyn LogIo>, dir: &Path, error: StoreError) -> StoreError {
    let error = match &error {
        StoreError::Log(LogError::Io { path, source, .. }) if is_of_the_medium(source) => {
            match of_what_is_not_given(io, dir, path) {
                Ok(damaged) => damaged.unwrap_or(error),
                Err(reading) => {
                    tracing::warn!(error = %reading, "how far it reaches that the disk cannot be read cannot be told");
                    error
                }
            }
        }
        _ => error,
    };
    let refusal = match &error {
        StoreError::Log(LogError::Corruption { file, offset, reason }) => Refusal {
            file: file.clone(),
            offset: *offset,
            reason: reason.clone(),
        },
        StoreError::Log(LogError::Mismatch { path, reason }) => Refusal {
            file: path.clone(),
            offset: 0,
            reason: reason.clone(),
        },
        StoreError::Checkpoint(CheckpointError::None { .. } | CheckpointError::Needed { .. }) => {
            return with_way_on(io, dir, error);
        }
        _ => return error,
    };
    let extent = match repair::diagnose(io, dir) {
        // What repairs have left is no damage.
        Ok(None) => repair::way_on_without_state(io, dir),
        extent => extent,
    };
    match extent {
        Ok(Some(extent)) => StoreError::Damaged { refusal, extent },
        Ok(None) => error,
        Err(reading) => {
            tracing::warn!(error = %reading, "how far the damage reaches cannot be told");
            error
        }
    }
}

/// The error of a start that finds no checkpoint to go on from, with the command that does without, if there is one.
fn with_way_on(io: &Arc<dyn LogIo>, dir: &Path, error: StoreError) -> StoreError {
    let way_on = repair::way_on_without_state(io, dir).and_then(|way_on| match way_on {
        Some(way_on) => Ok(Some(way_on)),
        None => repair::diagnose(io, dir),
    });
    match (way_on, error) {
        (Ok(Some(way_on)), StoreError::Checkpoint(error)) => StoreError::WithoutState { error, way_on },
        (Ok(None), StoreError::Checkpoint(error @ CheckpointError::None { .. })) => {
            StoreError::WithoutState {
                error,
                way_on: NOTHING_TELLS.to_owned(),
            }
        }
        (Err(reading), error) => {
            tracing::warn!(error = %reading, "how to go on cannot be told");
            error
        }
        (_, error) => error,
    }
}
