//! Doing what a plan says: the one place that changes resources and brokers.

use super::BrokerObject;
use super::observe::Observation;
use super::plan::{Action, Plan, State};
use crate::broker::BrokerError;
use crate::error::ReconcileError;
use crate::events::Note;
use crate::writer::Writer;

/// Takes the steps in their order, up to the first that fails. A broker's refusal becomes the state; the error is there to try
/// again by.
pub async fn apply<K: BrokerObject>(
    writer: &mut Writer<'_, K>,
    observation: &mut Observation<K>,
    plan: Plan<K::Spec>,
) -> Result<(State, Option<BrokerError>), ReconcileError> {
    let mut changed = false;
    for action in plan.actions {
        changed |= matches!(action, Action::Create(_) | Action::Update { .. });
        match step(writer, observation, action).await {
            Ok(()) => {}
            Err(ReconcileError::Broker(error)) => return Ok((State::Failed(error.clone()), Some(error))),
            Err(error) => return Err(error),
        }
    }
    if changed {
        observation.look().await;
    }
    let failure = match &plan.state {
        State::Failed(error) => Some(error.clone()),
        _ => None,
    };
    Ok((plan.state, failure))
}

async fn step<K: BrokerObject>(
    writer: &mut Writer<'_, K>,
    observation: &Observation<K>,
    action: Action<K::Spec>,
) -> Result<(), ReconcileError> {
    let name = observation.facts.object.as_str();
    let broker = || {
        observation
            .admin
            .as_deref()
            .ok_or_else(|| BrokerError::Unavailable("the cluster cannot be asked".to_owned()))
    };
    match action {
        Action::AddFinalizer => writer.finalize(true).await?,
        Action::RemoveFinalizer => writer.finalize(false).await?,
        Action::Create(spec) => K::create(broker()?, name, spec).await?,
        Action::Update { spec, generation } => K::update(broker()?, name, spec, generation).await?,
        Action::Delete {
            only_if_empty,
            generation,
        } => {
            let undone = K::delete(broker()?, name, only_if_empty, generation).await?;
            let note = Note {
                warning: undone > 0,
                reason: "Deleting",
                text: format!(
                    "deleted the {} '{name}'; {undone} messages were not done",
                    K::NOUN
                ),
            };
            writer.tell(&note).await;
        }
        Action::Tell(note) => writer.tell(&note).await,
    }
    Ok(())
}
