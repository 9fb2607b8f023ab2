//! How full the disk may become before something is done about it: the keys of [`crate::disk::Marks`].

use super::{KEY, Key, STORE};
use crate::config::forms::Form;

/// Percent of the disk; 0 turns a mark off.
const PERCENT: Form = Form::Count(0, 99);

pub static EARLY_RETENTION: Key = Key {
    name: "earlyRetentionPercent",
    flag: "early-retention-percent",
    variable: "SLUICE_EARLY_RETENTION_PERCENT",
    form: PERCENT,
    default: Some("75"),
    live: true,
    heading: STORE,
    help: "From so full a disk on, give up before its time what all groups have read; 0: never",
    ..KEY
};

pub static FORCED_RETENTION: Key = Key {
    name: "forcedRetentionPercent",
    flag: "forced-retention-percent",
    variable: "SLUICE_FORCED_RETENTION_PERCENT",
    form: PERCENT,
    // Nothing unread goes that nobody has asked to go: senders are told that there is no room.
    default: Some("0"),
    live: true,
    heading: STORE,
    help: "From so full a disk on, give up what is oldest, unread or not, if that is enough; 0: never",
    ..KEY
};

pub static REFUSE_SENDS: Key = Key {
    name: "refuseSendsPercent",
    flag: "refuse-sends-percent",
    variable: "SLUICE_REFUSE_SENDS_PERCENT",
    form: PERCENT,
    default: Some("90"),
    live: true,
    heading: STORE,
    help: "From so full a disk on, take no messages until it is two percent emptier; 0: not before it is full",
    ..KEY
};
