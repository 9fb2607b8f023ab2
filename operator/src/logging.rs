//! What is logged, and how: for people or for machines.

use clap::ValueEnum;
use std::str::FromStr;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// What carries connections, and logs every frame: headers with tokens are among them.
const TRANSPORT: [&str; 7] = [
    "h2",
    "hyper",
    "hyper_util",
    "kube_client",
    "rustls",
    "tonic",
    "tower",
];

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// An object a line
    Json,
}

/// Which lines are written: from which level on, by package.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels(Targets);

impl FromStr for Levels {
    type Err = String;

    /// Packages that no directive names are logged at the level that stands alone, or at `info`; what carries connections
    /// at `info` at most.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut targets = Targets::new();
        let mut rest = LevelFilter::INFO;
        for directive in text.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let (package, level) = match directive.split_once('=') {
                Some((package, level)) => (Some(package), level),
                None => (None, directive),
            };
            // It also takes numbers, and nothing.
            let level = Some(level).filter(|level| level.starts_with(|c: char| c.is_ascii_alphabetic()));
            let level = level.and_then(|level| LevelFilter::from_str(level).ok());
            match (package, level) {
                (None, Some(level)) => rest = level,
                (Some(package), Some(level)) if !package.is_empty() => {
                    targets = targets.with_target(package, level);
                }
                _ => {
                    return Err(format!(
                        "'{directive}' is neither a level nor PACKAGE=LEVEL; write error, warn, info, debug, trace or off, or several with commas between, such as 'info,kube=debug'"
                    ));
                }
            }
        }
        let floor = rest.min(LevelFilter::INFO);
        let quiet = TRANSPORT.iter().map(|package| (*package, floor));
        // What was named goes before what is quiet, which goes before the rest.
        let targets = Targets::new().with_targets(quiet).with_targets(targets);
        Ok(Self(targets.with_default(rest)))
    }
}

/// Begins to log to standard error. To be called once in a process.
pub fn start(levels: &Levels, format: Format) {
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
    tracing_subscriber::registry()
        .with(levels.0.clone())
        .with(lines)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn a_level_alone_is_for_all_packages_that_have_none_of_their_own() {
        for (asked, kube, others) in [
            ("", Level::INFO, Level::INFO),
            ("DEBUG", Level::DEBUG, Level::DEBUG),
            ("kube=debug", Level::DEBUG, Level::INFO),
            ("warn, kube=trace,", Level::TRACE, Level::WARN),
        ] {
            let Levels(targets) = asked.parse().unwrap();
            for (target, level) in [("kube", kube), ("sluice_operator", others)] {
                assert!(targets.would_enable(target, &level), "{asked} {target}");
                let finer = [Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE]
                    .into_iter()
                    .find(|other| *other > level);
                assert!(
                    finer.is_none_or(|finer| !targets.would_enable(target, &finer)),
                    "{asked} {target}"
                );
            }
        }
    }

    #[test]
    fn what_carries_connections_is_quiet_unless_it_is_named() {
        for (asked, level) in [
            ("debug", Level::INFO),
            ("trace,sluice_operator=debug", Level::INFO),
            ("warn", Level::WARN),
            ("debug,h2=debug", Level::DEBUG),
        ] {
            let Levels(targets) = asked.parse().unwrap();
            let enabled = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN]
                .into_iter()
                .find(|level| targets.would_enable("h2::codec::framed_read", level));
            assert_eq!(enabled, Some(level), "{asked}");
        }
    }

    #[test]
    fn a_directive_that_says_nothing_is_refused_by_name() {
        for asked in ["bogus", "kube=loud", "=debug", "kube=", "7"] {
            let error = asked.parse::<Levels>().unwrap_err();
            assert!(error.contains(asked) && error.contains("such as"), "{error}");
        }
    }
}
