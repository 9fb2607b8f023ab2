//! The brokers' configuration: the file that they follow, what of it holds only after a restart, and what has to be told to a
//! running broker.

use super::{drift, keys, names};
use serde_json::json;
use sluice_operator_api::broker_cluster::{BrokerClusterSpec, ConfigValue, RESERVED_KEYS};
use sluice_proto::admin::{ConfigChange, ConfigEntry};
use std::collections::BTreeMap;

/// What a broker calls a value that it was told while it runs.
const LIVE: &str = "live";
/// What a broker calls a value from its file.
const FILE: &str = "file";

/// A key that the resource gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// As it stands in the file.
    value: serde_yaml::Value,
    /// As the admin API has it.
    text: String,
    /// Whether a running broker takes it.
    live: bool,
}

/// The configuration of a cluster's brokers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configuration {
    given: BTreeMap<String, Setting>,
    own: BTreeMap<&'static str, String>,
}

/// What a running broker says of its configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Running {
    /// Every key as it stands.
    pub entries: Vec<ConfigEntry>,
    /// In its words, that it does not know a key which the resource gives.
    pub refusal: Option<String>,
}

impl Configuration {
    /// Of what the resource gives; or everything that is wrong with it. A key that only the running broker knows is taken.
    pub fn of(spec: &BrokerClusterSpec, running: Option<&Running>) -> Result<Self, Vec<String>> {
        let (given, problems) = spec.configuration();
        let mut problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let mut settings = BTreeMap::new();
        for (name, text) in given {
            let known = running.and_then(|running| running.entries.iter().find(|entry| entry.key == name));
            let setting = match (keys::find(name), known) {
                (Some(key), _) => match key.form.check(&text) {
                    Ok(()) => Setting {
                        value: typed(key.form, &text),
                        text,
                        live: key.live,
                    },
                    Err(reason) => {
                        problems.push(format!("config.{name}: {reason}"));
                        continue;
                    }
                },
                (None, Some(entry)) => Setting {
                    value: as_given(spec.config.get(name), &text),
                    text,
                    live: entry.live,
                },
                (None, None) => {
                    problems.push(unknown(name, running));
                    continue;
                }
            };
            settings.insert(name.to_owned(), setting);
        }
        let number = |name: &str| {
            settings
                .get(name)
                .and_then(|setting: &Setting| setting.text.parse().ok())
        };
        problems.extend(keys::contradiction(number));
        if problems.is_empty() {
            Ok(Self {
                given: settings,
                own: BTreeMap::new(),
            })
        } else {
            Err(problems)
        }
    }

    /// With what the operator sets itself.
    pub fn with_own(mut self, cluster: &str, advertised: Option<String>, tls: bool) -> Self {
        self.own.insert("clusterName", cluster.to_owned());
        self.own.insert("brokerName", names::BROKER_NAME.to_owned());
        self.own.insert(
            "adminTokenFile",
            format!("{}/{}", super::children::ADMIN_FOLDER, names::ADMIN_TOKEN_KEY),
        );
        if let Some(advertised) = advertised {
            self.own.insert("advertise", advertised);
        }
        if tls {
            self.own
                .insert("tlsCert", format!("{}/tls.crt", super::children::TLS_FOLDER));
            self.own
                .insert("tlsKey", format!("{}/tls.key", super::children::TLS_FOLDER));
        }
        self
    }

    /// The file.
    pub fn file(&self) -> String {
        let own = self
            .own
            .iter()
            .map(|(key, text)| ((*key).to_owned(), serde_yaml::Value::from(text.as_str())));
        let given = self
            .given
            .iter()
            .map(|(key, setting)| (key.clone(), setting.value.clone()));
        let all: BTreeMap<String, serde_yaml::Value> = own.chain(given).collect();
        let body =
            serde_yaml::to_string(&all).expect("texts, numbers and booleans can always be written as YAML");
        format!("# Made by the operator from the BrokerCluster.\n{body}")
    }

    /// The hash of what holds only after a restart.
    pub fn restart_hash(&self) -> String {
        let fixed = self.given.iter().filter(|(_, setting)| !setting.live);
        let fixed: BTreeMap<_, _> = fixed.map(|(key, setting)| (key, &setting.text)).collect();
        drift::hash(&json!({"own": self.own, "given": fixed}))
    }

    /// What a running broker has to be told so that its live keys are as they are to be. Whatever else it was told is taken back.
    pub fn changes(&self, running: &Running) -> Vec<ConfigChange> {
        let entries = running.entries.iter().filter(|entry| entry.live);
        entries
            .filter_map(|entry| {
                let value = match self.given.get(&entry.key) {
                    Some(setting) if setting.text == entry.value => return None,
                    Some(setting) => Some(setting.text.clone()),
                    None if entry.source == LIVE => None,
                    None => return None,
                };
                Some(ConfigChange {
                    key: entry.key.clone(),
                    value,
                })
            })
            .collect()
    }

    /// The keys that a running broker will have otherwise after a restart.
    pub fn pending(&self, running: &Running) -> Vec<String> {
        let entries = running.entries.iter().filter(|entry| !entry.live);
        entries
            .filter(|entry| !RESERVED_KEYS.contains(&entry.key.as_str()))
            .filter(|entry| match self.given.get(&entry.key) {
                Some(setting) => setting.text != entry.value,
                None => entry.source == FILE,
            })
            .map(|entry| entry.key.clone())
            .collect()
    }
}

fn unknown(name: &str, running: Option<&Running>) -> String {
    if let Some(refusal) = running.and_then(|running| running.refusal.as_deref()) {
        return format!("config.{name}: {refusal}");
    }
    let known: Vec<_> = keys::KEYS.iter().map(|key| key.name).collect();
    format!(
        "config.{name} is no key of the brokers: give one of {}",
        known.join(", ")
    )
}

/// The type that the broker wants in its file, however it stands in the resource.
fn typed(form: keys::Form, text: &str) -> serde_yaml::Value {
    match form {
        keys::Form::Switch => (text == "true").into(),
        keys::Form::Seconds | keys::Form::Count(..) | keys::Form::Size(..) | keys::Form::Rate(..) => {
            text.parse::<u64>().map_or_else(|_| text.into(), Into::into)
        }
        keys::Form::Levels | keys::Form::Choice(_) | keys::Form::Url => text.into(),
    }
}

fn as_given(value: Option<&ConfigValue>, text: &str) -> serde_yaml::Value {
    match value {
        Some(ConfigValue::Switch(switch)) => (*switch).into(),
        Some(ConfigValue::Number(number)) => (*number).into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker_cluster::testing::cluster;

    fn of(config: &str) -> Result<Configuration, Vec<String>> {
        Configuration::of(&cluster(&format!(r#"{{"config": {config}}}"#)).spec, None)
    }

    fn entry(key: &str, value: &str, source: &str, live: bool) -> ConfigEntry {
        ConfigEntry {
            key: key.to_owned(),
            value: value.to_owned(),
            source: source.to_owned(),
            live,
            description: String::new(),
        }
    }

    #[test]
    fn the_file_has_the_types_that_the_broker_wants() {
        let configuration = of(
            r#"{"autoCreateTopics": "false", "checkpointSeconds": "60", "log": "off", "segmentSize": 1048576}"#,
        );
        let file = configuration
            .unwrap()
            .with_own("main", Some("mq.example.org:80".to_owned()), true)
            .file();
        let read: BTreeMap<String, serde_yaml::Value> = serde_yaml::from_str(&file).unwrap();
        let wanted: BTreeMap<String, serde_yaml::Value> = [
            ("autoCreateTopics", false.into()),
            ("checkpointSeconds", 60.into()),
            ("log", "off".into()),
            ("segmentSize", 1_048_576.into()),
            ("advertise", "mq.example.org:80".into()),
            ("brokerName", "broker-0".into()),
            ("clusterName", "main".into()),
            ("adminTokenFile", "/etc/sluice/admin/token".into()),
            ("tlsCert", "/etc/sluice/tls/tls.crt".into()),
            ("tlsKey", "/etc/sluice/tls/tls.key".into()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        assert_eq!(read, wanted, "{file}");
    }

    #[test]
    fn what_no_broker_takes_is_refused_by_name() {
        for (config, parts) in [
            (r#"{"dataDir": "/x"}"#, ["config.dataDir", "operator"]),
            (r#"{"log": ["info"]}"#, ["config.log", "boolean"]),
            (r#"{"log": "loud"}"#, ["config.log", "'loud'"]),
            (
                r#"{"forcedRetentionPercent": 90}"#,
                ["forcedRetentionPercent is 90", "refuseSendsPercent is 90"],
            ),
            (r#"{"flush": true}"#, ["config.flush", "sync or async"]),
            (
                r#"{"autoCreateTopcs": true}"#,
                ["config.autoCreateTopcs", "autoCreateTopics"],
            ),
        ] {
            let problems = of(config).unwrap_err().join("; ");
            assert!(
                parts.iter().all(|part| problems.contains(part)),
                "{config}: {problems}"
            );
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let problems =
            of(r#"{"dataDir": "/x", "flush": "maybe", "log": ["info"], "nope": 1, "queueMetrics": true}"#);
        let problems = problems.unwrap_err().join("; ");
        for part in ["config.dataDir", "config.flush", "config.log", "config.nope"] {
            assert_eq!(problems.matches(part).count(), 1, "{part}: {problems}");
        }
        assert!(!problems.contains("config.queueMetrics"), "{problems}");
    }

    #[test]
    fn a_key_that_only_the_broker_knows_is_taken_and_one_that_it_refuses_is_refused_in_its_words() {
        let spec = cluster(r#"{"config": {"newKey": 5}}"#).spec;
        let mut running = Running {
            entries: vec![entry("newKey", "4", "default", true)],
            refusal: None,
        };
        let configuration = Configuration::of(&spec, Some(&running)).unwrap();
        assert!(configuration.file().contains("newKey: 5\n"));
        assert_eq!(configuration.changes(&running)[0].value.as_deref(), Some("5"));
        running = Running {
            entries: Vec::new(),
            refusal: Some("there is no key 'newKey'".to_owned()),
        };
        let problems = Configuration::of(&spec, Some(&running)).unwrap_err();
        assert_eq!(problems, ["config.newKey: there is no key 'newKey'"]);
    }

    #[test]
    fn only_what_holds_after_a_restart_changes_the_hash_of_the_pods() {
        let hash = |config| of(config).unwrap().with_own("main", None, false).restart_hash();
        let before = hash(r#"{"flush": "sync", "log": "info"}"#);
        for (config, same) in [
            (r#"{"flush": "sync", "log": "debug", "queueMetrics": true}"#, true),
            (r#"{"flush": "sync"}"#, true),
            (r#"{"flush": "async", "log": "info"}"#, false),
            (r#"{"log": "info"}"#, false),
        ] {
            assert_eq!(hash(config) == before, same, "{config}");
        }
        let plain = of("{}").unwrap();
        let with = |advertised: Option<&str>, tls| {
            let advertised = advertised.map(str::to_owned);
            plain.clone().with_own("main", advertised, tls).restart_hash()
        };
        assert_ne!(with(None, false), with(Some("a:1"), false));
        assert_ne!(with(None, false), with(None, true));
    }

    #[test]
    fn a_running_broker_is_told_what_differs_and_nothing_else() {
        let configuration = of(r#"{"log": "debug", "queueMetrics": true, "flush": "async"}"#).unwrap();
        let running = Running {
            entries: vec![
                entry("log", "info", "file", true),
                entry("queueMetrics", "true", "file", true),
                entry("checkpointSeconds", "5", "live", true),
                entry("checkpointBytes", "512MiB", "default", true),
                entry("flush", "sync", "default", false),
                entry("segmentSize", "1MiB", "file", false),
                entry("otlpEndpoint", "", "default", false),
                entry("advertise", "a:1", "file", false),
            ],
            refusal: None,
        };
        let changes = configuration.changes(&running);
        let changes: Vec<_> = changes
            .iter()
            .map(|change| (change.key.as_str(), change.value.as_deref()))
            .collect();
        assert_eq!(changes, [("log", Some("debug")), ("checkpointSeconds", None)]);
        assert_eq!(configuration.pending(&running), ["flush", "segmentSize"]);
    }
}
