//! Producers and consumers that have announced themselves, with RocketMQ's labels.

use super::page::{Family, Page};
use crate::clients::{Clients, Kind, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Versions that are told apart, whichever came first. They are normalised, and yet clients can make them up.
const VERSIONS_MAX: usize = 32;
/// What all further versions are counted as.
const FURTHER: &str = "other";

static PRODUCERS: Family = Family::gauge(
    "rocketmq_producer_connections",
    &["language", "version", "protocol_type"],
    "Producers that have announced themselves",
);
static CONSUMERS: Family = Family::gauge(
    "rocketmq_consumer_connections",
    &[
        "consumer_group",
        "language",
        "version",
        "consume_mode",
        "protocol_type",
        "is_system",
    ],
    "Consumers that have announced themselves",
);

/// The versions seen so far.
#[derive(Debug, Default)]
pub(super) struct Members {
    versions: BTreeSet<Arc<str>>,
}

impl Members {
    pub(super) fn write(&mut self, page: &mut Page<'_>, clients: &Clients) {
        let mut counts: BTreeMap<Kind, u64> = BTreeMap::new();
        for mut kind in clients.kinds() {
            self.tell_apart(&mut kind.version);
            *counts.entry(kind).or_default() += 1;
        }
        let of = |role| counts.iter().filter(move |(kind, _)| kind.role == role);
        let producers = of(Role::Producer);
        page.few(
            &PRODUCERS,
            producers.map(|(kind, count)| ([language(kind), &kind.version, "grpc"], *count)),
        );
        let consumers = of(Role::Consumer).map(|(kind, count)| {
            let labels = [
                &kind.group,
                language(kind),
                &kind.version,
                kind.mode,
                "grpc",
                "false",
            ];
            (labels, *count)
        });
        page.few(&CONSUMERS, consumers);
    }

    fn tell_apart(&mut self, version: &mut Arc<str>) {
        if self.versions.contains(version) {
            return;
        }
        if self.versions.len() < VERSIONS_MAX {
            self.versions.insert(Arc::clone(version));
        } else {
            *version = Arc::from(FURTHER);
        }
    }
}

/// As RocketMQ's brokers spell what clients have in their headers.
fn language(kind: &Kind) -> &'static str {
    match kind.language {
        "JAVA" => "java",
        "CPP" => "cpp",
        "DOT_NET" => "dotnet",
        "GO" | "GOLANG" => "go",
        "RUST" => "rust",
        "PYTHON" => "python",
        "PHP" => "php",
        "HTTP" => "http",
        "NODE_JS" => "node_js",
        "RUBY" => "ruby",
        "OBJECTIVE_C" => "objective_c",
        "DART" => "dart",
        "KOTLIN" => "kotlin",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_versions_are_told_apart() {
        let mut members = Members::default();
        let mut seen = BTreeSet::new();
        for round in 0..2 {
            for n in 0..1000 {
                let mut version = Arc::from(format!("v5_{n}"));
                members.tell_apart(&mut version);
                assert_eq!(&*version == FURTHER, n >= VERSIONS_MAX, "round {round}: {n}");
                seen.insert(version);
            }
        }
        assert_eq!(seen.len(), VERSIONS_MAX + 1);
    }
}
