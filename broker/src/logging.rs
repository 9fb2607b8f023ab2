//! What is logged: the variable `SLUICE_LOG`, and the subscriber that it sets up.

use std::ffi::OsStr;
use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

const VARIABLE: &str = "SLUICE_LOG";
const LEVELS: [(&str, LevelFilter); 6] = [
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
    ("off", LevelFilter::OFF),
];

/// A directive that says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{VARIABLE} cannot be followed: '{directive}' is neither a level nor PACKAGE=LEVEL; write error, warn, info, debug, trace or off, or several with commas between, such as 'info,sluice_store=debug'"
)]
pub struct LogError {
    directive: String,
}

/// Logs to standard error what the environment asks for.
pub fn start() -> Result<(), LogError> {
    let asked = std::env::var_os(VARIABLE).unwrap_or_default();
    let targets = targets(&asked)?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colours);
    tracing_subscriber::registry().with(targets).with(lines).init();
    Ok(())
}

/// Packages that no directive names are logged at the level that stands alone, or at `info`.
fn targets(asked: &OsStr) -> Result<Targets, LogError> {
    let asked = asked.to_string_lossy();
    let mut targets = Targets::new().with_default(LevelFilter::INFO);
    for directive in asked.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        let refuse = || LogError {
            directive: directive.to_owned(),
        };
        targets = match directive.split_once('=') {
            None => targets.with_default(level(directive).ok_or_else(refuse)?),
            Some((package, name)) if is_path(package) => {
                targets.with_target(package, level(name).ok_or_else(refuse)?)
            }
            Some(_) => return Err(refuse()),
        };
    }
    Ok(targets)
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
        super::targets(OsStr::new(asked))
    }

    #[test]
    fn a_level_alone_is_for_all_packages_that_have_none_of_their_own() {
        for (asked, store, others) in [
            ("", Level::INFO, Level::INFO),
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

    fn finer(level: Level) -> Option<Level> {
        let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        levels.into_iter().find(|other| *other > level)
    }

    #[test]
    fn a_directive_that_says_nothing_is_refused_by_name() {
        for (asked, named) in [
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
