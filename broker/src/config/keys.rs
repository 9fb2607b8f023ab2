//! The table of keys: everything that the broker can be told. Flags, variables, the file, their help, what is printed
//! and what the admin API shows come from here; docs/configuration.md has a row for each.

mod disk;
mod limits;
mod upkeep;

use super::forms::{FLUSH_MODES, Form, LOG_FORMATS, PROFILES};
pub use disk::*;
pub use limits::*;
pub use upkeep::*;

/// One thing that can be configured.
#[derive(Debug)]
pub struct Key {
    /// Its name in the file, in the admin API and in what is printed.
    pub name: &'static str,
    /// Its flag, without the hyphens in front.
    pub flag: &'static str,
    /// Its variable in the environment.
    pub variable: &'static str,
    /// What it takes.
    pub form: Form,
    /// What it is unless something is said; none for what can be absent.
    pub default: Option<&'static str>,
    /// What it is instead with the profile `container`.
    pub container: Option<&'static str>,
    /// Whether it can be changed while the broker runs.
    pub live: bool,
    /// Under which heading the help shows it.
    pub heading: &'static str,
    /// What it means, in a line.
    pub help: &'static str,
}

const GENERAL: &str = "Configuration";
const BROKER: &str = "Broker";
const CLIENTS: &str = "Clients";
const OPERATORS: &str = "Operators";
const LOGS: &str = "Logs";
const LIMITS: &str = "Limits";
const STORE: &str = "Store";

/// What keys have that say nothing else.
const KEY: Key = Key {
    name: "",
    flag: "",
    variable: "",
    form: Form::File,
    default: None,
    container: None,
    live: false,
    heading: GENERAL,
    help: "",
};

/// All keys, in the order in which they are shown.
pub static KEYS: &[&Key] = &[
    &CONFIG,
    &PROFILE,
    &DATA_DIR,
    &BROKER_NAME,
    &CLUSTER_NAME,
    &INIT,
    &AUTO_CREATE_TOPICS,
    &GRPC_LISTEN,
    &ADVERTISE,
    &TLS_CERT,
    &TLS_KEY,
    &ADMIN_LISTEN,
    &ADMIN_TOKEN_FILE,
    &ADMIN_CLIENT_CA,
    &HTTP_LISTEN,
    &QUEUE_METRICS,
    &LOG,
    &LOG_FORMAT,
    &OTLP_ENDPOINT,
    &MAX_CONNECTIONS,
    &MAX_CLIENTS,
    &MAX_RECEIVES,
    &MAX_BODY_SIZE,
    &MAX_UNANSWERED_SENDS,
    &MAX_SEND_WAIT,
    &MAX_UNFINISHED_REQUESTS,
    &MAX_UNREAD_ANSWERS,
    &MAX_TRANSFER_SECONDS,
    &FLUSH,
    &SEGMENT_SIZE,
    &RETENTION_HOURS,
    &RETENTION_BYTES,
    &EARLY_RETENTION,
    &FORCED_RETENTION,
    &REFUSE_SENDS,
    &CHECKPOINT_BYTES,
    &CHECKPOINT_SECONDS,
    &SCRUB_BYTES_PER_SECOND,
];

pub static CONFIG: Key = Key {
    name: "config",
    flag: "config",
    variable: "SLUICE_CONFIG",
    form: Form::File,
    heading: GENERAL,
    help: "YAML file with any of these keys, such as 'grpcListen: 0.0.0.0:8081'; live ones are followed as it changes",
    ..KEY
};

pub static PROFILE: Key = Key {
    name: "profile",
    flag: "profile",
    variable: "SLUICE_PROFILE",
    form: Form::Choice(PROFILES),
    default: Some("laptop"),
    heading: GENERAL,
    help: "Which defaults hold: those for trying out, or those for a pod",
    ..KEY
};

pub static DATA_DIR: Key = Key {
    name: "dataDir",
    flag: "data-dir",
    variable: "SLUICE_DATA_DIR",
    form: Form::Folder,
    default: Some("./sluice-data"),
    heading: BROKER,
    help: "Where the broker keeps its data, made if absent; its own folder in there is locked while it runs",
    ..KEY
};

pub static BROKER_NAME: Key = Key {
    name: "brokerName",
    flag: "broker-name",
    variable: "SLUICE_BROKER_NAME",
    form: Form::Name,
    default: Some("broker-a"),
    heading: BROKER,
    help: "The broker's name in routes, and its folder inside the data folder",
    ..KEY
};

pub static CLUSTER_NAME: Key = Key {
    name: "clusterName",
    flag: "cluster-name",
    variable: "SLUICE_CLUSTER_NAME",
    form: Form::Name,
    default: Some("DefaultCluster"),
    heading: BROKER,
    help: "The cluster's name, in metrics; fixed when the broker's folder is made",
    ..KEY
};

pub static INIT: Key = Key {
    name: "init",
    flag: "init",
    variable: "SLUICE_INIT",
    form: Form::File,
    heading: BROKER,
    help: "YAML file with topics and groups to make at start where they are absent",
    ..KEY
};

pub static AUTO_CREATE_TOPICS: Key = Key {
    name: "autoCreateTopics",
    flag: "auto-create-topics",
    variable: "SLUICE_AUTO_CREATE_TOPICS",
    form: Form::Switch,
    default: Some("true"),
    live: true,
    heading: BROKER,
    help: "Make a topic when it is first used, with four queues",
    ..KEY
};

pub static GRPC_LISTEN: Key = Key {
    name: "grpcListen",
    flag: "grpc-listen",
    variable: "SLUICE_GRPC_LISTEN",
    form: Form::Listen,
    default: Some("127.0.0.1:8081"),
    container: Some("0.0.0.0:8081"),
    heading: CLIENTS,
    help: "Where clients connect, with TLS or in plaintext",
    ..KEY
};

pub static ADVERTISE: Key = Key {
    name: "advertise",
    flag: "advertise",
    variable: "SLUICE_ADVERTISE",
    form: Form::HostPort,
    heading: CLIENTS,
    help: "The address in routes; without it a route names the address that its client used",
    ..KEY
};

pub static TLS_CERT: Key = Key {
    name: "tlsCert",
    flag: "tls-cert",
    variable: "SLUICE_TLS_CERT",
    form: Form::File,
    heading: CLIENTS,
    help: "Certificate chain in PEM, read again when it changes; without it the broker makes itself one",
    ..KEY
};

pub static TLS_KEY: Key = Key {
    name: "tlsKey",
    flag: "tls-key",
    variable: "SLUICE_TLS_KEY",
    form: Form::File,
    heading: CLIENTS,
    help: "Private key in PEM",
    ..KEY
};

pub static ADMIN_LISTEN: Key = Key {
    name: "adminListen",
    flag: "admin-listen",
    variable: "SLUICE_ADMIN_LISTEN",
    form: Form::Listen,
    default: Some("127.0.0.1:8082"),
    container: Some("0.0.0.0:8082"),
    heading: OPERATORS,
    help: "Where the admin API answers; other hosts reach it only with a token or a client's certificate",
    ..KEY
};

pub static ADMIN_TOKEN_FILE: Key = Key {
    name: "adminTokenFile",
    flag: "admin-token-file",
    variable: "SLUICE_ADMIN_TOKEN_FILE",
    form: Form::File,
    heading: OPERATORS,
    help: "File with the token that admin calls carry, or with two of them, a line each; read again when it changes",
    ..KEY
};

pub static ADMIN_CLIENT_CA: Key = Key {
    name: "adminClientCa",
    flag: "admin-client-ca",
    variable: "SLUICE_ADMIN_CLIENT_CA",
    form: Form::File,
    heading: OPERATORS,
    help: "Certificates in PEM of those who may sign the certificates of admin clients",
    ..KEY
};

pub static HTTP_LISTEN: Key = Key {
    name: "httpListen",
    flag: "http-listen",
    variable: "SLUICE_HTTP_LISTEN",
    form: Form::Listen,
    default: Some("127.0.0.1:5557"),
    container: Some("0.0.0.0:5557"),
    heading: OPERATORS,
    help: "Where /livez, /readyz and /metrics answer",
    ..KEY
};

pub static QUEUE_METRICS: Key = Key {
    name: "queueMetrics",
    flag: "queue-metrics",
    variable: "SLUICE_QUEUE_METRICS",
    form: Form::Switch,
    default: Some("false"),
    live: true,
    heading: OPERATORS,
    help: "Show the lag of every queue in metrics, and not only of groups and topics",
    ..KEY
};

pub static LOG: Key = Key {
    name: "log",
    flag: "log",
    variable: "SLUICE_LOG",
    form: Form::Directives,
    default: Some("info"),
    live: true,
    heading: LOGS,
    help: "What is logged: error, warn, info, debug, trace, off, or directives such as 'info,sluice_store=debug'",
    ..KEY
};

pub static LOG_FORMAT: Key = Key {
    name: "logFormat",
    flag: "log-format",
    variable: "SLUICE_LOG_FORMAT",
    form: Form::Choice(LOG_FORMATS),
    default: Some("text"),
    container: Some("json"),
    heading: LOGS,
    help: "How lines are written",
    ..KEY
};

pub static OTLP_ENDPOINT: Key = Key {
    name: "otlpEndpoint",
    flag: "otlp-endpoint",
    variable: "SLUICE_OTLP_ENDPOINT",
    form: Form::Url,
    heading: LOGS,
    help: "Where a span of each call is sent, with OpenTelemetry's protocol over gRPC; without it there are none",
    ..KEY
};

pub static FLUSH: Key = Key {
    name: "flush",
    flag: "flush",
    variable: "SLUICE_FLUSH",
    form: Form::Choice(FLUSH_MODES),
    default: Some("sync"),
    heading: STORE,
    help: "When a send is answered: once its message is synced, or before",
    ..KEY
};

pub static SEGMENT_SIZE: Key = Key {
    name: "segmentSize",
    flag: "segment-size",
    variable: "SLUICE_SEGMENT_SIZE",
    form: Form::SegmentSize,
    default: Some("1GiB"),
    heading: STORE,
    help: "Size of the log's files, 256KiB to 2GiB in multiples of 4096 bytes, fixed when the log is made",
    ..KEY
};

pub static RETENTION_HOURS: Key = Key {
    name: "retentionHours",
    flag: "retention-hours",
    variable: "SLUICE_RETENTION_HOURS",
    form: Form::Count(1, 876_000),
    default: Some("72"),
    live: true,
    heading: STORE,
    help: "Keep messages for this many hours, consumed or not",
    ..KEY
};

pub static RETENTION_BYTES: Key = Key {
    name: "retentionBytes",
    flag: "retention-bytes",
    variable: "SLUICE_RETENTION_BYTES",
    form: Form::Bytes(1 << 20, 1 << 50),
    live: true,
    heading: STORE,
    help: "Keep no more than this much log, consumed or not",
    ..KEY
};

pub static CHECKPOINT_BYTES: Key = Key {
    name: "checkpointBytes",
    flag: "checkpoint-bytes",
    variable: "SLUICE_CHECKPOINT_BYTES",
    form: Form::CheckpointBytes,
    default: Some("512MiB"),
    live: true,
    heading: STORE,
    help: "Write a checkpoint after this much log …",
    ..KEY
};

pub static CHECKPOINT_SECONDS: Key = Key {
    name: "checkpointSeconds",
    flag: "checkpoint-seconds",
    variable: "SLUICE_CHECKPOINT_SECONDS",
    form: Form::Seconds,
    default: Some("30"),
    live: true,
    heading: STORE,
    help: "… or after this many seconds, whichever comes first",
    ..KEY
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// `grpcListen` in the words that it is made of, with a sign between them.
    fn spelt(name: &str, between: char) -> String {
        let mut spelt = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() {
                spelt.push(between);
            }
            spelt.push(letter.to_ascii_lowercase());
        }
        spelt
    }

    #[test]
    fn a_key_is_spelt_alike_in_file_flag_and_variable() {
        for key in KEYS {
            assert_eq!(key.flag, spelt(key.name, '-'));
            assert_eq!(
                key.variable,
                format!("SLUICE_{}", spelt(key.name, '_').to_uppercase())
            );
        }
        let names: BTreeSet<_> = KEYS.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), KEYS.len(), "each stands once");
    }

    #[test]
    fn defaults_and_those_of_the_container_can_be_used_and_are_explained() {
        for key in KEYS {
            for value in [key.default, key.container].into_iter().flatten() {
                assert_eq!(key.form.check(value), Ok(()), "{}", key.name);
            }
            assert!(!key.help.is_empty() && !key.help.ends_with('.'), "{}", key.name);
        }
    }
}
