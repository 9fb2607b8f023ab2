//! What the broker counts, in Prometheus's terms. Names are RocketMQ 5's where it has one. docs/metrics.md lists all.
//!
//! One struct a component, registered in a registry that is passed around: there are no globals.

mod rpc;
mod state;
mod traffic;

pub use rpc::{Call, Rpc, RpcMetrics};
pub use traffic::{Flow, TrafficMetrics};

use crate::clients::Clients;
use crate::engine::Engine;
use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::{Registry, TextEncoder};
use state::StateMetrics;
use std::collections::HashMap;

/// All metrics of one broker.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Calls.
    pub rpc: RpcMetrics,
    /// Messages in and out.
    pub traffic: TrafficMetrics,
    state: StateMetrics,
    /// What one look has set another must not reset before it is told.
    telling: Mutex<()>,
}

impl Metrics {
    /// Metrics of this broker; its names are labels on every series, as RocketMQ has them.
    pub fn new(cluster: &str, broker_name: &str) -> prometheus::Result<Self> {
        let labels = [
            ("cluster", cluster),
            ("node_type", "broker"),
            ("node_id", broker_name),
        ];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let registry = Registry::new_custom(None, Some(HashMap::from(labels)))?;
        Ok(Self {
            rpc: RpcMetrics::new(&registry)?,
            traffic: TrafficMetrics::new(&registry)?,
            state: StateMetrics::new(&registry)?,
            telling: Mutex::new(()),
            registry,
        })
    }

    /// Everything, as it is now, in Prometheus's text format. Reads files: not for a worker of the runtime.
    pub fn tell(&self, engine: &Engine, clients: &Clients) -> prometheus::Result<String> {
        let _alone = self.telling.lock();
        self.state.refresh(engine, clients);
        self.encode()
    }

    fn encode(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every metric that a page of docs/metrics.md must have a row for.
    fn names(text: &str) -> BTreeSet<&str> {
        text.lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect()
    }

    #[test]
    fn every_metric_is_on_its_page_and_none_is_there_that_does_not_exist() {
        let metrics = Metrics::new("c", "b").unwrap();
        metrics.rpc.begin(Rpc::SendMessage).finish(20_000);
        metrics.traffic.touch_all();
        metrics.state.touch_all();
        let text = metrics.encode().unwrap();
        let page = include_str!("../../../docs/metrics.md");
        let documented = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let documented: BTreeSet<&str> = documented.map(|(name, _)| name).collect();
        assert_eq!(names(&text), documented);
    }

    #[test]
    fn every_series_names_cluster_and_broker() {
        let metrics = Metrics::new("blue", "broker-7").unwrap();
        metrics.rpc.begin(Rpc::Heartbeat).finish(20_000);
        let text = metrics.encode().unwrap();
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(!samples.is_empty());
        for sample in samples {
            for label in ["cluster=\"blue\"", "node_type=\"broker\"", "node_id=\"broker-7\""] {
                assert!(sample.contains(label), "{sample}");
            }
        }
    }
}
