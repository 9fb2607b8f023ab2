//! What else scales the workloads of a scope. It is watched once for all groups: a list for each evaluation would be most of what
//! the API server has to do.

use crate::broker::causes;
use crate::scaling::conflict;
use crate::settings::Scope;
use crate::shutdown::Shutdown;
use crate::watching::slim;
use futures::StreamExt as _;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::reflector::Store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use sluice_operator_api::ConsumerGroup;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// How long an evaluation waits for the first list.
const LISTED_WITHIN: Duration = Duration::from_secs(10);
/// A kind that is not installed is looked for again after that.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The other autoscalers.
pub struct Rivals {
    autoscalers: Store<HorizontalPodAutoscaler>,
    scaled_objects: Store<DynamicObject>,
    /// Why the last request of the watch failed.
    trouble: Arc<Mutex<Option<String>>>,
}

impl Rivals {
    /// Those of these stores.
    pub fn of_stores(
        autoscalers: Store<HorizontalPodAutoscaler>,
        scaled_objects: Store<DynamicObject>,
    ) -> Self {
        Self {
            autoscalers,
            scaled_objects,
            trouble: Arc::default(),
        }
    }

    /// Those of a scope, which are watched until the process stops.
    pub fn watch(client: &Client, scope: &Scope, shutdown: &Shutdown) -> Self {
        let autoscalers = Writer::new(());
        let scaled_objects = Writer::new(scaled_objects_kind());
        let rivals = Self::of_stores(autoscalers.as_reader(), scaled_objects.as_reader());
        let (kind, client) = (scaled_objects_kind(), client.clone());
        let of_keda: Api<DynamicObject> = match scope {
            Scope::All => Api::all_with(client.clone(), &kind),
            Scope::Namespace(name) => Api::namespaced_with(client.clone(), name, &kind),
        };
        let trouble = Arc::clone(&rivals.trouble);
        let of_kubernetes = follow(scope.api(client), autoscalers, |_| false, trouble);
        let of_keda = follow(of_keda, scaled_objects, is_not_installed, Arc::default());
        let stop = shutdown.beginning();
        tokio::spawn(async move {
            tokio::select! {
                () = of_kubernetes => {}
                () = of_keda => {}
                () = stop => {}
            }
        });
        rivals
    }

    /// Who else scales the group's workload.
    ///
    /// # Errors
    /// A sentence, when that cannot be told.
    pub async fn of(
        &self,
        group: &ConsumerGroup,
        groups: &[Arc<ConsumerGroup>],
    ) -> Result<Option<String>, String> {
        let Some(scaling) = &group.spec.autoscaling else {
            return Ok(None);
        };
        self.listed().await?;
        let (target, namespace) = (&scaling.scale_target_ref, &group.metadata.namespace);
        let here = self
            .autoscalers
            .state_filter(|other| other.metadata.namespace == *namespace);
        if let Some(found) = conflict::of_autoscalers(target, here.iter().map(|other| &**other)) {
            return Ok(Some(found));
        }
        let here = self
            .scaled_objects
            .state_filter(|other| other.metadata.namespace == *namespace);
        let found = conflict::of_scaled_objects(target, here.iter().map(|other| &**other));
        Ok(found.or_else(|| conflict::of_groups(group, groups)))
    }

    /// Waits for the first list.
    async fn listed(&self) -> Result<(), String> {
        let listed = async {
            let both = tokio::join!(
                self.autoscalers.wait_until_ready(),
                self.scaled_objects.wait_until_ready()
            );
            both.0.is_ok() && both.1.is_ok()
        };
        match tokio::time::timeout(LISTED_WITHIN, listed).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => {
                let why = self.trouble.lock().clone();
                let why = why.unwrap_or_else(|| "the API server does not answer".to_owned());
                Err(format!("cannot tell who else scales the workload: {why}"))
            }
        }
    }
}

/// What KEDA scales workloads by.
pub fn scaled_objects_kind() -> ApiResource {
    let kind = GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject");
    ApiResource::from_gvk_with_plural(&kind, "scaledobjects")
}

/// Keeps a store up to date. While `is_absent` says of an error that there is no such kind, the store is empty.
async fn follow<K>(
    api: Api<K>,
    mut writer: Writer<K>,
    is_absent: fn(&kube::Error) -> bool,
    trouble: Arc<Mutex<Option<String>>>,
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    loop {
        let events = watcher(api.clone(), watcher::Config::default());
        let mut events = std::pin::pin!(events.default_backoff().modify(slim));
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    trouble.lock().take();
                    writer.apply_watcher_event(&event);
                }
                Err(watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error))
                    if is_absent(&error) =>
                {
                    break;
                }
                Err(error) => {
                    let why = causes(&error);
                    tracing::warn!(error = %why, "cannot watch other autoscalers; see what the operator's roles allow");
                    *trouble.lock() = Some(why);
                }
            }
        }
        writer.apply_watcher_event(&watcher::Event::Init);
        writer.apply_watcher_event(&watcher::Event::InitDone);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Nobody has installed them. Where roles leave out what is not installed, the answer is that it is forbidden.
fn is_not_installed(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 403 | 404))
}
