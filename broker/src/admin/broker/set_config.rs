//! Keys are changed while the broker runs: all of them or none.

use super::entry;
use crate::admin::status::{Failure, Wrong};
use crate::admin::{Outcome, Shared};
use sluice_core::excerpt::excerpt;
use sluice_core::state::Refused;
use sluice_proto::admin::{ConfigChange, SetConfigRequest, SetConfigResponse};
use std::collections::HashSet;

/// More than there are keys.
const CHANGES_MAX: usize = 64;

pub(super) async fn handle(shared: &Shared, request: SetConfigRequest) -> Outcome<SetConfigResponse> {
    if request.changes.is_empty() || request.changes.len() > CHANGES_MAX {
        let wrong = format!(
            "the request changes {} keys: name 1 to {CHANGES_MAX}",
            request.changes.len()
        );
        return Err(Wrong::Request(wrong).into());
    }
    check_keys(&request.changes)?;
    // No fence comes between the look at it and the change.
    let _unfenced = shared.fencing.read().await;
    check_epoch(shared, request.epoch)?;
    let changes: Vec<_> = request
        .changes
        .into_iter()
        .map(|change| (change.key, change.value))
        .collect();
    let entries = shared.live.set(&changes)?;
    Ok(SetConfigResponse {
        entries: entries.iter().map(entry).collect(),
    })
}

/// A key twice would leave open which of its values is meant.
fn check_keys(changes: &[ConfigChange]) -> Result<(), Wrong> {
    let mut keys = HashSet::new();
    match changes.iter().find(|change| !keys.insert(&change.key)) {
        None => Ok(()),
        Some(twice) => Err(Wrong::Request(format!(
            "the request changes '{}' twice: name each key once",
            excerpt(&twice.key)
        ))),
    }
}

/// The configuration is not in the log, so the fence is looked at here.
fn check_epoch(shared: &Shared, epoch: u64) -> Result<(), Failure> {
    let fenced = shared.engine.tables().fenced();
    if epoch == 0 || epoch == fenced.epoch {
        return Ok(());
    }
    Err(Failure::from(Refused::Epoch {
        epoch,
        present: fenced.epoch,
        holder: fenced.holder,
    }))
}

/// For the log, which has what became of each key from the configuration itself.
pub(super) fn what(response: &SetConfigResponse) -> String {
    let keys: Vec<_> = response.entries.iter().map(|entry| entry.key.as_str()).collect();
    format!("set {}", keys.join(", "))
}
