//! The broker.

mod disk;

pub use disk::Disk;

use crate::output::{Fields, Show};
use crate::units::{self, Seconds, count, counted, seconds, size};
use serde::Serialize;
use sluice_core::units::write_size;
use sluice_proto::admin;

/// How the broker is.
#[derive(Debug, PartialEq, Serialize)]
pub struct BrokerStatus {
    /// Its name.
    pub broker: String,
    /// Its cluster's name.
    pub cluster: String,
    /// Its version.
    pub version: String,
    /// When it was started.
    pub started_at: String,
    /// Since then.
    pub uptime_seconds: Seconds,
    /// What clients are told.
    pub client_address: String,
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// Its log.
    pub log: Log,
    /// Its disk.
    pub disk: Disk,
    /// How many there are.
    pub topics: u32,
    /// How many there are.
    pub groups: u32,
    /// How many are connected.
    pub producers: u32,
    /// How many are connected.
    pub consumers: u32,
    /// How many are open.
    pub connections: u64,
    /// The operator's epoch; 0 if there never was one.
    pub fence_epoch: u64,
    /// Who has it.
    pub fence_holder: Option<String>,
    /// Of the shard.
    pub uuid: String,
}

/// Where it listens.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// What for.
    pub name: String,
    /// Where.
    pub address: String,
}

/// The log.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Log {
    /// Its level of behaviour.
    pub level: u32,
    /// The term since the start.
    pub term: u64,
    /// `sync` or `async`.
    pub flush: String,
    /// Where it begins, in bytes from the first ever written: what was before has been given up.
    pub start: u64,
    /// Where it ends.
    pub written: u64,
    /// How far it is synced.
    pub durable: u64,
    /// The next frame to apply.
    pub next_index: u64,
    /// Checkpoints written since the start.
    pub checkpoints: u64,
    /// How long messages are kept where a topic has no hours of its own; absent where an older broker does not say.
    pub retention_hours: Option<u32>,
    /// How much log is kept; absent without a bound.
    pub retention_bytes: Option<u64>,
    /// Whether the log keeps more than that.
    pub retention_blocked: bool,
}

impl Log {
    /// How long messages are kept, and how much log.
    fn retention(&self) -> String {
        let Some(hours) = self.retention_hours else {
            return String::new();
        };
        let hours = counted(hours.into(), "hour", "hours");
        let kept = match self.retention_bytes {
            None => format!("{hours}, however much log that is"),
            Some(bytes) => format!("{hours}, and {} of log at most", write_size(bytes)),
        };
        match self.retention_blocked {
            true => format!(
                "{kept}; but more stays: groups have not done it (`sluicectl group lag`), or the broker's log says why"
            ),
            false => kept,
        }
    }
}

impl From<admin::BrokerStatus> for BrokerStatus {
    fn from(status: admin::BrokerStatus) -> Self {
        let listener = |listener: admin::BrokerListener| Listener {
            name: listener.name,
            address: listener.address,
        };
        let log = status.log.map(|log| Log {
            level: log.level,
            term: log.term,
            flush: log.flush,
            start: log.start,
            written: log.written,
            durable: log.durable,
            next_index: log.next_index,
            checkpoints: log.checkpoints,
            retention_hours: Some(log.retention_hours).filter(|hours| *hours > 0),
            retention_bytes: Some(log.retention_bytes).filter(|bytes| *bytes > 0),
            retention_blocked: log.retention_blocked,
        });
        Self {
            broker: status.broker_name,
            cluster: status.cluster_name,
            version: status.version,
            started_at: units::rfc3339(status.started_ms),
            uptime_seconds: seconds(status.uptime_ms),
            client_address: status.client_address,
            listeners: status.listeners.into_iter().map(listener).collect(),
            log: log.unwrap_or_default(),
            disk: status.disk.map(Disk::from).unwrap_or_default(),
            topics: status.topics,
            groups: status.groups,
            producers: status.producers,
            consumers: status.consumers,
            connections: status.connections,
            fence_epoch: status.fence_epoch,
            fence_holder: Some(status.fence_holder).filter(|holder| !holder.is_empty()),
            uuid: status.uuid,
        }
    }
}

impl BrokerStatus {
    fn clients(&self) -> String {
        format!(
            "{}, {}, {}",
            counted(u64::from(self.producers), "producer", "producers"),
            counted(u64::from(self.consumers), "consumer", "consumers"),
            counted(self.connections, "connection", "connections")
        )
    }
}

/// Without a host where nothing is advertised and the broker listens at every address of its machine.
fn clients_use(address: &str) -> String {
    match address.strip_prefix(':') {
        Some(port) => format!("the address that they use, with port {port}"),
        None => address.to_owned(),
    }
}

impl Show for BrokerStatus {
    fn text(&self, wide: bool) -> String {
        let listeners: Vec<String> = self
            .listeners
            .iter()
            .map(|listener| format!("{} {}", listener.name, listener.address))
            .collect();
        let (log, disk) = (&self.log, &self.disk);
        let refused = disk.refusal();
        let mut fields = Fields::default()
            .with("broker", format!("{} of {}", self.broker, self.cluster))
            .with("version", &self.version)
            .with(
                "up for",
                format!("{}, since {}", self.uptime_seconds, self.started_at),
            )
            .with("clients use", clients_use(&self.client_address))
            .with("listens", listeners.join(", "))
            .with("topics", count(u64::from(self.topics)))
            .with("groups", count(u64::from(self.groups)))
            .with("clients", self.clients())
            .with(
                "log",
                format!(
                    "{} kept, flush {}",
                    size(log.written.saturating_sub(log.start)),
                    log.flush
                ),
            )
            .with("retention", log.retention())
            .with(
                "disk",
                format!(
                    "{} free of {}{refused}",
                    size(disk.free_bytes),
                    size(disk.total_bytes)
                ),
            )
            .with("data folder", &disk.folder);
        if wide {
            fields.add("disk use", disk.fullness());
            fields.add("disk marks", disk.marks());
            fields.add(
                "log position",
                format!(
                    "begins at {}, {} written, {} durable",
                    log.start, log.written, log.durable
                ),
            );
            fields.add(
                "log frames",
                format!(
                    "next index {}, term {}, level {}",
                    log.next_index, log.term, log.level
                ),
            );
            fields.add("checkpoints", count(log.checkpoints));
            fields.add("uuid", &self.uuid);
            let fence = self.fence_holder.as_ref();
            fields.add(
                "fence",
                fence.map_or_else(String::new, |who| format!("epoch {} of {who}", self.fence_epoch)),
            );
        }
        fields.render()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Format, Report as _};
    use serde_json::{Value, json};

    #[test]
    fn the_status_is_exact_in_json_and_humane_in_text() {
        let status = BrokerStatus::from(admin::BrokerStatus {
            broker_name: "broker-a".to_owned(),
            cluster_name: "sluice".to_owned(),
            uptime_ms: 3_661_000,
            client_address: ":8081".to_owned(),
            log: Some(admin::LogStatus {
                start: 5 << 20,
                written: 8 << 20,
                flush: "sync".to_owned(),
                ..Default::default()
            }),
            disk: Some(admin::DiskStatus {
                total_bytes: 100 << 30,
                free_bytes: 40 << 30,
                used_percent: 76.4,
                level: "early".to_owned(),
                early_retention_percent: 75,
                refuse_sends_percent: 90,
                ..Default::default()
            }),
            ..Default::default()
        });
        let json: Value = serde_json::from_str(&status.render(Format::Json, false)).unwrap();
        assert_eq!(json["log"]["start"], json!(5 << 20));
        assert_eq!(json["log"]["written"], json!(8 << 20));
        assert_eq!(
            (&json["uptime_seconds"], &json["fence_holder"]),
            (&json!(3661), &json!(null))
        );
        assert_eq!(json["disk"]["used_percent"], json!(76.4));
        assert_eq!(json["disk"]["level"], json!("early"));
        let wide = status.text(true);
        for part in [
            "76.4 % of what the broker may use: what all groups have read is given up before its time",
            "early retention 75 %, forced retention off, refused sends 90 %",
        ] {
            assert!(wide.contains(part), "{wide}");
        }
        let text = status.text(false);
        for part in [
            "up for:       1h1m",
            "clients use:  the address that they use, with port 8081",
            "3.0 MiB kept, flush sync",
            "40.0 GiB free of 100.0 GiB",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(status.text(true).contains("begins at 5242880, 8388608 written"));
    }

    #[test]
    fn the_retention_in_force_is_told_where_the_broker_tells_it() {
        for (retention_hours, retention_bytes, told) in [
            (None, None, ""),
            (Some(72), None, "72 hours, however much log that is"),
            (Some(1), Some(10 << 30), "1 hour, and 10GiB of log at most"),
        ] {
            let log = Log {
                retention_hours,
                retention_bytes,
                ..Log::default()
            };
            assert_eq!(log.retention(), told);
        }
        let blocked = Log {
            retention_hours: Some(72),
            retention_blocked: true,
            ..Log::default()
        };
        assert!(
            blocked
                .retention()
                .contains("; but more stays: groups have not done it")
        );
    }

    #[test]
    fn an_advertised_address_is_shown_as_it_is() {
        for address in ["broker.shop:8081", "[::1]:8081", "127.0.0.1:8081"] {
            assert_eq!(clients_use(address), address);
        }
    }
}
