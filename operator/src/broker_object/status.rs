//! The conditions that follow from how a resource stands.

use super::plan::{Change, State};
use crate::broker::BrokerError;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use sluice_operator_api::Word;
use sluice_operator_api::conditions::{self, Finding, Status};

const READY: Plain = Plain("Ready");
const SYNCED: Plain = Plain("Synced");
const CONFLICTED: Plain = Plain("Conflicted");
const DRIFT_CORRECTED: Plain = Plain("DriftCorrected");
const PAUSED: Plain = Plain("ReconciliationPaused");

/// The types of all conditions that are set here.
pub const TYPES: [Plain; 5] = [READY, SYNCED, CONFLICTED, DRIFT_CORRECTED, PAUSED];

/// A word that topics and consumer groups both have. A test looks it up in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain(pub &'static str);

impl Word for Plain {
    fn word(self) -> &'static str {
        self.0
    }
}

/// What the conditions are about.
pub struct Subject<'a> {
    /// "topic".
    pub noun: &'static str,
    /// What went with an object that somebody else has deleted: "its messages are gone".
    pub lost: &'static str,
    /// The object's name.
    pub object: &'a str,
    /// The cluster's name.
    pub cluster: &'a str,
    /// Whether the resource is being deleted.
    pub deleting: bool,
    /// Of the resource.
    pub generation: Option<i64>,
    /// Whether somebody else tells of further conflicts in the same condition: then it is set here only while the name is
    /// taken.
    pub shares_conflicts: bool,
}

/// Puts what was found among the conditions.
pub fn put(conditions: &mut Vec<Condition>, about: &Subject<'_>, state: &State, now: &Time) {
    let mut set = |type_: Plain, status: Status, reason: &'static str, message: String| {
        let finding = Finding::new(type_, status, Plain(reason), message);
        conditions::set(conditions, finding, about.generation, now);
    };
    let Subject { noun, object, .. } = about;
    let mut taken_back = false;
    let paused = matches!(state, State::Paused);
    if paused {
        let message = "the annotation sluice.dev/paused stops the operator; take it away to go on";
        set(PAUSED, Status::True, "Paused", message.to_owned());
    } else {
        set(PAUSED, Status::False, "NotPaused", String::new());
    }
    match state {
        State::NameTaken(owner) => {
            let message = format!("'{owner}' is older and has the {noun} '{object}'; delete one of the two");
            set(CONFLICTED, Status::True, "NameTaken", message);
        }
        State::Paused => {}
        _ if about.shares_conflicts => taken_back = true,
        _ => set(CONFLICTED, Status::False, "NameFree", String::new()),
    }
    if let State::InSync(change) = state {
        let corrected = match change {
            Some(Change::Reverted) => Some(format!(
                "somebody else had changed the {noun} '{object}'; change the resource instead"
            )),
            Some(Change::Restored) => Some(format!(
                "somebody else had deleted the {noun} '{object}', and it was made again: {}; to be rid of it delete the resource, with \
                 the deletionPolicy Delete",
                about.lost
            )),
            _ => None,
        };
        match corrected {
            Some(message) => set(DRIFT_CORRECTED, Status::True, "Reverted", message),
            None => set(DRIFT_CORRECTED, Status::False, "NoDrift", String::new()),
        }
    }
    let (status, reason, message) = readiness(about, state);
    if let Some(status) = status {
        set(READY, status, reason, message.clone());
    }
    match state {
        State::Paused | State::Deleted => {}
        State::InSync(None) if was_synced(conditions, about) => {}
        State::InSync(change) => {
            let reason = change.map_or("UpToDate", Change::reason);
            let finding = Finding::new(SYNCED, Status::True, Plain(reason), "");
            conditions::set(conditions, finding, about.generation, now);
        }
        _ => {
            let finding = Finding::new(SYNCED, Status::False, Plain(reason), message);
            conditions::set(conditions, finding, about.generation, now);
        }
    }
    if taken_back {
        let is_ours =
            |condition: &Condition| condition.type_ == CONFLICTED.0 && condition.reason == "NameTaken";
        conditions.retain(|condition| !is_ours(condition));
    }
    pending(conditions, about, now);
}

/// Whether the object was as this generation of the resource wants it when it was last looked at.
pub fn was_in_sync(conditions: &[Condition], generation: Option<i64>) -> bool {
    conditions::find(conditions, SYNCED).is_some_and(|synced| {
        synced.status == Status::True.as_str() && synced.observed_generation == generation
    })
}

fn was_synced(conditions: &[Condition], about: &Subject<'_>) -> bool {
    was_in_sync(conditions, about.generation)
}

/// What nothing is known of yet stands there all the same.
fn pending(conditions: &mut Vec<Condition>, about: &Subject<'_>, now: &Time) {
    let types = TYPES.into_iter();
    for type_ in types.filter(|type_| *type_ != CONFLICTED || !about.shares_conflicts) {
        if conditions::find(conditions, type_).is_none() {
            let finding = Finding::new(type_, Status::Unknown, Plain("Pending"), "nothing is known yet");
            conditions::set(conditions, finding, about.generation, now);
        }
    }
}

/// The condition Ready; nothing where it stays as it was.
fn readiness(about: &Subject<'_>, state: &State) -> (Option<Status>, &'static str, String) {
    let Subject {
        noun,
        object,
        cluster,
        ..
    } = about;
    let not = |reason, message| (Some(Status::False), reason, message);
    match state {
        State::Paused | State::Deleted => (None, "Paused", String::new()),
        State::InSync(_) => {
            let message = format!("the {noun} '{object}' is as the resource says");
            (Some(Status::True), "UpToDate", message)
        }
        State::NameTaken(owner) => not(
            "NameTaken",
            format!("'{owner}' is older and has the {noun} '{object}'"),
        ),
        State::ClusterNotFound => {
            let message = format!(
                "there is no BrokerCluster '{cluster}' in this namespace, or it is being deleted; make one, or name another"
            );
            not("ClusterNotFound", message)
        }
        State::ClusterNotReady(why) => {
            not("ClusterNotReady", format!("the BrokerCluster '{cluster}': {why}"))
        }
        State::Invalid(refusal) => not("Refused", refusal.clone()),
        State::Failed(BrokerError::NotEmpty(refusal)) if about.deleting => {
            let message = format!(
                "the deletion waits until every message is done ({refusal}); change deletionPolicy to Retain to keep the {noun}, or to Delete to lose its messages"
            );
            not("NotEmpty", message)
        }
        State::Failed(error) => not(failure(error), error.to_string()),
    }
}

fn failure(error: &BrokerError) -> &'static str {
    match error {
        BrokerError::Unavailable(_) | BrokerError::Exhausted(_) | BrokerError::Unknown(_) => {
            "BrokerUnreachable"
        }
        BrokerError::Unauthenticated(_) => "Unauthorized",
        BrokerError::StaleEpoch(_) | BrokerError::NotLeading => "Fenced",
        BrokerError::NotEmpty(_) => "NotEmpty",
        BrokerError::InUse(_) => "GroupInUse",
        BrokerError::Invalid(_) | BrokerError::Refused(_) => "Refused",
        BrokerError::NotFound(_)
        | BrokerError::Exists(_)
        | BrokerError::Conflict(_)
        | BrokerError::Faulty(_) => "Failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;

    fn about(generation: i64) -> Subject<'static> {
        Subject {
            noun: "topic",
            lost: "its messages are gone",
            object: "orders",
            cluster: "shop",
            deleting: false,
            generation: Some(generation),
            shares_conflicts: false,
        }
    }

    fn at(seconds: i64) -> Time {
        Time(Timestamp::from_second(seconds).unwrap())
    }

    fn short(conditions: &[Condition]) -> Vec<String> {
        let of = |type_: Plain| {
            let found = conditions::find(conditions, type_).unwrap();
            format!("{} {}", found.status, found.reason)
        };
        [READY, SYNCED, CONFLICTED, DRIFT_CORRECTED, PAUSED]
            .into_iter()
            .map(of)
            .collect()
    }

    fn text() -> String {
        "why".to_owned()
    }

    #[test]
    fn each_state_has_its_conditions_and_all_are_there_from_the_beginning() {
        let free = "False NameFree";
        let on = "False NotPaused";
        let (pending, no_drift) = ("Unknown Pending", "False NoDrift");
        for (state, wanted) in [
            (
                State::InSync(None),
                ["True UpToDate", "True UpToDate", free, no_drift, on],
            ),
            (
                State::InSync(Some(Change::Created)),
                ["True UpToDate", "True Created", free, no_drift, on],
            ),
            (
                State::InSync(Some(Change::Restored)),
                ["True UpToDate", "True Reverted", free, "True Reverted", on],
            ),
            (State::Paused, [pending, pending, pending, pending, "True Paused"]),
            (
                State::NameTaken(text()),
                [
                    "False NameTaken",
                    "False NameTaken",
                    "True NameTaken",
                    pending,
                    on,
                ],
            ),
            (
                State::ClusterNotFound,
                [
                    "False ClusterNotFound",
                    "False ClusterNotFound",
                    free,
                    pending,
                    on,
                ],
            ),
            (
                State::ClusterNotReady(text()),
                [
                    "False ClusterNotReady",
                    "False ClusterNotReady",
                    free,
                    pending,
                    on,
                ],
            ),
            (
                State::Invalid(text()),
                ["False Refused", "False Refused", free, pending, on],
            ),
            (
                State::Failed(BrokerError::Unavailable(text())),
                [
                    "False BrokerUnreachable",
                    "False BrokerUnreachable",
                    free,
                    pending,
                    on,
                ],
            ),
            (
                State::Failed(BrokerError::Unauthenticated(text())),
                ["False Unauthorized", "False Unauthorized", free, pending, on],
            ),
        ] {
            let mut conditions = Vec::new();
            put(&mut conditions, &about(1), &state, &at(1));
            assert_eq!(short(&conditions), wanted, "{state:?}");
        }
    }

    #[test]
    fn every_word_is_one_of_topics_and_of_consumer_groups() {
        use sluice_operator_api::{consumer_group, topic};
        let of_topics: Vec<_> = topic::Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        let of_groups: Vec<_> = consumer_group::Reason::ALL
            .iter()
            .map(|reason| reason.as_str())
            .collect();
        let source = include_str!("status.rs");
        let (code, _) = source.split_once("#[cfg(test)]").unwrap();
        let words = code.split('"').skip(1).step_by(2);
        let is_word = |word: &&str| {
            word.starts_with(|c: char| c.is_ascii_uppercase())
                && word.chars().all(|c| c.is_ascii_alphabetic())
        };
        let types = TYPES.map(|type_| type_.0);
        let changes = [
            Change::Created,
            Change::Adopted,
            Change::Updated,
            Change::Reverted,
        ]
        .map(Change::reason);
        let words: Vec<_> = words
            .filter(is_word)
            .filter(|word| !types.contains(word))
            .chain(changes)
            .collect();
        assert!(words.len() > 20, "{words:?}");
        for word in words {
            // A topic is never in use.
            assert!(of_topics.contains(&word) || word == "GroupInUse", "{word}");
            assert!(of_groups.contains(&word), "{word}");
        }
        for type_ in types {
            assert!(
                topic::ConditionType::ALL
                    .iter()
                    .any(|known| known.as_str() == type_),
                "{type_}"
            );
            assert!(
                consumer_group::ConditionType::ALL
                    .iter()
                    .any(|known| known.as_str() == type_),
                "{type_}"
            );
        }
    }

    #[test]
    fn looking_again_without_a_change_changes_nothing() {
        for state in [
            State::InSync(None),
            State::Paused,
            State::NameTaken(text()),
            State::Failed(BrokerError::Unavailable(text())),
        ] {
            let mut conditions = Vec::new();
            put(
                &mut conditions,
                &about(1),
                &State::InSync(Some(Change::Created)),
                &at(1),
            );
            put(&mut conditions, &about(1), &state, &at(2));
            let before = conditions.clone();
            put(&mut conditions, &about(1), &state, &at(3));
            assert_eq!(conditions, before, "{state:?}");
        }
    }

    #[test]
    fn in_sync_is_of_one_generation_and_no_longer_than_it_lasts() {
        let mut conditions = Vec::new();
        put(
            &mut conditions,
            &about(1),
            &State::InSync(Some(Change::Created)),
            &at(1),
        );
        assert!(was_in_sync(&conditions, Some(1)) && !was_in_sync(&conditions, Some(2)));
        put(&mut conditions, &about(1), &State::Paused, &at(2));
        assert!(was_in_sync(&conditions, Some(1)));
        put(&mut conditions, &about(1), &State::ClusterNotFound, &at(3));
        assert!(!was_in_sync(&conditions, Some(1)));
    }

    #[test]
    fn a_correction_says_what_it_was_of() {
        for (change, words, others) in [
            (Change::Reverted, "had changed the topic 'orders'", "gone"),
            (
                Change::Restored,
                "had deleted the topic 'orders', and it was made again: its messages are gone",
                "had changed",
            ),
        ] {
            let mut conditions = Vec::new();
            put(&mut conditions, &about(1), &State::InSync(Some(change)), &at(1));
            let message = &conditions::find(&conditions, DRIFT_CORRECTED).unwrap().message;
            assert!(message.contains(words) && !message.contains(others), "{message}");
        }
    }

    #[test]
    fn a_deletion_that_waits_says_for_what() {
        let mut conditions = Vec::new();
        let deleting = Subject {
            deleting: true,
            ..about(1)
        };
        let state = State::Failed(BrokerError::NotEmpty("3 are left".to_owned()));
        put(&mut conditions, &deleting, &state, &at(1));
        let ready = conditions::find(&conditions, READY).unwrap();
        assert_eq!(ready.reason, "NotEmpty");
        assert!(
            ready.message.contains("3 are left") && ready.message.contains("Retain"),
            "{}",
            ready.message
        );
    }
}
