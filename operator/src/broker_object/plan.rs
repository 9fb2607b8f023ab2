//! What is to be done for a resource, given what was observed. Nothing is asked or changed here.

use crate::broker::BrokerError;
use crate::events::Note;
use sluice_operator_api::DeletionPolicy;

/// What the resource itself says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// "topic".
    pub noun: &'static str,
    /// What went with an object that somebody else has deleted: "its messages are gone".
    pub lost: &'static str,
    /// The object's name.
    pub object: String,
    /// The cluster's name.
    pub cluster: String,
    /// It is being deleted.
    pub deleting: bool,
    /// It has our finalizer.
    pub finalized: bool,
    /// It has the annotation that stops the operator.
    pub paused: bool,
    /// What becomes of the object.
    pub policy: DeletionPolicy,
    /// The number of the object that the resource had.
    pub known_id: Option<u32>,
    /// The object was as this generation of the resource wants it.
    pub was_in_sync: bool,
}

/// What was found outside of the resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed<S> {
    /// The older resource that has the name.
    pub owner: Option<String>,
    /// Another resource that gives the name, and would have it if this one were gone.
    pub heir: Option<String>,
    /// The cluster.
    pub cluster: ClusterState,
    /// The object.
    pub object: Seen<S>,
}

/// How the cluster stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterState {
    /// There is none of that name.
    Missing,
    /// It is being deleted.
    Deleting,
    /// Its admin API is not known yet, for this reason.
    NotReady(String),
    /// It can be asked.
    Ready,
}

/// An object, as far as it could be looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen<S> {
    /// Nobody was asked.
    Unasked,
    /// There is none.
    Absent,
    /// It is there.
    Present(Present<S>),
    /// The broker did not say.
    Failed(BrokerError),
}

/// An object that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Present<S> {
    /// A new one each time it is made.
    pub id: u32,
    /// Counts its changes.
    pub generation: u64,
    /// What it is.
    pub spec: S,
}

/// What is to be done, in this order; the first that fails ends it.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan<S> {
    /// The steps.
    pub actions: Vec<Action<S>>,
    /// How the resource stands when all are done.
    pub state: State,
}

/// A step.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<S> {
    /// From now on the resource waits for us when it is deleted.
    AddFinalizer,
    /// It does not wait any more.
    RemoveFinalizer,
    /// Make the object.
    Create(S),
    /// Make it so.
    Update {
        /// The whole of it.
        spec: S,
        /// On top of this generation.
        generation: u64,
    },
    /// Delete the object.
    Delete {
        /// Only if nothing is left to do in it.
        only_if_empty: bool,
        /// In this generation.
        generation: u64,
    },
    /// Write an event.
    Tell(Note),
}

/// How a resource stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The object is as wanted, after this change.
    InSync(Option<Change>),
    /// The annotation stops the operator.
    Paused,
    /// This older resource has the name.
    NameTaken(String),
    /// There is no such cluster, or it is going.
    ClusterNotFound,
    /// It cannot be asked, for this reason.
    ClusterNotReady(String),
    /// The resource asks for what cannot be.
    Invalid(String),
    /// The broker did not do it.
    Failed(BrokerError),
    /// The resource is being deleted, and nothing holds it any more.
    Deleted,
}

/// What was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The object was made.
    Created,
    /// It was there and is the resource's now.
    Adopted,
    /// It was made what the resource has come to say.
    Updated,
    /// It was put right.
    Reverted,
    /// It was made again.
    Restored,
}

/// Decides. `difference` is that of the kind: what to make of an object to have it as wanted.
pub fn plan<S: Clone>(
    facts: &Facts,
    wanted: &Result<S, String>,
    observed: &Observed<S>,
    difference: impl Fn(&S, &S) -> Option<S>,
) -> Plan<S> {
    if facts.deleting {
        return end(facts, observed);
    }
    if facts.paused {
        return Plan::nothing(State::Paused);
    }
    let mut plan = Plan::nothing(State::InSync(None));
    if let Some(owner) = &observed.owner {
        plan.finalize(facts, false);
        plan.state = State::NameTaken(owner.clone());
        return plan;
    }
    let gone = matches!(observed.cluster, ClusterState::Missing | ClusterState::Deleting);
    plan.finalize(facts, facts.policy != DeletionPolicy::Retain && !gone);
    plan.state = match (&observed.cluster, wanted) {
        (ClusterState::Missing | ClusterState::Deleting, _) => State::ClusterNotFound,
        (_, Err(refusal)) => State::Invalid(refusal.clone()),
        (ClusterState::NotReady(why), _) => State::ClusterNotReady(why.clone()),
        (ClusterState::Ready, Ok(wanted)) => plan.converge(facts, wanted, &observed.object, difference),
    };
    plan
}

/// Of a resource that is being deleted. It never waits for more than its policy asks for, and never for a cluster that is gone.
fn end<S>(facts: &Facts, observed: &Observed<S>) -> Plan<S> {
    if !facts.finalized {
        return Plan::nothing(State::Deleted);
    }
    let Facts { noun, object, .. } = facts;
    let kept = |why: String| Plan {
        actions: vec![
            Action::Tell(Note {
                warning: true,
                reason: "Deleting",
                text: format!("{noun} '{object}' stays on the brokers: {why}"),
            }),
            Action::RemoveFinalizer,
        ],
        state: State::Deleted,
    };
    let released = || Plan {
        actions: vec![Action::RemoveFinalizer],
        state: State::Deleted,
    };
    // What the resource never had is not its to delete.
    if facts.policy == DeletionPolicy::Retain || observed.owner.is_some() || facts.known_id.is_none() {
        return released();
    }
    if facts.paused {
        return kept("the resource is paused".to_owned());
    }
    if let Some(heir) = &observed.heir {
        return kept(format!("'{heir}' has the name too, and takes it over"));
    }
    match &observed.cluster {
        ClusterState::Missing | ClusterState::Deleting => {
            return kept(format!("the BrokerCluster '{}' is gone", facts.cluster));
        }
        ClusterState::NotReady(why) => return Plan::nothing(State::ClusterNotReady(why.clone())),
        ClusterState::Ready => {}
    }
    match &observed.object {
        Seen::Unasked | Seen::Absent => released(),
        Seen::Failed(error) => Plan::nothing(State::Failed(error.clone())),
        Seen::Present(present) if facts.known_id != Some(present.id) => {
            kept("somebody else has made it anew".to_owned())
        }
        Seen::Present(present) => Plan {
            actions: vec![
                Action::Delete {
                    only_if_empty: facts.policy == DeletionPolicy::DeleteIfEmpty,
                    generation: present.generation,
                },
                Action::RemoveFinalizer,
            ],
            state: State::Deleted,
        },
    }
}

impl<S: Clone> Plan<S> {
    fn converge(
        &mut self,
        facts: &Facts,
        wanted: &S,
        object: &Seen<S>,
        difference: impl Fn(&S, &S) -> Option<S>,
    ) -> State {
        match object {
            Seen::Unasked => State::InSync(None),
            Seen::Failed(error) => State::Failed(error.clone()),
            Seen::Absent => {
                self.actions.push(Action::Create(wanted.clone()));
                let change = if facts.known_id.is_some() {
                    Change::Restored
                } else {
                    Change::Created
                };
                self.changed(facts, change)
            }
            Seen::Present(present) => {
                let difference = difference(wanted, &present.spec);
                let differs = difference.is_some();
                if let Some(spec) = difference {
                    self.actions.push(Action::Update {
                        spec,
                        generation: present.generation,
                    });
                }
                match (facts.known_id == Some(present.id), differs) {
                    (true, false) => State::InSync(None),
                    (true, true) if facts.was_in_sync => self.changed(facts, Change::Reverted),
                    (true, true) => self.changed(facts, Change::Updated),
                    (false, _) => self.changed(facts, Change::Adopted),
                }
            }
        }
    }

    fn changed(&mut self, facts: &Facts, change: Change) -> State {
        let Facts { noun, object, .. } = facts;
        let text = match change {
            Change::Created => format!("made the {noun} '{object}'"),
            Change::Adopted => {
                format!("the {noun} '{object}' was there already, and belongs to this resource now")
            }
            Change::Updated => format!("changed the {noun} '{object}' as the resource says"),
            Change::Reverted => {
                format!(
                    "the {noun} '{object}' had been changed by somebody else, and is as the resource says again"
                )
            }
            Change::Restored => {
                let lost = facts.lost;
                format!("the {noun} '{object}' had been deleted by somebody else, and was made again: {lost}")
            }
        };
        self.actions.push(Action::Tell(Note {
            warning: matches!(change, Change::Reverted | Change::Restored),
            reason: change.reason(),
            text,
        }));
        State::InSync(Some(change))
    }
}

impl<S> Plan<S> {
    fn nothing(state: State) -> Self {
        Self {
            actions: Vec::new(),
            state,
        }
    }

    fn finalize(&mut self, facts: &Facts, wanted: bool) {
        match (facts.finalized, wanted) {
            (false, true) => self.actions.push(Action::AddFinalizer),
            (true, false) => self.actions.push(Action::RemoveFinalizer),
            _ => {}
        }
    }
}

impl Change {
    /// The word for it in events.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::Adopted => "Adopted",
            Self::Updated => "Updated",
            Self::Reverted | Self::Restored => "Reverted",
        }
    }
}

#[cfg(test)]
mod tests;
