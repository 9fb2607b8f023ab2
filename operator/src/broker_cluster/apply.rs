//! Doing what a plan says: the one place that changes a cluster.

use super::children::{Child, ChildKind};
use super::drift::{self, Landed};
use super::metadata;
use super::observe::{as_value, endpoint, key};
use super::observed::Observed;
use super::plan::{Action, Change, Plan};
use super::storage::VolumeStep;
use super::validate::Problem;
use crate::broker::BrokerError;
use crate::context::Context;
use crate::error::ReconcileError;
use crate::events::Note;
use crate::writer::Writer;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions, PropagationPolicy};
use serde_json::{Value, json};
use sluice_operator_api::broker_cluster::Reason;
use sluice_operator_api::{BrokerCluster, labels};
use sluice_proto::admin::ConfigChange;

/// What has come of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What came of each write, by the objects' uids.
    pub landed: Vec<(String, Landed)>,
    /// What was refused, and by whom; what came after it in the plan was not tried.
    pub refused: Option<Problem>,
    /// Why a volume could not grow.
    pub resize_refused: Option<String>,
    /// What went wrong otherwise.
    pub failure: Option<ReconcileError>,
}

/// Takes the steps in their order, up to the first that fails.
pub async fn apply(
    cluster: &BrokerCluster,
    context: &Context,
    writer: &Writer<'_, BrokerCluster>,
    observed: &Observed,
    plan: &Plan,
) -> Outcome {
    let work = Work {
        cluster,
        context,
        writer,
        observed,
        plan,
    };
    let mut outcome = Outcome::default();
    for action in &plan.actions {
        let stops = work.take(action, &mut outcome).await;
        if let Err(stop) = stops {
            match stop {
                Stop::Refused(problem) => outcome.refused = Some(problem),
                Stop::Failed(error) => outcome.failure = Some(error),
            }
            break;
        }
    }
    outcome
}

enum Stop {
    Refused(Problem),
    Failed(ReconcileError),
}

impl From<kube::Error> for Stop {
    fn from(error: kube::Error) -> Self {
        Self::Failed(error.into())
    }
}

struct Work<'a> {
    cluster: &'a BrokerCluster,
    context: &'a Context,
    writer: &'a Writer<'a, BrokerCluster>,
    observed: &'a Observed,
    plan: &'a Plan,
}

impl Work<'_> {
    async fn take(&self, action: &Action, outcome: &mut Outcome) -> Result<(), Stop> {
        self.context.leading().map_err(Stop::Failed)?;
        match action {
            Action::Configure(changes) => self.configure(changes).await,
            Action::Apply(child, change) => {
                let landed = self.write(child, *change).await?;
                outcome.landed.extend(landed);
                Ok(())
            }
            Action::Delete(kind, name, uid) => self.delete(*kind, name, uid).await,
            Action::Volume(VolumeStep::Expand { claim, from, to }) => {
                outcome.resize_refused = self.expand(claim, from, to).await?;
                Ok(())
            }
            Action::Volume(VolumeStep::Bind { claim, uid, bound }) => self.bind(claim, uid, *bound).await,
            Action::Renew(name, uid) => self.renew(name, uid).await,
        }
    }

    /// Nothing else is done while the broker refuses a value. One that does not answer reads its file.
    async fn configure(&self, changes: &[ConfigChange]) -> Result<(), Stop> {
        let Some(endpoint) = endpoint(self.cluster, self.context, self.observed) else {
            return Ok(());
        };
        let told = async {
            let remote = self.context.brokers.connect(&key(self.cluster), &endpoint)?;
            remote.configure(changes.to_vec()).await
        };
        match told.await {
            Ok(()) => {
                let keys: Vec<_> = changes.iter().map(|change| change.key.as_str()).collect();
                self.tell(
                    false,
                    "Configured",
                    format!("the broker has taken {}", keys.join(", ")),
                )
                .await;
                Ok(())
            }
            Err(error @ (BrokerError::Invalid(_) | BrokerError::NotFound(_))) => Err(Stop::Refused(
                Problem::blocking(Reason::ConfigurationInvalid, error.to_string()),
            )),
            Err(error @ (BrokerError::NotLeading | BrokerError::StaleEpoch(_))) => {
                Err(Stop::Failed(error.into()))
            }
            Err(error) => {
                tracing::warn!(
                    namespace = self.cluster.namespace(),
                    name = self.cluster.name_any(),
                    %error,
                    "cannot tell the broker of its new configuration; it follows the file in a minute or so"
                );
                Ok(())
            }
        }
    }

    async fn write(&self, child: &Child, change: Change) -> Result<Option<(String, Landed)>, Stop> {
        let resource = child.kind.resource();
        let api: Api<DynamicObject> = self.api_of(child.kind);
        let parameters = PatchParams::apply(labels::FIELD_MANAGER).force();
        let body = Patch::Apply(drift::stamped(child));
        let answer = match api.patch(&child.name, &parameters, &body).await {
            Ok(answer) => answer,
            Err(kube::Error::Api(status)) if is_refusal(status.code) => {
                let message = format!(
                    "Kubernetes refuses the {} '{}': {}",
                    child.kind,
                    child.name,
                    first_line(&status.message)
                );
                return Err(Stop::Refused(Problem::blocking(Reason::ObjectRefused, message)));
            }
            Err(error) => return Err(error.into()),
        };
        // The API server writes some values otherwise than it was given. A new process writes once more to learn which, and that
        // changes nothing.
        if change != Change::Corrected || answer.resource_version() != self.version_of(child) {
            let (warning, reason, text) = self.told(child, change);
            self.tell(warning, reason, text).await;
        }
        let uid = answer.uid();
        let landed = Landed::of(child, &as_value(answer, &resource));
        Ok(uid.map(|uid| (uid, landed)))
    }

    fn version_of(&self, child: &Child) -> Option<String> {
        let live = self.observed.live.get(&(child.kind, child.name.clone()))?;
        let version = live.pointer("/metadata/resourceVersion")?.as_str()?;
        Some(version.to_owned())
    }

    fn told(&self, child: &Child, change: Change) -> (bool, &'static str, String) {
        let (kind, name) = (child.kind, &child.name);
        let exchanged = self.plan.tokens.as_ref().and_then(|next| next.told);
        if let Some(told) = exchanged
            && kind == ChildKind::Secret
            && *name == super::names::admin_token_secret(&self.cluster.name_any())
        {
            return (false, "TokenExchanged", format!("{told} (Secret '{name}')"));
        }
        match change {
            Change::Created => (false, "Created", format!("created the {kind} '{name}'")),
            Change::Updated => (false, "Updated", format!("updated the {kind} '{name}'")),
            Change::Corrected => (
                true,
                "Corrected",
                format!("somebody had changed the {kind} '{name}': put back what this resource says"),
            ),
        }
    }

    /// With the uid: one that was made anew meanwhile is another.
    async fn delete(&self, kind: ChildKind, name: &str, uid: &str) -> Result<(), Stop> {
        let api: Api<DynamicObject> = self.api_of(kind);
        match api.delete(name, &exactly(uid)).await {
            Ok(_) => {
                let text = format!("deleted the {kind} '{name}', which this resource asks for no longer");
                self.tell(false, "Deleted", text).await;
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Says why it was refused, if it was: the rest of the cluster goes on with the volume that it has.
    async fn expand(&self, claim: &str, from: &str, to: &str) -> Result<Option<String>, Stop> {
        let patch = json!({"spec": {"resources": {"requests": {"storage": to}}}});
        let parameters = PatchParams {
            field_manager: Some(labels::FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        match self
            .claims()
            .patch(claim, &parameters, &Patch::Merge(patch))
            .await
        {
            Ok(_) => {
                let text = format!("asked for {to} instead of {from} for the volume '{claim}'");
                self.tell(false, Reason::Resizing.as_str(), text).await;
                Ok(None)
            }
            Err(kube::Error::Api(status)) if is_refusal(status.code) => Ok(Some(format!(
                "the volume '{claim}' stays at {from} and cannot grow to {to}: {}; use a storage class that allows expansion, or set storage.size back by making the cluster anew",
                first_line(&status.message)
            ))),
            Err(error) => Err(error.into()),
        }
    }

    /// By the owner the volume goes with the resource.
    async fn bind(&self, claim: &str, uid: &str, bound: bool) -> Result<(), Stop> {
        let owners: Vec<Value> = bound
            .then(|| json!(metadata::owner(self.cluster, false)))
            .into_iter()
            .collect();
        let patch = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": claim, "uid": uid, "ownerReferences": owners},
        });
        let parameters = PatchParams::apply(labels::FIELD_MANAGER).force();
        self.claims()
            .patch(claim, &parameters, &Patch::Apply(patch))
            .await?;
        let text = if bound {
            format!("the volume '{claim}' goes with this resource now")
        } else {
            format!("the volume '{claim}' stays when this resource goes now")
        };
        self.tell(false, "VolumePolicyChanged", text).await;
        Ok(())
    }

    async fn renew(&self, name: &str, uid: &str) -> Result<(), Stop> {
        let sets = Api::<StatefulSet>::namespaced(self.context.client.clone(), &self.namespace());
        let parameters = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Orphan),
            ..exactly(uid)
        };
        match sets.delete(name, &parameters).await {
            Ok(_) => {
                let text =
                    format!("the StatefulSet '{name}' is made anew for larger volumes; its pods go on");
                self.tell(false, "Renewed", text).await;
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn api_of(&self, kind: ChildKind) -> Api<DynamicObject> {
        Api::namespaced_with(self.context.client.clone(), &self.namespace(), &kind.resource())
    }

    fn claims(&self) -> Api<PersistentVolumeClaim> {
        Api::namespaced(self.context.client.clone(), &self.namespace())
    }

    fn namespace(&self) -> String {
        self.cluster.namespace().unwrap_or_default()
    }

    async fn tell(&self, warning: bool, reason: &'static str, text: String) {
        let note = Note {
            warning,
            reason,
            text,
        };
        self.writer.tell(&note).await;
    }
}

fn exactly(uid: &str) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    }
}

/// What comes after it is a comparison for developers of Kubernetes.
fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// Whether only another wish can help: not a conflict, an object or namespace that is gone, or too many requests.
fn is_refusal(code: u16) -> bool {
    matches!(code, 400 | 403 | 405 | 413 | 415 | 422)
}
