//! How the broker is.

use crate::admin::{Outcome, Shared};
use crate::clients::Role;
use crate::config::{Config, FlushMode, HostPort};
use crate::disk::{Usage, word};
use crate::engine::{Engine, EngineError, SystemTime, TimeSource as _};
use crate::listener::OpenConnections;
use rustix::fs::statvfs;
use sluice_proto::admin::{BrokerListener, BrokerStatus, DiskStatus, LogStatus};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What does not change while the broker runs.
pub struct Facts {
    broker_name: String,
    cluster_name: String,
    started_ms: u64,
    started: Instant,
    client_address: String,
    listeners: [(&'static str, SocketAddr); 3],
    flush: &'static str,
    folder: PathBuf,
    connections: OpenConnections,
}

impl Facts {
    /// Of a broker that starts now, with its ports by their names, the clients' first.
    pub fn new(
        config: &Config,
        ports: [(&'static str, SocketAddr); 3],
        connections: OpenConnections,
    ) -> Self {
        Self {
            broker_name: config.broker_name.clone(),
            cluster_name: config.cluster_name.clone(),
            started_ms: SystemTime.wall_ms(),
            started: Instant::now(),
            client_address: client_address(config.advertise.as_ref(), ports[0].1),
            listeners: ports,
            flush: match config.flush {
                FlushMode::Sync => "sync",
                FlushMode::Async => "async",
            },
            folder: config.data_dir.join(&config.broker_name),
            connections,
        }
    }
}

/// What clients are told, or may use where they are told what they used: then without a host.
fn client_address(advertise: Option<&HostPort>, port: SocketAddr) -> String {
    match advertise {
        Some(HostPort { host, port }) if host.contains(':') => format!("[{host}]:{port}"),
        Some(HostPort { host, port }) => format!("{host}:{port}"),
        None if port.ip().is_unspecified() => format!(":{}", port.port()),
        None => port.to_string(),
    }
}

pub(in crate::admin) async fn handle(shared: &Shared) -> Outcome<BrokerStatus> {
    let folder = shared.facts.folder.clone();
    let (log, disk) = shared
        .glance(move |engine| {
            let disk = disk(engine, &folder)?;
            Ok::<_, EngineError>((log(engine), disk))
        })
        .await??;
    let (facts, tables) = (&shared.facts, shared.engine.tables());
    let (clients, fenced) = (shared.clients.kinds(), tables.fenced());
    let count = |role: Role| clients.iter().filter(|kind| kind.role == role).count() as u32;
    let listeners = facts.listeners.map(|(name, address)| BrokerListener {
        name: name.to_owned(),
        address: address.to_string(),
    });
    let uuid = shared.engine.shard_uuid();
    Ok(BrokerStatus {
        broker_name: facts.broker_name.clone(),
        cluster_name: facts.cluster_name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_ms: facts.started_ms,
        uptime_ms: facts.started.elapsed().as_millis() as u64,
        client_address: facts.client_address.clone(),
        listeners: listeners.into(),
        log: Some(LogStatus {
            flush: facts.flush.to_owned(),
            ..log
        }),
        disk: Some(disk),
        topics: tables.all_topics().len() as u32,
        groups: tables.all_groups().len() as u32,
        producers: count(Role::Producer),
        consumers: count(Role::Consumer),
        connections: facts.connections.count(),
        fence_epoch: fenced.epoch,
        fence_holder: fenced.holder,
        uuid: uuid.iter().map(|byte| format!("{byte:02x}")).collect(),
    })
}

fn log(engine: &Engine) -> LogStatus {
    let store = engine.store();
    let live = engine.live().values();
    let positions = store.reader().positions();
    // In this order, or start and durable could be beyond written.
    let (start, durable, written) = (
        store.log().start().0,
        positions.durable().0,
        positions.written().0,
    );
    LogStatus {
        level: engine.tables().level(),
        term: store.term().0,
        flush: String::new(),
        start,
        written,
        durable,
        next_index: positions.applied().0,
        checkpoints: store.stats().2.written(),
        retention_hours: (live.retention.as_secs() / 3600) as u32,
        retention_bytes: live.retention_bytes.unwrap_or(0),
        retention_blocked: engine.retention().is_blocked() || engine.retention().has_failed(),
    }
}

/// The marks that hold, by their level.
const LEVELS: [&str; 4] = ["none", "early", "forced", "refuse"];

fn disk(engine: &Engine, folder: &Path) -> Result<DiskStatus, EngineError> {
    let system = statvfs(folder).map_err(|error| {
        EngineError::Read(format!(
            "the file system of {} tells nothing: {error}",
            folder.display()
        ))
    })?;
    let ((holding, usage), marks) = (engine.disk().seen(), engine.live().values().marks);
    let refusal = engine.store().log().refusal();
    let percent = |mark: Option<u64>| mark.unwrap_or(0) as u32;
    Ok(DiskStatus {
        folder: folder.display().to_string(),
        total_bytes: system.f_blocks.saturating_mul(system.f_frsize),
        free_bytes: free(usage, system.f_bavail.saturating_mul(system.f_frsize)),
        refusing_sends: refusal.is_some(),
        refusing_reason: refusal
            .as_ref()
            .map_or("", |refusal| word(&refusal.why))
            .to_owned(),
        refusing_cause: refusal.map_or_else(String::new, |refusal| refusal.says),
        used_percent: (usage.ratio() * 1000.0).round() / 10.0,
        level: LEVELS[holding.level().min(3) as usize].to_owned(),
        early_retention_percent: percent(marks.early),
        forced_retention_percent: percent(marks.forced),
        refuse_sends_percent: percent(marks.refuse),
    })
}

/// Of the same look as how full the disk is: what the system says a moment later is told beside another fullness. Before the first look
/// there is only that.
fn free(seen: Usage, now: u64) -> u64 {
    if seen == Usage::default() {
        now
    } else {
        seen.free()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_is_of_the_same_look_as_how_full_the_disk_is() {
        let seen = |used| Usage { used, size: 1000 };
        assert_eq!((free(seen(813), 0), free(seen(1000), 187)), (187, 0));
        assert_eq!(free(Usage::default(), 187), 187);
    }

    #[test]
    fn clients_are_told_the_advertised_address_or_may_use_the_port() {
        let told = |host: &str| {
            let advertised = HostPort {
                host: host.to_owned(),
                port: 80,
            };
            client_address(Some(&advertised), "0.0.0.0:8081".parse().unwrap())
        };
        assert_eq!(told("broker.test"), "broker.test:80");
        assert_eq!(told("::1"), "[::1]:80");
        for (port, address) in [
            ("127.0.0.1:8081", "127.0.0.1:8081"),
            ("0.0.0.0:8081", ":8081"),
            ("[::]:8081", ":8081"),
        ] {
            assert_eq!(client_address(None, port.parse().unwrap()), address);
        }
    }
}
