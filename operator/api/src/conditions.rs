//! Conditions: how a list of them changes, without a clock.

use crate::Word;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use std::fmt;

/// How long a message may be; the API server refuses longer ones.
const MESSAGE_CHARS_MAX: usize = 32_768;

/// What is known of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It cannot be told at the moment.
    Unknown,
}

impl Status {
    /// As it stands in a condition.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Status {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A condition as it is found now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    type_: &'static str,
    status: Status,
    reason: &'static str,
    message: String,
}

impl Finding {
    /// Of a type, with a reason of the same resource's, and a message for people.
    pub fn new(
        type_: impl Word,
        status: impl Into<Status>,
        reason: impl Word,
        message: impl Into<String>,
    ) -> Self {
        Self {
            type_: type_.word(),
            status: status.into(),
            reason: reason.word(),
            message: message.into(),
        }
    }
}

/// Puts a finding among the conditions, made of this generation of the resource. The time of its last transition is `now` only if
/// its status is another than before. The list keeps its order; a new type goes to its end.
pub fn set(conditions: &mut Vec<Condition>, finding: Finding, generation: Option<i64>, now: &Time) {
    let before = conditions
        .iter_mut()
        .find(|condition| condition.type_ == finding.type_);
    let same_status = before
        .as_ref()
        .filter(|condition| condition.status == finding.status.as_str());
    let since = same_status.map_or_else(|| now.clone(), |condition| condition.last_transition_time.clone());
    let condition = Condition {
        last_transition_time: since,
        message: finding.message.chars().take(MESSAGE_CHARS_MAX).collect(),
        observed_generation: generation,
        reason: finding.reason.to_owned(),
        status: finding.status.as_str().to_owned(),
        type_: finding.type_.to_owned(),
    };
    match before {
        Some(before) => *before = condition,
        None => conditions.push(condition),
    }
}

/// The condition of a type.
pub fn find(conditions: &[Condition], type_: impl Word) -> Option<&Condition> {
    conditions
        .iter()
        .find(|condition| condition.type_ == type_.word())
}

/// Whether a condition is there and holds.
pub fn holds(conditions: &[Condition], type_: impl Word) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == Status::True.as_str())
}

/// Takes a condition away.
pub fn remove(conditions: &mut Vec<Condition>, type_: impl Word) {
    conditions.retain(|condition| condition.type_ != type_.word());
}
