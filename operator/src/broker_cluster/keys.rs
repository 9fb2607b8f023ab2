//! The keys of the brokers' configuration that a cluster's resource may give, as this release of the operator knows them:
//! enough to refuse what would keep a broker from starting. A test compares them with the brokers' manual.

/// A key.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Whether it changes while the broker runs.
    pub live: bool,
    /// What it takes.
    pub form: Form,
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `true` or `false`.
    Switch,
    /// A whole number from 1 on.
    Seconds,
    /// A whole number from the first to the second.
    Count(u64, u64),
    /// A number of bytes from the first to the second, a multiple of the third, such as `512MiB`.
    Size(u64, u64, u64),
    /// Bytes a second from the first to the second, or 0 for none.
    Rate(u64, u64),
    /// What is logged.
    Levels,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Where a collector is.
    Url,
}

const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace", "off"];
const UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("kb", 1_000),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
];

/// All of them.
pub const KEYS: &[Key] = &[
    key("autoCreateTopics", true, Form::Switch),
    key("queueMetrics", true, Form::Switch),
    key("log", true, Form::Levels),
    key("logFormat", false, Form::Choice(&["text", "json"])),
    key("otlpEndpoint", false, Form::Url),
    key("maxConnections", false, Form::Count(1, 1 << 20)),
    key("maxClients", false, Form::Count(1, 1 << 20)),
    key("maxReceives", false, Form::Count(1, 1 << 20)),
    key("maxBodySize", false, Form::Size(1 << 10, 4 << 20, 1)),
    key("maxUnansweredSends", false, Form::Size(8 << 20, 1 << 40, 1)),
    key("maxSendWaitMillis", false, Form::Count(10, 60_000)),
    key("maxUnfinishedRequests", false, Form::Size(1 << 20, 1 << 40, 1)),
    key("maxUnreadAnswers", false, Form::Size(1 << 20, 1 << 40, 1)),
    key("maxTransferSeconds", false, Form::Count(1, 3600)),
    key("flush", false, Form::Choice(&["sync", "async"])),
    key("segmentSize", false, Form::Size(256 << 10, 2 << 30, 4096)),
    key("retentionHours", true, Form::Count(1, 876_000)),
    key("retentionBytes", true, Form::Size(1 << 20, 1 << 50, 1)),
    key("earlyRetentionPercent", true, Form::Count(0, 99)),
    key("forcedRetentionPercent", true, Form::Count(0, 99)),
    key("refuseSendsPercent", true, Form::Count(0, 99)),
    key("checkpointBytes", true, Form::Size(64 << 10, u64::MAX, 1)),
    key("checkpointSeconds", true, Form::Seconds),
    key("scrubBytesPerSecond", true, Form::Rate(64 << 10, 1 << 40)),
];

const fn key(name: &'static str, live: bool, form: Form) -> Key {
    Key { name, live, form }
}

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The brokers' marks on their disk, each with what it is unless something is said, in percent; 0 turns one off.
const MARKS: [(&str, u64); 3] = [
    ("earlyRetentionPercent", 75),
    ("forcedRetentionPercent", 0),
    ("refuseSendsPercent", 90),
];
/// The lowest that a broker takes.
const MARK_LEAST: u64 = 10;

/// What is wrong with numbers together, each of which is right alone: the marks that are on must rise.
pub fn contradiction(given: impl Fn(&str) -> Option<u64>) -> Option<String> {
    let marks = MARKS.map(|(name, usual)| (name, given(name).unwrap_or(usual)));
    let on: Vec<_> = marks.into_iter().filter(|(_, mark)| *mark > 0).collect();
    if let Some((name, mark)) = on.iter().find(|(_, mark)| *mark < MARK_LEAST) {
        return Some(format!(
            "config.{name}: it takes 0, or {MARK_LEAST} to 99, and not '{mark}'"
        ));
    }
    let wrong = on.windows(2).find(|pair| pair[0].1 >= pair[1].1)?;
    let [(lower, low), (upper, high)] = [wrong[0], wrong[1]];
    Some(format!(
        "config.{lower}: {lower} is {low} and {upper} is {high}: make it less, or turn one off with 0"
    ))
}

impl Form {
    /// What is wrong with a value, if anything is.
    pub fn check(self, text: &str) -> Result<(), String> {
        let (fits, wanted) = match self {
            Self::Switch => (matches!(text, "true" | "false"), "true or false".to_owned()),
            Self::Seconds => (
                text.parse::<u32>().is_ok_and(|seconds| seconds > 0),
                "a whole number from 1 on".to_owned(),
            ),
            Self::Count(least, most) => (
                text.parse().is_ok_and(|count| (least..=most).contains(&count)),
                format!("a whole number from {least} to {most}"),
            ),
            Self::Size(least, most, multiple) => {
                let fits = |bytes: u64| (least..=most).contains(&bytes) && bytes.is_multiple_of(multiple);
                let up_to = if most == u64::MAX {
                    String::new()
                } else {
                    format!(" to {most}")
                };
                (
                    bytes(text).is_some_and(fits),
                    format!("bytes from {least}{up_to}, in multiples of {multiple}, such as 512MiB"),
                )
            }
            Self::Rate(least, most) => (
                bytes(text).is_some_and(|rate| rate == 0 || (least..=most).contains(&rate)),
                format!("0, or bytes from {least} to {most}, such as 8MiB"),
            ),
            Self::Levels => (
                !text.is_empty() && text.split(',').all(is_level),
                format!(
                    "one of {}, or PACKAGE=LEVEL with commas between",
                    LEVELS.join(", ")
                ),
            ),
            Self::Choice(choices) => (choices.contains(&text), choices.join(" or ")),
            Self::Url => (
                is_collector(text),
                "http://HOST:PORT, such as http://localhost:4317".to_owned(),
            ),
        };
        if fits {
            Ok(())
        } else {
            Err(format!("it takes {wanted}, and not '{text}'"))
        }
    }
}

fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text[digits.len()..].trim().to_ascii_lowercase();
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

fn is_collector(text: &str) -> bool {
    let authority = text
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'));
    let parts = authority.and_then(|authority| authority.rsplit_once(':'));
    parts.is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains(['@', '/']) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn is_level(directive: &str) -> bool {
    let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level);
    LEVELS.contains(&level.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_operator_api::broker_cluster::RESERVED_KEYS;
    use std::collections::BTreeMap;

    const MANUAL: &str = include_str!("../../../docs/configuration.md");

    #[test]
    fn the_keys_are_those_of_the_manual_without_the_operators_own() {
        let rows = MANUAL.lines().filter(|line| line.starts_with("| `"));
        let rows = rows.map(|line| line.split(" | ").collect::<Vec<_>>());
        let manual: BTreeMap<_, _> = rows
            .filter(|cells| cells.len() == 6)
            .map(|cells| (cells[0].trim_matches(['|', ' ', '`']), cells[4] == "yes"))
            .filter(|(name, _)| !RESERVED_KEYS.contains(name))
            .collect();
        let known: BTreeMap<_, _> = KEYS.iter().map(|key| (key.name, key.live)).collect();
        assert_eq!(known, manual);
        assert!(known.len() > 5);
    }

    #[test]
    fn marks_on_the_disk_rise_given_or_not() {
        for (given, fits) in [
            (&[][..], true),
            (&[("earlyRetentionPercent", 89)], true),
            (&[("earlyRetentionPercent", 90)], false),
            (&[("earlyRetentionPercent", 9)], false),
            (
                &[("forcedRetentionPercent", 85), ("earlyRetentionPercent", 85)],
                false,
            ),
            (&[("refuseSendsPercent", 0), ("forcedRetentionPercent", 99)], true),
        ] {
            let given: BTreeMap<&str, u64> = given.iter().copied().collect();
            let found = contradiction(|name| given.get(name).copied());
            assert_eq!(found.is_none(), fits, "{given:?}: {found:?}");
        }
        let rows = MANUAL.lines().filter(|line| line.starts_with("| `"));
        for (name, usual) in MARKS {
            let mut own = rows
                .clone()
                .filter(|line| line.starts_with(&format!("| `{name}`")));
            assert!(own.any(|line| line.contains(&format!("| `{usual}` |"))), "{name}");
        }
    }

    #[test]
    fn values_that_would_keep_a_broker_from_starting_are_refused() {
        for (name, good, bad) in [
            ("autoCreateTopics", &["true", "false"][..], &["yes", "1", ""][..]),
            ("checkpointSeconds", &["1", "60"], &["0", "-1", "1.5", "soon"]),
            (
                "segmentSize",
                &["1GiB", "1048576", "512MiB"],
                &["", "GiB", "0", "1TiB", "-1MiB", "4GiB", "300001"],
            ),
            (
                "checkpointBytes",
                &["64KiB", "16 mib"],
                &["1", "18446744073709551615GiB"],
            ),
            (
                "log",
                &["info", "off", "info,sluice_store=debug"],
                &["loud", "", "info,", "a=b"],
            ),
            ("flush", &["sync", "async"], &["never"]),
            ("maxConnections", &["1", "1048576"], &["0", "1048577", "many"]),
            ("maxBodySize", &["4MiB", "4194304"], &["5MiB", "1"]),
            (
                "scrubBytesPerSecond",
                &["0", "64KiB", "8MiB"],
                &["1", "63KiB", "2000GB"],
            ),
            ("logFormat", &["json"], &["xml"]),
            (
                "otlpEndpoint",
                &["http://localhost:4317"],
                &[
                    "localhost:4317",
                    "http://",
                    "http://a:1/x",
                    "http://a",
                    "http://u:p@a:1",
                ],
            ),
        ] {
            let form = find(name).unwrap().form;
            for value in good {
                assert_eq!(form.check(value), Ok(()), "{name}: {value}");
            }
            for value in bad {
                assert!(form.check(value).is_err(), "{name}: {value}");
            }
        }
    }
}
