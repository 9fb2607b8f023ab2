//! What is logged, and how: for people or for machines, at levels that can change while the broker runs.

use crate::config::Live;
use std::sync::Arc;
use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt, reload};

const LEVELS: [(&str, LevelFilter); 6] = [
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
    ("off", LevelFilter::OFF),
];

/// What carries connections, and logs every frame.
const TRANSPORT: [&str; 6] = ["h2", "hyper", "hyper_util", "rustls", "tonic", "tower"];

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// An object a line.
    Json,
}

/// Which lines are written: from which level on, by package.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels(Targets);

/// A directive that says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "'{directive}' is neither a level nor PACKAGE=LEVEL; write error, warn, info, debug, trace or off, or several with commas between, such as 'info,sluice_store=debug'"
)]
pub struct LogError {
    directive: String,
}

/// What is logged to standard error from now on.
pub struct Logging {
    handle: reload::Handle<Targets, Registry>,
    present: Levels,
}

/// Begins to log. To be called once in a process.
pub fn start(levels: &Levels, format: Format) -> Logging {
    let (targets, handle) = reload::Layer::new(levels.0.clone());
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        Format::Text => lines
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .boxed(),
        // Flat, so that a field of ours is one of the object's: none may be called timestamp, level, message or target.
        Format::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    tracing_subscriber::registry().with(targets).with(lines).init();
    Logging {
        handle,
        present: levels.clone(),
    }
}

impl Logging {
    /// Follows the key `log` for as long as the process lives.
    pub async fn follow(mut self, live: Arc<Live>) {
        let mut changes = live.subscribe();
        loop {
            let wanted = live.values().log.clone();
            if wanted != self.present && self.handle.reload(wanted.0.clone()).is_ok() {
                self.present = wanted;
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Levels {
    /// Packages that no directive names are logged at the level that stands alone, or at `info`; those that carry
    /// connections, not below `info`: they would drown everything else.
    pub fn read(text: &str) -> Result<Self, LogError> {
        let mut default = None;
        let mut named = Vec::new();
        for directive in text.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let refuse = || LogError {
                directive: directive.to_owned(),
            };
            match directive.split_once('=') {
                None => default = Some(level(directive).ok_or_else(refuse)?),
                Some((package, name)) if is_path(package) => {
                    named.push((package.to_owned(), level(name).ok_or_else(refuse)?));
                }
                Some(_) => return Err(refuse()),
            }
        }
        if default.is_none() && named.is_empty() {
            return Err(LogError {
                directive: text.to_owned(),
            });
        }
        let default = default.unwrap_or(LevelFilter::INFO);
        let quiet = TRANSPORT.map(|package| (package, default.min(LevelFilter::INFO)));
        let targets = Targets::new().with_default(default).with_targets(quiet);
        // The last word on a package counts.
        Ok(Self(targets.with_targets(named)))
    }
}

fn level(name: &str) -> Option<LevelFilter> {
    let found = LEVELS
        .into_iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, level)| level)
}

/// `sluice_store` or `sluice_store::log`.
fn is_path(package: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
    !package.is_empty() && package.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    fn targets(asked: &str) -> Result<Targets, LogError> {
        Levels::read(asked).map(|levels| levels.0)
    }

    #[test]
    fn a_level_alone_is_for_all_packages_that_have_none_of_their_own() {
        for (asked, store, others) in [
            ("debug", Level::DEBUG, Level::DEBUG),
            ("WARN", Level::WARN, Level::WARN),
            ("sluice_store=debug", Level::DEBUG, Level::INFO),
            ("sluice_store=trace, error", Level::TRACE, Level::ERROR),
            ("warn,sluice_store::log=debug,", Level::DEBUG, Level::WARN),
        ] {
            let targets = targets(asked).unwrap();
            for (target, level) in [("sluice_store::log", store), ("sluice_broker", others)] {
                assert!(targets.would_enable(target, &level), "{asked} {target}");
                if let Some(finer) = finer(level) {
                    assert!(!targets.would_enable(target, &finer), "{asked} {target}");
                }
            }
        }
        assert!(
            !targets("off")
                .unwrap()
                .would_enable("sluice_broker", &Level::ERROR)
        );
    }

    #[test]
    fn what_carries_connections_is_quiet_unless_it_is_named() {
        for (asked, level) in [
            ("debug", Level::INFO),
            ("trace,sluice_store=debug", Level::INFO),
            ("warn", Level::WARN),
            ("debug,h2=debug", Level::DEBUG),
            ("h2=trace", Level::TRACE),
        ] {
            let targets = targets(asked).unwrap();
            let target = "h2::codec::framed_read";
            assert!(targets.would_enable(target, &level), "{asked}");
            let finer = finer(level).is_some_and(|finer| targets.would_enable(target, &finer));
            assert!(!finer, "{asked}");
        }
    }

    fn finer(level: Level) -> Option<Level> {
        let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        levels.into_iter().find(|other| *other > level)
    }

    #[test]
    fn a_directive_that_says_nothing_is_refused_by_name() {
        for (asked, named) in [
            ("", "''"),
            (" , ", "' , '"),
            ("bogus", "'bogus'"),
            ("info,x=y=z", "'x=y=z'"),
            ("info,sluice_store=loud", "'sluice_store=loud'"),
            ("=debug", "'=debug'"),
            ("sluice store=debug", "'sluice store=debug'"),
            ("info debug", "'info debug'"),
        ] {
            let error = targets(asked).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("such as"), "{error}");
        }
    }
}
