//! What the broker counts, in Prometheus's terms. Names are RocketMQ 5's where it has one. docs/metrics.md lists all.
//!
//! One struct a component, made with the labels that all series share and passed around: there are no globals. What there
//! is little of is in a registry; what there is one of for each topic, group or client is written straight onto the page.

mod admin_calls;
mod backlog;
mod clock;
mod configuration;
mod connections;
mod disk;
mod members;
mod page;
mod pressure;
mod process;
mod rpc;
mod storage;
mod topics;
mod traffic;

pub use admin_calls::{AdminCall, AdminCalls};
pub use connections::PortSources;
pub use rpc::{Call, Rpc, RpcMetrics};
pub use traffic::{Inflow, Outflow, TrafficMetrics};

use crate::budget::Budget;
use crate::clients::Clients;
use crate::config::Live;
use crate::engine::Engine;
use crate::listener::Bounds;
use backlog::Backlogs;
use disk::Disk;
use members::Members;
use page::{Common, Page};
use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::{Registry, TextEncoder};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use topics::Topics;

/// All metrics of one broker.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    common: Common,
    /// Calls.
    pub rpc: RpcMetrics,
    /// Calls of the admin API.
    pub admin: Arc<AdminCalls>,
    /// Messages in and out.
    pub traffic: TrafficMetrics,
    disk: Disk,
    kept: Mutex<Kept>,
}

/// What one look leaves for the next. Looks take turns: two at once would only share the processors.
#[derive(Debug)]
struct Kept {
    backlogs: Backlogs,
    topics: Topics,
    members: Members,
    page_bytes: usize,
}

/// Where the numbers are that are looked at when somebody asks.
pub struct Sources {
    /// State and store.
    pub engine: Arc<Engine>,
    /// The clients.
    pub clients: Arc<Clients>,
    /// The bodies on their way into the log.
    pub unanswered: Arc<Budget>,
    /// What connections hold, and what was refused on them.
    pub bounds: Arc<Bounds>,
    /// The keys that can change while the broker runs: whether each queue of each subscription has series of its own.
    pub live: Arc<Live>,
    /// The ports.
    pub ports: PortSources,
}

impl Metrics {
    /// Metrics of this broker, which keeps its data in `data_dir`; its names are labels on every series, as RocketMQ has
    /// them.
    pub fn new(cluster: &str, broker_name: &str, data_dir: &Path) -> prometheus::Result<Self> {
        let labels = [
            ("cluster", cluster),
            ("node_type", "broker"),
            ("node_id", broker_name),
        ];
        let common = Common::new(&labels);
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let registry = Registry::new_custom(None, Some(HashMap::from(labels)))?;
        let kept = Kept {
            backlogs: Backlogs::new(common.clone()),
            topics: Topics::new(common.clone()),
            members: Members::default(),
            page_bytes: 0,
        };
        Ok(Self {
            rpc: RpcMetrics::new(&registry)?,
            admin: Arc::new(AdminCalls::new().map_err(|error| prometheus::Error::Msg(error.to_string()))?),
            traffic: TrafficMetrics::new(common.clone()),
            disk: Disk::new(data_dir),
            kept: Mutex::new(kept),
            common,
            registry,
        })
    }

    /// Everything, as it is now, in Prometheus's text format. Reads files: not for a worker of the runtime.
    pub fn tell(&self, sources: &Sources) -> prometheus::Result<String> {
        let mut kept = self.kept.lock();
        let kept = &mut *kept;
        let (engine, tables) = (&*sources.engine, sources.engine.tables());
        let mut page = Page::new(&self.common, kept.page_bytes);
        process::write(&mut page);
        configuration::write(&mut page, &sources.live);
        pressure::write(&mut page, sources);
        connections::write(&mut page, sources);
        self.admin.write(&mut page);
        self.disk.write(&mut page, engine);
        clock::write(&mut page, engine);
        storage::write(&mut page, engine);
        kept.members.write(&mut page, &sources.clients);
        let values = sources.live.values();
        kept.topics.write(&mut page, tables, values.retention);
        kept.backlogs.write(&mut page, engine, values.queue_metrics);
        self.traffic.write(&mut page, tables);
        let mut text = page.finish();
        TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text)?;
        kept.page_bytes = text.len();
        Ok(text)
    }
}

fn yes_or_no(is: bool) -> &'static str {
    if is { "true" } else { "false" }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

#[cfg(test)]
mod tests;
