//! How the admin port is reached, and certificates to be let in by.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use rustls::crypto::{CryptoProvider, ring};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint, Identity};

use crate::client::AnyCertificate;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// With TLS or without; the broker's certificate may be any.
#[derive(Debug, Clone)]
pub enum Tls {
    /// Plaintext.
    Off,
    /// Without a certificate of the client's.
    On,
    /// With one.
    Showing(Certificate),
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// Somebody who signs certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// What those check against who trust it, in PEM.
    pub certificate: String,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = named(name)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    /// A certificate for `name`, signed.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn sign(&self, name: &str) -> Result<Certificate> {
        self.signed(named(name)?)
    }

    /// A certificate of the host `name`, signed.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn sign_host(&self, name: &str) -> Result<Certificate> {
        let mut params = named(name)?;
        params.subject_alt_names = vec![SanType::DnsName(name.try_into()?)];
        self.signed(params)
    }

    /// A certificate of the host `name` that has expired years ago, signed.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn sign_expired(&self, name: &str) -> Result<Certificate> {
        let mut params = named(name)?;
        params.subject_alt_names = vec![SanType::DnsName(name.try_into()?)];
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.signed(params)
    }

    fn signed(&self, params: CertificateParams) -> Result<Certificate> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Certificate {
            certificate,
            key: key.serialize_pem(),
        })
    }
}

fn named(name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

pub(super) fn channel(endpoint: &str, tls: &Tls) -> Result<Channel> {
    let scheme = match tls {
        Tls::Off => "http",
        Tls::On | Tls::Showing(_) => "https",
    };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{endpoint}"))
        .with_context(|| format!("{endpoint:?} is not HOST:PORT"))?
        .connect_timeout(CONNECT_TIMEOUT);
    let config = match tls {
        Tls::Off => return Ok(endpoint.connect_lazy()),
        Tls::On => ClientTlsConfig::new(),
        Tls::Showing(shown) => {
            ClientTlsConfig::new().identity(Identity::from_pem(&shown.certificate, &shown.key))
        }
    };
    // The provider is the process's; a second installation changes nothing.
    let _ = CryptoProvider::install_default(ring::default_provider());
    let endpoint = endpoint.tls_config_with_verifier(config, Arc::new(AnyCertificate::new()));
    Ok(endpoint.context("cannot use TLS")?.connect_lazy())
}
