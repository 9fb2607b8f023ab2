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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::{ConditionType, Reason};

    fn at(second: i64) -> Time {
        Time(k8s_openapi::jiff::Timestamp::from_second(second).unwrap())
    }

    fn ready(status: Status, reason: Reason, message: &str) -> Finding {
        Finding::new(ConditionType::Ready, status, reason, message)
    }

    /// Type, status, reason, message, seconds of the last transition, generation.
    type Row<'a> = (&'a str, &'a str, &'a str, &'a str, i64, Option<i64>);

    fn row(condition: &Condition) -> Row<'_> {
        (
            condition.type_.as_str(),
            condition.status.as_str(),
            condition.reason.as_str(),
            condition.message.as_str(),
            condition.last_transition_time.0.as_second(),
            condition.observed_generation,
        )
    }

    fn shown(conditions: &[Condition]) -> Vec<Row<'_>> {
        conditions.iter().map(row).collect()
    }

    #[test]
    fn the_time_of_the_transition_moves_with_the_status_alone() {
        let mut conditions = Vec::new();
        let cases = [
            (
                ready(Status::Unknown, Reason::Pending, "a"),
                1,
                10,
                ("Unknown", "Pending", "a", 10),
            ),
            (
                ready(Status::False, Reason::ClusterNotFound, "b"),
                1,
                20,
                ("False", "ClusterNotFound", "b", 20),
            ),
            (
                ready(Status::False, Reason::BrokerUnreachable, "c"),
                2,
                30,
                ("False", "BrokerUnreachable", "c", 20),
            ),
            (
                ready(Status::True, Reason::Created, "d"),
                2,
                40,
                ("True", "Created", "d", 40),
            ),
            (
                ready(Status::True, Reason::UpToDate, "e"),
                3,
                50,
                ("True", "UpToDate", "e", 40),
            ),
        ];
        for (finding, generation, now, (status, reason, message, since)) in cases {
            set(&mut conditions, finding, Some(generation), &at(now));
            assert_eq!(
                shown(&conditions),
                [("Ready", status, reason, message, since, Some(generation))]
            );
        }
    }

    #[test]
    fn the_same_finding_changes_nothing() {
        let mut conditions = Vec::new();
        set(
            &mut conditions,
            ready(Status::True, Reason::UpToDate, "x"),
            Some(1),
            &at(1),
        );
        let before = conditions.clone();
        set(
            &mut conditions,
            ready(Status::True, Reason::UpToDate, "x"),
            Some(1),
            &at(2),
        );
        assert_eq!(conditions, before);
    }

    #[test]
    fn conditions_keep_their_order_and_are_found_by_type() {
        let mut conditions = Vec::new();
        set(
            &mut conditions,
            ready(Status::True, Reason::UpToDate, ""),
            None,
            &at(1),
        );
        let synced = |holds: bool| Finding::new(ConditionType::Synced, holds, Reason::UpToDate, "");
        set(&mut conditions, synced(false), None, &at(2));
        set(
            &mut conditions,
            ready(Status::False, Reason::Failed, ""),
            None,
            &at(3),
        );
        let types: Vec<_> = conditions
            .iter()
            .map(|condition| condition.type_.clone())
            .collect();
        assert_eq!(types, ["Ready", "Synced"]);
        assert!(!holds(&conditions, ConditionType::Ready) && !holds(&conditions, ConditionType::Conflicted));
        set(&mut conditions, synced(true), None, &at(4));
        assert!(holds(&conditions, ConditionType::Synced));
        assert_eq!(
            find(&conditions, ConditionType::Ready).map(|ready| ready.reason.as_str()),
            Some("Failed")
        );
        remove(&mut conditions, ConditionType::Ready);
        assert_eq!(find(&conditions, ConditionType::Ready), None);
    }

    #[test]
    fn a_message_is_cut_to_what_the_server_takes() {
        let mut conditions = Vec::new();
        let long = "ä".repeat(MESSAGE_CHARS_MAX + 1);
        set(
            &mut conditions,
            ready(Status::False, Reason::Failed, &long),
            None,
            &at(1),
        );
        assert_eq!(conditions[0].message.chars().count(), MESSAGE_CHARS_MAX);
    }
}
