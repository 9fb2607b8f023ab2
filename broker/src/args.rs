//! The flags, and the checked configuration that they come to.

use crate::init::{Init, InitError};
use crate::units;
use clap::{ArgAction, Parser, ValueEnum};
use sluice_store::log::SegmentLimits;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

const NAME_MAX: usize = 127;
const CHECKPOINT_BYTES_MIN: u64 = 64 << 10;

const EXAMPLES: &str = "\
Examples:
  sluice-broker
      Try it: clients connect to 127.0.0.1:8081, topics are made on first use.
  sluice-broker --grpc-listen 0.0.0.0:8081 --advertise broker.example.org:8081
      Serve other hosts, which reach this one under that name.
  sluice-broker --init topics.yaml --auto-create-topics false
      Make the topics and groups of a file at start, and no others later.

SLUICE_LOG sets what is logged: error, warn, info (the default), debug, trace, off, or
directives such as 'info,sluice_store=debug'.";

/// A message broker that speaks RocketMQ 5's gRPC protocol: unmodified clients send to it and consume from it.
#[derive(Clone, Debug, Parser)]
#[command(name = "sluice-broker", version, after_help = EXAMPLES)]
pub struct Args {
    /// Where the broker keeps its data, made if absent; its own folder in there is locked while it runs
    #[arg(long, value_name = "DIR", default_value = "./sluice-data")]
    pub data_dir: PathBuf,

    /// The broker's name in routes, and its folder inside the data folder
    #[arg(long, value_name = "NAME", default_value = "broker-a")]
    pub broker_name: String,

    /// The cluster's name, in metrics; fixed when the broker's folder is made
    #[arg(long, value_name = "NAME", default_value = "DefaultCluster")]
    pub cluster_name: String,

    /// Where clients connect, with TLS or in plaintext
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    pub grpc_listen: String,

    /// Where /livez, /readyz and /metrics answer
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5557")]
    pub http_listen: String,

    /// The address in routes; without it a route names the address that its client used
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,

    /// Certificate chain in PEM, read again when it changes; without it the broker makes itself one
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Private key in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// When a send is answered: once its message is synced, or before
    #[arg(long, value_enum, default_value_t = FlushMode::Sync)]
    pub flush: FlushMode,

    /// Make a topic when it is first used, with four queues
    #[arg(long, value_name = "true|false", default_value_t = true, action = ArgAction::Set)]
    pub auto_create_topics: bool,

    /// YAML file with topics and groups to make at start where they are absent
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,

    /// Size of the log's files, fixed when the log is made
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = units::size)]
    pub segment_size: u64,

    /// Write a checkpoint after this much log …
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = units::size)]
    pub checkpoint_bytes: u64,

    /// … or after this many seconds, whichever comes first
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub checkpoint_seconds: u64,
}

/// When a send is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FlushMode {
    /// After its message is synced
    Sync,
    /// Before: a sync at least every 500 ms or 4 MiB, and a crash of the machine may lose what came after the last
    Async,
}

/// Why flags are refused.
#[derive(Debug, Error)]
pub enum ArgsError {
    /// A name that cannot be one.
    #[error(
        "{flag} '{name}' is not usable: take 1 to {NAME_MAX} letters, digits, '.', '_' or '-', and no '.' in front"
    )]
    Name {
        /// The flag.
        flag: &'static str,
        /// What it was given.
        name: String,
    },
    /// An address that cannot be listened on.
    #[error("{flag} '{address}' is no address to listen on: {reason}; write IP:PORT, such as 0.0.0.0:8081")]
    Listen {
        /// The flag.
        flag: &'static str,
        /// What it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An advertised address that clients cannot use.
    #[error("--advertise '{address}' is not usable: {reason}; write HOST:PORT as clients reach this broker")]
    Advertise {
        /// What it was given.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A segment size that the log cannot have.
    #[error(
        "--segment-size {0} is not usable: it is a multiple of 4096 bytes between 256KiB and 2GiB, such as 1GiB"
    )]
    SegmentSize(u64),
    /// Checkpoints too small to be worth it.
    #[error("--checkpoint-bytes {0} is too small: take at least 64KiB")]
    CheckpointBytes(u64),
    /// Checkpoints without a pause between them.
    #[error("--checkpoint-seconds 0 would never stop writing checkpoints: take at least 1")]
    CheckpointSeconds,
    /// The file of `--init`.
    #[error("--init cannot be followed")]
    Init(#[from] InitError),
}

/// A host and a port as clients write them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name, or an IP address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Certificate and key in files of the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Everything the broker is told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// See [`Args::data_dir`].
    pub data_dir: PathBuf,
    /// See [`Args::broker_name`].
    pub broker_name: String,
    /// See [`Args::cluster_name`].
    pub cluster_name: String,
    /// See [`Args::grpc_listen`].
    pub grpc_listen: SocketAddr,
    /// See [`Args::http_listen`].
    pub http_listen: SocketAddr,
    /// See [`Args::advertise`].
    pub advertise: Option<HostPort>,
    /// None: a certificate of the broker's own.
    pub tls: Option<TlsFiles>,
    /// See [`Args::flush`].
    pub flush: FlushMode,
    /// See [`Args::auto_create_topics`].
    pub auto_create_topics: bool,
    /// What the file of [`Args::init`] says.
    pub init: Init,
    /// See [`Args::segment_size`].
    pub segment_bytes: u64,
    /// See [`Args::checkpoint_bytes`].
    pub checkpoint_bytes: u64,
    /// See [`Args::checkpoint_seconds`].
    pub checkpoint_every: Duration,
}

impl Args {
    /// Checks what the flags say, alone and together.
    pub fn check(self) -> Result<Config, ArgsError> {
        if SegmentLimits::of(self.segment_size).is_none() {
            return Err(ArgsError::SegmentSize(self.segment_size));
        }
        if self.checkpoint_bytes < CHECKPOINT_BYTES_MIN {
            return Err(ArgsError::CheckpointBytes(self.checkpoint_bytes));
        }
        if self.checkpoint_seconds == 0 {
            return Err(ArgsError::CheckpointSeconds);
        }
        Ok(Config {
            broker_name: name("--broker-name", self.broker_name)?,
            cluster_name: name("--cluster-name", self.cluster_name)?,
            grpc_listen: listen("--grpc-listen", &self.grpc_listen)?,
            http_listen: listen("--http-listen", &self.http_listen)?,
            advertise: self.advertise.as_deref().map(advertised).transpose()?,
            tls: self
                .tls_cert
                .zip(self.tls_key)
                .map(|(cert, key)| TlsFiles { cert, key }),
            data_dir: self.data_dir,
            flush: self.flush,
            auto_create_topics: self.auto_create_topics,
            init: self
                .init
                .as_deref()
                .map(Init::read)
                .transpose()?
                .unwrap_or_default(),
            segment_bytes: self.segment_size,
            checkpoint_bytes: self.checkpoint_bytes,
            checkpoint_every: Duration::from_secs(self.checkpoint_seconds),
        })
    }
}

fn name(flag: &'static str, name: String) -> Result<String, ArgsError> {
    let fits = !name.is_empty()
        && name.len() <= NAME_MAX
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if fits {
        Ok(name)
    } else {
        Err(ArgsError::Name { flag, name })
    }
}

fn listen(flag: &'static str, address: &str) -> Result<SocketAddr, ArgsError> {
    let refuse = |reason: String| ArgsError::Listen {
        flag,
        address: address.to_owned(),
        reason,
    };
    let mut resolved = address
        .to_socket_addrs()
        .map_err(|error| refuse(error.to_string()))?;
    resolved
        .next()
        .ok_or_else(|| refuse("the name has no address".to_owned()))
}

fn advertised(address: &str) -> Result<HostPort, ArgsError> {
    let refuse = |reason| ArgsError::Advertise {
        address: address.to_owned(),
        reason,
    };
    let (host, port) = address
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn check(flags: &[&str]) -> Result<Config, ArgsError> {
        Args::try_parse_from([&["sluice-broker"], flags].concat())
            .unwrap()
            .check()
    }

    #[test]
    fn the_flags_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_manual() {
        let config = check(&[]).unwrap();
        assert_eq!(config.data_dir, PathBuf::from("./sluice-data"));
        assert_eq!(
            (config.broker_name.as_str(), config.cluster_name.as_str()),
            ("broker-a", "DefaultCluster")
        );
        assert_eq!(config.grpc_listen, "127.0.0.1:8081".parse().unwrap());
        assert_eq!(config.http_listen, "127.0.0.1:5557".parse().unwrap());
        assert_eq!((config.advertise, config.tls), (None, None));
        assert_eq!(config.init, Init::default());
        assert_eq!((config.flush, config.auto_create_topics), (FlushMode::Sync, true));
        assert_eq!(
            (config.segment_bytes, config.checkpoint_bytes),
            (1 << 30, 512 << 20)
        );
        assert_eq!(config.checkpoint_every, Duration::from_secs(30));
    }

    #[test]
    fn what_cannot_work_is_refused_with_a_reason() {
        for (flags, part) in [
            (["--segment-size", "1000000"], "multiple of 4096"),
            (["--segment-size", "4KiB"], "256KiB"),
            (["--segment-size", "3GiB"], "2GiB"),
            (["--checkpoint-bytes", "1"], "64KiB"),
            (["--checkpoint-seconds", "0"], "at least 1"),
            (["--broker-name", "../x"], "letters"),
            (["--broker-name", ""], "letters"),
            (["--cluster-name", "a b"], "letters"),
            (["--grpc-listen", "8081"], "IP:PORT"),
            (["--http-listen", "nowhere"], "IP:PORT"),
            (["--advertise", "host"], "port is missing"),
            (["--advertise", "host:0"], "1 to 65535"),
            (["--advertise", "0.0.0.0:8081"], "unspecified"),
            (["--advertise", "[::]:8081"], "unspecified"),
            (["--advertise", "a/b:8081"], "neither"),
            (
                ["--init", "/no/such/file.yaml"],
                "cannot read /no/such/file.yaml: No such file",
            ),
        ] {
            let error = format!("{:#}", anyhow::Error::new(check(&flags).unwrap_err()));
            assert!(error.contains(part), "{flags:?}: {error}");
            assert!(error.matches("os error").count() <= 1, "said once: {error}");
        }
    }

    #[test]
    fn a_certificate_needs_its_key() {
        assert!(Args::try_parse_from(["sluice-broker", "--tls-cert", "a.pem"]).is_err());
        assert!(Args::try_parse_from(["sluice-broker", "--tls-key", "a.pem"]).is_err());
        assert!(
            check(&["--tls-cert", "a.pem", "--tls-key", "b.pem"])
                .unwrap()
                .tls
                .is_some()
        );
    }

    #[test]
    fn an_advertised_address_is_a_name_or_an_ip() {
        for (text, host, port) in [
            ("broker.example.org:80", "broker.example.org", 80),
            ("10.0.0.1:8081", "10.0.0.1", 8081),
            ("[::1]:9", "::1", 9),
        ] {
            let config = check(&["--advertise", text]).unwrap();
            assert_eq!(
                config.advertise,
                Some(HostPort {
                    host: host.to_owned(),
                    port
                })
            );
        }
    }
}
