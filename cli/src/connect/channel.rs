//! A connection to an address, in plaintext or with TLS.

use super::any_certificate::AnyCertificate;
use crate::failure::{Failure, Kind};
use crate::settings::{Address, Tls};
use rustls::crypto::{CryptoProvider, ring};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Of a certificate's or key's file.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// What an address is for; decides the advice when nobody answers there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Admin,
    Messages,
}

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
        Failure::usage(format!("cannot be read: {error}")).about(format!("{what} file {}", path.display()))
    })
}

/// Everything that an error says, each cause once.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    // What it was while doing says little once there is a cause.
    if parts.len() > 1 {
        parts.retain(|part| part != "transport error" && part != "client error (Connect)");
    }
    parts.join(": ")
}

/// Nobody answers, or not as a broker does.
pub(super) fn unreachable(address: &Address, cause: &str, tls: bool, purpose: Purpose) -> Failure {
    let hint = if cause.contains("certificate") || cause.contains("UnknownIssuer") {
        "give the CA that has signed the broker's certificate with --ca FILE"
    } else if tls && cause.contains("corrupt message") {
        "the port may speak plaintext only: leave the flags for TLS out"
    } else {
        match purpose {
            Purpose::Admin => {
                "start it with `sluice-broker`, or name the one you mean: --admin HOST:PORT or SLUICE_ADMIN"
            }
            Purpose::Messages => "name the broker's address for clients with --endpoint HOST:PORT",
        }
    };
    Failure::new(
        Kind::Unreachable,
        format!("no broker can be reached at {address}: {cause}"),
    )
    .about(address.to_string())
    .hint(hint)
}
