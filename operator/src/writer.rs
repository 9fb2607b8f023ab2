//! Writing to a resource: its finalizer, its status, events about it.

use crate::context::Context;
use crate::error::ReconcileError;
use crate::events::Note;
use crate::watching::slim;
use kube::api::{Api, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt as _};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use sluice_operator_api::labels;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

/// One resource, as it is after our own writes.
pub struct Writer<'a, K> {
    context: &'a Context,
    kind: &'static str,
    api: Api<K>,
    latest: K,
    manager: &'static str,
}

impl<'a, K> Writer<'a, K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    /// Of a resource as it was read.
    pub fn new(context: &'a Context, kind: &'static str, resource: &K) -> Self {
        let namespace = resource.namespace().unwrap_or_default();
        Self {
            context,
            kind,
            api: Api::namespaced(context.client.clone(), &namespace),
            latest: resource.clone(),
            manager: labels::FIELD_MANAGER,
        }
    }

    /// The same under the name of another part of the operator: what it writes of a status is its own.
    pub fn named(self, manager: &'static str) -> Self {
        Self { manager, ..self }
    }

    /// The resource as it is now, as far as we have changed it.
    pub fn into_latest(self) -> K {
        self.latest
    }

    /// Adds or removes our finalizer, on top of exactly what was read: others have theirs in the same list.
    pub async fn finalize(&mut self, wanted: bool) -> Result<(), ReconcileError> {
        self.context.leading()?;
        let others = self
            .latest
            .finalizers()
            .iter()
            .filter(|name| *name != labels::FINALIZER);
        let mut finalizers: Vec<_> = others.map(String::as_str).collect();
        if wanted {
            finalizers.push(labels::FINALIZER);
        }
        let patch = json!({
            "metadata": {
                "finalizers": finalizers,
                "resourceVersion": self.latest.resource_version(),
            }
        });
        let parameters = PatchParams {
            field_manager: Some(labels::FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let name = self.latest.name_any();
        match self.api.patch(&name, &parameters, &Patch::Merge(patch)).await {
            Ok(latest) => self.keep(latest),
            // It is gone already, and waits for nobody.
            Err(kube::Error::Api(status)) if status.code == 404 && !wanted => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Writes the part of a status that is ours. To be called only where it has changed: each call is a write, and wakes
    /// everybody who watches the resource.
    pub async fn write_status(&mut self, status: &impl Serialize) -> Result<(), ReconcileError> {
        let _turn = self.context.turn().await;
        self.context.leading()?;
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": self.kind,
            "status": status,
        });
        let parameters = PatchParams::apply(self.manager).force();
        let name = self.latest.name_any();
        match self
            .api
            .patch_status(&name, &parameters, &Patch::Apply(patch))
            .await
        {
            Ok(latest) => {
                self.context
                    .metrics
                    .status_writes
                    .with_label_values(&[self.kind])
                    .inc();
                self.keep(latest);
                Ok(())
            }
            // It is gone meanwhile, and nobody wants to know any more.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn keep(&mut self, mut latest: K) {
        slim(&mut latest);
        self.latest = latest;
    }

    /// Writes an event, and a line of the log.
    pub async fn tell(&self, note: &Note) {
        tracing::info!(
            kind = self.kind,
            namespace = self.latest.namespace(),
            name = self.latest.name_any(),
            reason = note.reason,
            "{}",
            note.text
        );
        self.context.tell(&self.latest.object_ref(&()), note).await;
    }
}

/// Resources as our own writes have left them, until the watch has brought them: who decides from what was there before
/// decides twice. They are kept by namespace and name.
pub struct Ahead<K>(Mutex<HashMap<(String, String), K>>);

impl<K> Default for Ahead<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Resource<DynamicType = ()> + Clone> Ahead<K> {
    /// The newer of what was watched and what was written.
    pub fn newer(&self, watched: &Arc<K>) -> Arc<K> {
        let key = key(&**watched);
        let mut ahead = self.0.lock();
        match ahead.get(&key) {
            Some(written) if written.uid() == watched.uid() && version(written) > version(&**watched) => {
                Arc::new(written.clone())
            }
            _ => {
                ahead.remove(&key);
                Arc::clone(watched)
            }
        }
    }

    /// Keeps what was written, if anything was.
    pub fn keep(&self, watched: &K, written: K) {
        if version(&written) > version(watched) {
            self.0.lock().insert(key(&written), written);
        }
    }

    /// The resource is gone.
    pub fn forget(&self, resource: &K) {
        self.0.lock().remove(&key(resource));
    }
}

fn key<K: Resource<DynamicType = ()>>(resource: &K) -> (String, String) {
    (resource.namespace().unwrap_or_default(), resource.name_any())
}

/// Kubernetes' versions of one resource are numbers that rise.
fn version<K: Resource<DynamicType = ()>>(resource: &K) -> Option<u64> {
    resource.meta().resource_version.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;

    fn of(version: &str) -> ConfigMap {
        let mut map = ConfigMap::default();
        map.metadata.name = Some("orders".to_owned());
        map.metadata.uid = Some("uid".to_owned());
        map.metadata.resource_version = Some(version.to_owned());
        map
    }

    #[test]
    fn what_was_written_counts_until_the_watch_has_caught_up() {
        let ahead = Ahead::default();
        ahead.keep(&of("9"), of("10"));
        for (watched, newer) in [("9", "10"), ("10", "10"), ("9", "9")] {
            let newer_version = ahead.newer(&Arc::new(of(watched))).resource_version();
            assert_eq!(newer_version.as_deref(), Some(newer), "{watched}");
        }
        ahead.keep(&of("10"), of("10"));
        assert!(ahead.0.lock().is_empty(), "nothing was written");
        ahead.keep(&of("10"), of("11"));
        let mut anew = of("9");
        anew.metadata.uid = Some("another".to_owned());
        assert_eq!(
            *ahead.newer(&Arc::new(anew.clone())),
            anew,
            "made anew under the name"
        );
        ahead.keep(&of("10"), of("11"));
        ahead.forget(&of("11"));
        assert!(ahead.0.lock().is_empty(), "it is gone");
    }
}
