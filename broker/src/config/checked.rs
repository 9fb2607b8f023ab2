//! The configuration that a broker starts with: read, and checked alone and together.

use super::error::ConfigError;
use super::forms::{self, ASYNC, FLUSH_MODES, HostPort, JSON, LOG_FORMATS};
use super::keys::{self, Key};
use super::layers::{Layers, Source};
use super::limits::Limits;
use super::live::Live;
use crate::init::Init;
use crate::logging::Format;
use sluice_access::tls::TlsFiles;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// When a send is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushMode {
    /// After its message is synced.
    Sync,
    /// Before.
    Async,
}

/// Everything the broker is told, checked. What can change while it runs is in `live` alone.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether the profile is that of a container, where many clients are to be expected.
    pub container: bool,
    /// Where brokers keep their data.
    pub data_dir: PathBuf,
    /// The name in routes.
    pub broker_name: String,
    /// The name in metrics.
    pub cluster_name: String,
    /// Where clients connect.
    pub grpc_listen: SocketAddr,
    /// Where health and metrics are.
    pub http_listen: SocketAddr,
    /// Where the admin API is.
    pub admin_listen: SocketAddr,
    /// Who may call it: those with one of this file's tokens,
    pub admin_token_file: Option<PathBuf>,
    /// or with a certificate that one of these has signed.
    pub admin_client_ca: Option<PathBuf>,
    /// The address in routes.
    pub advertise: Option<HostPort>,
    /// None: a certificate of the broker's own.
    pub tls: Option<TlsFiles>,
    /// When a send is answered.
    pub flush: FlushMode,
    /// What the file for `--init` says.
    pub init: Init,
    /// Size of the log's files.
    pub segment_bytes: u64,
    /// Whether that was said, and is not the default.
    pub segment_bytes_given: bool,
    /// How log lines are written.
    pub log_format: Format,
    /// Where spans of calls are sent.
    pub otlp_endpoint: Option<String>,
    /// How much clients can make it hold.
    pub limits: Limits,
    /// What can change.
    pub live: Arc<Live>,
}

impl Config {
    pub(super) fn of(layers: Layers) -> Result<Self, ConfigError> {
        let init = layers.get(&keys::INIT, forms::path)?;
        let config = Self {
            container: layers.is_container(),
            data_dir: layers.need(&keys::DATA_DIR, forms::path)?,
            broker_name: layers.need(&keys::BROKER_NAME, forms::name)?,
            cluster_name: layers.need(&keys::CLUSTER_NAME, forms::name)?,
            grpc_listen: layers.need(&keys::GRPC_LISTEN, forms::listen)?,
            http_listen: layers.need(&keys::HTTP_LISTEN, forms::listen)?,
            admin_listen: layers.need(&keys::ADMIN_LISTEN, forms::listen)?,
            admin_token_file: layers.get(&keys::ADMIN_TOKEN_FILE, forms::path)?,
            admin_client_ca: layers.get(&keys::ADMIN_CLIENT_CA, forms::path)?,
            advertise: layers.get(&keys::ADVERTISE, forms::host_port)?,
            tls: tls(
                layers.get(&keys::TLS_CERT, forms::path)?,
                layers.get(&keys::TLS_KEY, forms::path)?,
            )?,
            flush: match layers.need(&keys::FLUSH, |text| forms::choice(text, FLUSH_MODES))? {
                ASYNC => FlushMode::Async,
                _ => FlushMode::Sync,
            },
            init: init.as_deref().map(Init::read).transpose()?.unwrap_or_default(),
            segment_bytes: layers.need(&keys::SEGMENT_SIZE, forms::segment_size)?,
            segment_bytes_given: layers.entry(&keys::SEGMENT_SIZE).source > Source::Profile,
            log_format: match layers.need(&keys::LOG_FORMAT, |text| forms::choice(text, LOG_FORMATS))? {
                JSON => Format::Json,
                _ => Format::Text,
            },
            otlp_endpoint: layers.get(&keys::OTLP_ENDPOINT, forms::url)?,
            limits: Limits::of(&layers)?,
            live: Arc::new(Live::new(layers)?),
        };
        config.check_admin()?;
        Ok(config)
    }

    /// Whoever reaches the admin API can do anything: off the loopback interface it has to ask who they are.
    fn check_admin(&self) -> Result<(), ConfigError> {
        let guarded = self.admin_token_file.is_some() || self.admin_client_ca.is_some();
        if guarded || self.admin_listen.ip().to_canonical().is_loopback() {
            Ok(())
        } else {
            Err(ConfigError::Unguarded {
                address: self.admin_listen,
            })
        }
    }
}

fn tls(cert: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<TlsFiles>, ConfigError> {
    let alone = |given: &Key, missing: &'static Key| ConfigError::Alone {
        given: given.name,
        missing: missing.name,
        flag: missing.flag,
        variable: missing.variable,
    };
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(alone(&keys::TLS_CERT, &keys::TLS_KEY)),
        (None, Some(_)) => Err(alone(&keys::TLS_KEY, &keys::TLS_CERT)),
    }
}
