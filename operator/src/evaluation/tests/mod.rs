//! Evaluations from end to end: lag from a server that answers like Prometheus, a workload and a group on an API server.

mod api_server;
mod holds;
mod prometheus;
mod scales;

use super::controller::Work;
use super::evaluate::{Next, evaluate};
use super::rivals::Rivals;
use crate::broker::{Brokers, Caller};
use crate::broker_object::Clusters;
use crate::clock::Clock;
use crate::context::Context;
use crate::error::ReconcileError;
use crate::leadership::Leadership;
use crate::metrics::Metrics;
use crate::settings::{RunArgs, Scope};
use crate::shutdown::Shutdown;
use crate::writer::Writer;
use api_server::ApiServer;
use clap::Parser;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::runtime::reflector::store;
use kube::runtime::watcher;
use parking_lot::Mutex;
use prometheus::Prometheus;
use serde_json::Value;
use sluice_operator_api::ConsumerGroup;
use sluice_operator_api::labels::SCALE_FIELD_MANAGER;
use std::sync::Arc;
use std::time::Duration;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    run: RunArgs,
}

/// An operator, and what it works on.
struct Case {
    prometheus: Prometheus,
    api: ApiServer,
    work: Work,
    leadership: Arc<Leadership>,
    autoscalers: Autoscalers,
}

/// What the watch of Kubernetes' autoscalers has brought.
type Autoscalers = Mutex<store::Writer<HorizontalPodAutoscaler>>;

impl Case {
    /// A group on 8 queues with a worker of one replica, 1,000 messages a replica, and further fields of `autoscaling`.
    async fn new(ready: &str, fields: &str) -> Self {
        let prometheus = Prometheus::serve(ready).await;
        let url = prometheus.url.clone();
        Self::of(prometheus, &format!("prometheus: {{url: '{url}'}}, {fields}")).await
    }

    /// The same, with nothing said of Prometheus.
    async fn of(prometheus: Prometheus, fields: &str) -> Self {
        let yaml = format!(
            "{{apiVersion: sluice.dev/v1alpha1, kind: ConsumerGroup, metadata: {{name: billing, namespace: shop, uid: u1, \
             generation: 1, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z'}}, spec: {{clusterRef: {{name: main}}, \
             subscriptions: [{{topic: orders, filter: {{type: Tag, expression: '*'}}}}], \
             autoscaling: {{scaleTargetRef: {{name: worker}}, maxReplicas: 20, behavior: {{cooldownSeconds: 0, scaleUp: {{stepPolicies: [{{type: Pods, value: 100, periodSeconds: 60}}]}}}}, {fields}}}}}}}"
        );
        let api = ApiServer::new(serde_yaml::from_str(&yaml).unwrap());
        let (work, leadership, autoscalers) = operator(&api, &prometheus, true).await;
        Self {
            prometheus,
            api,
            work,
            leadership,
            autoscalers,
        }
    }

    /// Evaluates once, with the group and the autoscalers as the API server has them.
    async fn evaluate(&self) -> Result<Next, ReconcileError> {
        let listed = self.api.with(|state| state.autoscalers.clone());
        list(
            &mut self.autoscalers.lock(),
            listed
                .into_iter()
                .map(|other| serde_json::from_value(other).unwrap()),
        );
        self.evaluate_unlisted().await
    }

    /// Evaluates once, whatever is known of autoscalers.
    async fn evaluate_unlisted(&self) -> Result<Next, ReconcileError> {
        let group: ConsumerGroup =
            serde_json::from_value(self.api.with(|state| state.group.clone())).unwrap();
        let mut writer = Writer::new(&self.work.context, "ConsumerGroup", &group).named(SCALE_FIELD_MANAGER);
        Box::pin(evaluate(&group, &self.work, &mut writer)).await
    }

    /// Another process takes over, which knows what the API server has.
    async fn restart(&mut self) {
        (self.work, self.leadership, self.autoscalers) = operator(&self.api, &self.prometheus, true).await;
    }

    fn scaled(&self) -> Vec<u64> {
        self.api.with(|state| state.scaled.clone())
    }

    fn status(&self) -> Value {
        self.api.with(|state| state.group["status"].clone())
    }

    /// A condition as `Status:Reason`.
    fn condition(&self, type_: &str) -> String {
        let status = self.status();
        let conditions = status["conditions"].as_array().unwrap();
        let found = conditions.iter().find(|condition| condition["type"] == type_);
        found.map_or_else(String::new, |found| {
            format!(
                "{}:{}",
                found["status"].as_str().unwrap(),
                found["reason"].as_str().unwrap()
            )
        })
    }
}

/// Puts these into a store, as the first list of a watch does.
fn list<K>(writer: &mut store::Writer<K>, all: impl Iterator<Item = K>)
where
    K: kube::Resource + Clone + 'static,
    K::DynamicType: Eq + std::hash::Hash + Clone,
{
    writer.apply_watcher_event(&watcher::Event::Init);
    for one in all {
        writer.apply_watcher_event(&watcher::Event::InitApply(one));
    }
    writer.apply_watcher_event(&watcher::Event::InitDone);
}

async fn operator(
    api: &ApiServer,
    prometheus: &Prometheus,
    named: bool,
) -> (Work, Arc<Leadership>, Autoscalers) {
    let clock = Clock::start();
    let leadership = Arc::new(Leadership::new(clock));
    leadership.extend(Duration::from_secs(3_600));
    let metrics = Arc::new(Metrics::new().unwrap());
    let brokers = Brokers::new(Caller {
        identity: "test".to_owned(),
        leadership: Arc::clone(&leadership),
        metrics: Arc::clone(&metrics),
    });
    let mut flags = vec!["run"];
    if !named {
        flags.extend(["--prometheus-url", &prometheus.url]);
    }
    let settings = Line::try_parse_from(flags)
        .unwrap()
        .run
        .check(Some("host".to_owned()))
        .unwrap();
    let identity = "test".to_owned();
    let context = Context::new(
        api.client(),
        metrics,
        brokers,
        Arc::clone(&leadership),
        clock,
        &settings,
        identity,
    );
    let context = Arc::new(context);
    let shutdown = Shutdown::default();
    // Without brokers there is nothing to watch.
    shutdown.begin();
    let clusters = Clusters::watch(Arc::clone(&context), &Scope::All, &shutdown).await;
    let (store, _) = kube::runtime::reflector::store();
    let autoscalers = store::Writer::new(());
    let mut scaled_objects = store::Writer::new(super::rivals::scaled_objects_kind());
    list(&mut scaled_objects, std::iter::empty());
    let rivals = Rivals::of_stores(autoscalers.as_reader(), scaled_objects.as_reader());
    let work = Work::new(context, clusters, store, rivals);
    (work, leadership, Mutex::new(autoscalers))
}
