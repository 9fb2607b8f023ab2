//! A connection to an address, in plaintext or with TLS.

use super::any_certificate::AnyCertificate;
use super::unreachable::{Purpose, causes, unreachable};
use crate::failure::{Failure, Kind};
use crate::settings::{Address, Tls};
use rustls::crypto::{CryptoProvider, ring};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Of a certificate's or key's file.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// Connects now, so that a broker that is not there is told apart from a call that fails.
pub(super) async fn connect(
    address: &Address,
    tls: &Tls,
    timeout: Duration,
    purpose: Purpose,
) -> Result<Channel, Failure> {
    let scheme = if tls.enabled { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
        .map_err(|_| Failure::usage(format!("{address} is no address: write HOST:PORT")))?
        .connect_timeout(CONNECT_WITHIN.min(timeout))
        .tcp_nodelay(true)
        .user_agent(concat!("sluicectl/", env!("CARGO_PKG_VERSION")))
        .map_err(|error| Failure::new(Kind::Failed, error.to_string()))?;
    let endpoint = if tls.enabled {
        with_tls(endpoint, tls)?
    } else {
        endpoint
    };
    endpoint
        .connect()
        .await
        .map_err(|error| unreachable(address, &causes(&error), tls.enabled, purpose))
}

fn with_tls(endpoint: Endpoint, tls: &Tls) -> Result<Endpoint, Failure> {
    // The provider is the process's; a second installation changes nothing.
    let _ = CryptoProvider::install_default(ring::default_provider());
    let mut config = ClientTlsConfig::new();
    if let Some((cert, key)) = &tls.identity {
        config = config.identity(Identity::from_pem(
            read_pem("certificate", cert)?,
            read_pem("key", key)?,
        ));
    }
    let wrong = |error: tonic::transport::Error| {
        Failure::usage(format!("TLS cannot be used: {}", causes(&error)))
            .hint("--ca, --cert and --cert-key name files in PEM")
    };
    if tls.skip_verify {
        let verifier = Arc::new(AnyCertificate::new());
        return endpoint.tls_config_with_verifier(config, verifier).map_err(wrong);
    }
    let config = match &tls.ca {
        Some(ca) => config.ca_certificate(Certificate::from_pem(read_pem("CA", ca)?)),
        None => config.with_native_roots(),
    };
    endpoint.tls_config(config).map_err(wrong)
}

fn read_pem(what: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let read = || {
        if std::fs::metadata(path)?.len() > PEM_BYTES_MAX {
            return Err(std::io::Error::other("it is larger than 1 MiB"));
        }
        std::fs::read(path)
    };
    read().map_err(|error| {
        Failure::usage(format!("cannot be read: {error}"))
            .about(format!("{what} file {}", path.display()))
            .hint(format!(
                "name a {what} file in PEM that you may read; relative paths begin at the present folder"
            ))
    })
}
