//! What keys take: how a text is read, and why it is refused.

use crate::logging;
use sluice_core::units;
use sluice_store::log::SegmentLimits;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

const NAME_MAX: usize = 127;
const CHECKPOINT_BYTES_MIN: u64 = 64 << 10;
/// A start replays as much log: a few minutes of it.
const CHECKPOINT_BYTES_MAX: u64 = 64 << 30;
/// A day.
const CHECKPOINT_SECONDS_MAX: u64 = 86_400;

/// A value of several, and what it means.
pub type Choices = &'static [(&'static str, &'static str)];

pub(super) const LAPTOP: &str = "laptop";
pub(super) const CONTAINER: &str = "container";
pub(super) const PROFILES: Choices = &[
    (LAPTOP, "Everything on the loopback interface"),
    (
        CONTAINER,
        "Clients and HTTP on all interfaces, the admin API too once it has a token or a client CA; logs in JSON",
    ),
];
pub(super) const TEXT: &str = "text";
pub(super) const JSON: &str = "json";
pub(super) const LOG_FORMATS: Choices = &[(TEXT, "For people"), (JSON, "An object a line")];
pub(super) const SYNC: &str = "sync";
pub(super) const ASYNC: &str = "async";
pub(super) const FLUSH_MODES: Choices = &[
    (SYNC, "After its message is synced"),
    (
        ASYNC,
        "Before: a sync at least every 500 ms or 4 MiB, and a crash of the machine may lose what came after the last",
    ),
];
pub(super) const SWITCH: Choices = &[("true", "Yes"), ("false", "No")];

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// The name of a broker or cluster.
    Name,
    /// A folder's path.
    Folder,
    /// A file's path.
    File,
    /// An address to listen on.
    Listen,
    /// An address as clients write it.
    HostPort,
    /// `true` or `false`.
    Switch,
    /// One of these.
    Choice(Choices),
    /// The size of the log's files.
    SegmentSize,
    /// Log between checkpoints.
    CheckpointBytes,
    /// Time between checkpoints.
    Seconds,
    /// A whole number from the first to the second.
    Count(u64, u64),
    /// A number of bytes from the first to the second.
    Bytes(u64, u64),
    /// Bytes a second from the first to the second, or 0 for none at all.
    Rate(u64, u64),
    /// What is logged.
    Directives,
    /// Where a collector of spans is.
    Url,
}

impl Form {
    /// What stands for the value in the help.
    pub(super) fn placeholder(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Folder => "DIR",
            Self::File => "FILE",
            Self::Listen => "ADDR",
            Self::HostPort => "HOST:PORT",
            Self::Switch => "true|false",
            Self::Choice(choices) if choices == PROFILES => "PROFILE",
            Self::Choice(choices) if choices == FLUSH_MODES => "MODE",
            Self::Choice(_) => "FORMAT",
            Self::SegmentSize | Self::CheckpointBytes | Self::Bytes(..) | Self::Rate(..) => "SIZE",
            Self::Seconds | Self::Count(..) => "N",
            Self::Directives => "LEVELS",
            Self::Url => "URL",
        }
    }

    /// The only values there are, where they can be counted.
    pub(super) fn choices(self) -> Option<Choices> {
        match self {
            Self::Switch => Some(SWITCH),
            Self::Choice(choices) => Some(choices),
            _ => None,
        }
    }

    /// Whether the text can be used, and if not, why.
    pub(super) fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Name => name(text).map(drop),
            Self::Folder | Self::File => path(text).map(drop),
            Self::Listen => listen(text).map(drop),
            Self::HostPort => host_port(text).map(drop),
            Self::Switch => switch(text).map(drop),
            Self::Choice(choices) => choice(text, choices).map(drop),
            Self::SegmentSize => segment_size(text).map(drop),
            Self::CheckpointBytes => checkpoint_bytes(text).map(drop),
            Self::Seconds => seconds(text).map(drop),
            Self::Count(..) | Self::Bytes(..) | Self::Rate(..) => self.number(text).map(drop),
            Self::Directives => directives(text).map(drop),
            Self::Url => url(text).map(drop),
        }
    }

    /// The number that the text is, of a form that takes numbers.
    pub(super) fn number(self, text: &str) -> Result<u64, String> {
        let (number, least, most) = match self {
            Self::Count(least, most) => (count(text)?, least, most),
            Self::Bytes(least, most) => (units::size(text)?, least, most),
            Self::Rate(least, most) => match units::size(text)? {
                0 => return Ok(0),
                rate => (rate, least, most),
            },
            other => return Err(format!("{other:?} is no number")),
        };
        let shown = |number| match self {
            Self::Bytes(..) | Self::Rate(..) => units::write_size(number),
            _ => number.to_string(),
        };
        if number < least {
            let or_none = match self {
                Self::Rate(..) => ", or 0 to turn it off",
                _ => "",
            };
            return Err(format!(
                "{text} is too little: take at least {}{or_none}",
                shown(least)
            ));
        }
        if number > most {
            return Err(format!("{text} is too much: take at most {}", shown(most)));
        }
        Ok(number)
    }
}

/// A host and a port as clients write them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name, or an IP address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

pub(super) fn name(text: &str) -> Result<String, String> {
    let fits = !text.is_empty()
        && text.len() <= NAME_MAX
        && !text.starts_with('.')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "'{text}' is no name: take 1 to {NAME_MAX} letters, digits, '.', '_' or '-', and no '.' in front"
        ))
    }
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("the path is empty".to_owned());
    }
    Ok(PathBuf::from(text))
}

pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    let refuse = |reason: String| {
        format!("'{text}' is no address to listen on: {reason}; write IP:PORT, such as 0.0.0.0:8081")
    };
    let mut resolved = text
        .to_socket_addrs()
        .map_err(|error| refuse(error.to_string()))?;
    resolved
        .next()
        .ok_or_else(|| refuse("the name has no address".to_owned()))
}

pub(super) fn host_port(text: &str) -> Result<HostPort, String> {
    let refuse = |reason| format!("with '{text}' {reason}; write HOST:PORT as clients reach this broker");
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| refuse("the port is missing"))?;
    let port = port
        .parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| refuse("the port is no number from 1 to 65535"))?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .ok_or_else(|| refuse("a bracket is missing"))?,
        None => host,
    };
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => return Err(refuse("nobody can connect to the unspecified address")),
        Ok(_) => {}
        Err(_) => {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            if host.is_empty() || !host.bytes().all(is_name) {
                return Err(refuse("the host is neither a name nor an IP address"));
            }
        }
    }
    Ok(HostPort {
        host: host.to_owned(),
        port,
    })
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    choice(text, SWITCH).map(|chosen| chosen == "true")
}

pub(super) fn choice(text: &str, choices: Choices) -> Result<&'static str, String> {
    let mut names = choices.iter().map(|(name, _)| *name);
    let found = names.clone().find(|name| *name == text);
    found.ok_or_else(|| {
        let last = names.next_back().unwrap_or_default();
        let others = names.collect::<Vec<_>>().join(", ");
        format!("'{text}' is no value of it: write {others} or {last}")
    })
}

pub(super) fn segment_size(text: &str) -> Result<u64, String> {
    let size = units::size(text)?;
    SegmentLimits::of(size).map(|_| size).ok_or_else(|| {
        format!("{text} cannot be: it is a multiple of 4096 bytes between 256KiB and 2GiB, such as 1GiB")
    })
}

pub(super) fn checkpoint_bytes(text: &str) -> Result<u64, String> {
    match units::size(text)? {
        small if small < CHECKPOINT_BYTES_MIN => Err(format!("{text} is too small: take at least 64KiB")),
        large if large > CHECKPOINT_BYTES_MAX => Err(format!(
            "{text} is too much, for a start would replay as much log: take at most 64GiB"
        )),
        size => Ok(size),
    }
}

fn count(text: &str) -> Result<u64, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse();
    number.map_err(|_| match is_number {
        true => format!("{text} is more than can be counted: take less"),
        // The key's name has the unit.
        false => format!("'{text}' is no whole number: write digits alone, without a unit"),
    })
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(0) => Err("0 would never stop: take at least 1".to_owned()),
        Ok(long) if long > CHECKPOINT_SECONDS_MAX => Err(format!(
            "{long} seconds are too many: take at most {CHECKPOINT_SECONDS_MAX}, a day"
        )),
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => Err(format!(
            "'{text}' is no whole number of seconds: write digits alone, without a unit"
        )),
    }
}

pub(super) fn directives(text: &str) -> Result<logging::Levels, String> {
    logging::Levels::read(text).map_err(|error| error.to_string())
}

/// The address of a collector. Nothing secret may stand in it: it is shown wherever the configuration is.
pub(super) fn url(text: &str) -> Result<String, String> {
    let authority = text
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'));
    let reason = match authority {
        None if text.starts_with("https://") => "asks for TLS, and spans are sent in plaintext alone",
        None => "does not begin with http://",
        Some(authority) if authority.contains('@') => "has a name or password in it, which would be shown",
        Some(authority) if host_port(authority).is_err() => "is not a host and a port behind that",
        Some(_) => return Ok(text.to_owned()),
    };
    Err(format!(
        "'{text}' {reason}: write one such as http://localhost:4317"
    ))
}
