//! What else scales the workloads of a scope. It is listed now and then, for all groups together: a list for each evaluation
//! would be most of what the API server has to do.

use crate::clock::Clock;
use crate::scaling::conflict;
use crate::settings::Scope;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt as _};
use sluice_operator_api::ConsumerGroup;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// What was listed counts for so long.
const FRESH_FOR: Duration = Duration::from_secs(10);
/// Beyond that the list comes in pages.
const PAGE: u32 = 500;

/// The other autoscalers.
pub struct Rivals {
    client: Client,
    scope: Scope,
    clock: Clock,
    listed: Mutex<Option<(Duration, Arc<Listed>)>>,
}

#[derive(Default)]
struct Listed {
    autoscalers: Vec<HorizontalPodAutoscaler>,
    scaled_objects: Vec<DynamicObject>,
}

impl Rivals {
    /// Those of a scope.
    pub fn new(client: Client, scope: Scope, clock: Clock) -> Self {
        Self {
            client,
            scope,
            clock,
            listed: Mutex::default(),
        }
    }

    /// Who else scales the group's workload.
    pub async fn of(
        &self,
        group: &ConsumerGroup,
        groups: &[Arc<ConsumerGroup>],
    ) -> Result<Option<String>, kube::Error> {
        let Some(scaling) = &group.spec.autoscaling else {
            return Ok(None);
        };
        let listed = self.listed().await?;
        let (target, namespace) = (&scaling.scale_target_ref, group.namespace());
        let here = listed
            .autoscalers
            .iter()
            .filter(|other| other.namespace() == namespace);
        if let Some(found) = conflict::of_autoscalers(target, here) {
            return Ok(Some(found));
        }
        let here = listed
            .scaled_objects
            .iter()
            .filter(|other| other.namespace() == namespace);
        let found = conflict::of_scaled_objects(target, here);
        Ok(found.or_else(|| conflict::of_groups(group, groups)))
    }

    /// One list serves all who wait for it.
    async fn listed(&self) -> Result<Arc<Listed>, kube::Error> {
        let mut listed = self.listed.lock().await;
        let now = self.clock.since_start();
        if let Some((at, found)) = &*listed
            && now < *at + FRESH_FOR
        {
            return Ok(Arc::clone(found));
        }
        let found = Arc::new(Listed {
            autoscalers: all(&self.scope.api(self.client.clone())).await?,
            scaled_objects: self.scaled_objects().await?,
        });
        *listed = Some((now, Arc::clone(&found)));
        Ok(found)
    }

    async fn scaled_objects(&self) -> Result<Vec<DynamicObject>, kube::Error> {
        let kind = GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject");
        let kind = ApiResource::from_gvk_with_plural(&kind, "scaledobjects");
        let api: Api<DynamicObject> = match &self.scope {
            Scope::All => Api::all_with(self.client.clone(), &kind),
            Scope::Namespace(name) => Api::namespaced_with(self.client.clone(), name, &kind),
        };
        match all(&api).await {
            // Nobody has installed them. Where roles leave out what is not installed, the answer is that it is forbidden.
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => Ok(Vec::new()),
            listed => listed,
        }
    }
}

async fn all<K>(api: &Api<K>) -> Result<Vec<K>, kube::Error>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let mut parameters = ListParams::default().limit(PAGE);
    let mut found = Vec::new();
    loop {
        let page = api.list(&parameters).await?;
        found.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(found),
        }
    }
}
