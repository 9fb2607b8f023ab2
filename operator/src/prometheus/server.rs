//! How a Prometheus is reached: its address, its certificates, and what it wants to see.

use super::client::Client;
use base64::Engine as _;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Scheme, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A Prometheus, or what answers like one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Its address, such as `https://prometheus.monitoring:9090`, with the path before `/api/v1` if there is one.
    pub url: String,
    /// What says who asks.
    pub authorization: Option<Authorization>,
    /// Whose series are asked for, where it serves several tenants.
    pub tenant: Option<Tenant>,
    /// The certificates that sign its own, as PEM; the system's unless given.
    pub ca_bundle: Option<Vec<u8>>,
    /// What to show it.
    pub client_certificate: Option<ClientCertificate>,
    /// How long a query may take, from the connection to the answer's last byte.
    pub timeout: Duration,
}

/// What says who asks.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Authorization {
    /// A token.
    Bearer(String),
    /// A name and a password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
}

/// A header that names a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tenant {
    /// The header's name, such as `X-Scope-OrgID`.
    pub header: String,
    /// The tenant.
    pub value: String,
}

/// A certificate with its key, as PEM.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// The certificate, and those between it and its authority.
    pub chain: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
}

/// What is wrong with a server's description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerInvalid {
    /// The address.
    #[error("the Prometheus address {url:?} cannot be used: {why}")]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The credentials or the tenant.
    #[error(
        "the Prometheus {what} cannot stand in a header: it is empty, or has other than visible characters"
    )]
    Header {
        /// Which of them.
        what: &'static str,
    },
    /// The certificates.
    #[error("the Prometheus {what} cannot be used: {why}")]
    Certificate {
        /// Which of them.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl Server {
    /// A client that asks this server.
    ///
    /// # Errors
    /// When something in the description cannot be used.
    pub fn client(&self) -> Result<Client, ServerInvalid> {
        let endpoint = self.endpoint()?;
        let connector = self.connector(endpoint.scheme() == Some(&Scheme::HTTPS))?;
        Ok(Client::new(endpoint, self.headers()?, connector, self.timeout))
    }

    /// Tells whether its address can be used, without asking anybody.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check(&self) -> Result<(), ServerInvalid> {
        self.endpoint().map(|_| ())
    }

    fn endpoint(&self) -> Result<Uri, ServerInvalid> {
        let wrong = |why| ServerInvalid::Url {
            url: without_secrets(&self.url),
            why,
        };
        let uri: Uri = self.url.parse().map_err(|_| wrong("it is no address"))?;
        let mut parts = uri.into_parts();
        if !matches!(parts.scheme.as_ref().map(Scheme::as_str), Some("http" | "https")) {
            return Err(wrong("it begins neither with http:// nor with https://"));
        }
        let authority = parts
            .authority
            .as_ref()
            .map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(wrong(
                "credentials do not stand in an address: name a Secret with them",
            ));
        }
        let path = parts.path_and_query.as_ref();
        if path.is_some_and(|path| path.query().is_some()) {
            return Err(wrong("it has a question mark: leave the query away"));
        }
        let path = path.map_or("", |path| path.path()).trim_end_matches('/');
        let path = PathAndQuery::try_from(format!("{path}/api/v1/query"));
        parts.path_and_query = Some(path.map_err(|_| wrong("its path is none"))?);
        Uri::from_parts(parts).map_err(|_| wrong("it has no host"))
    }

    fn headers(&self) -> Result<HeaderMap, ServerInvalid> {
        let mut headers = HeaderMap::new();
        let mut add = |name: HeaderName, value: &str, what| {
            let value = HeaderValue::try_from(value)
                .ok()
                .filter(|value| !value.is_empty());
            let mut value = value.ok_or(ServerInvalid::Header { what })?;
            value.set_sensitive(true);
            headers.insert(name, value);
            Ok(())
        };
        match &self.authorization {
            Some(Authorization::Bearer(token)) if token.trim().is_empty() => {
                return Err(ServerInvalid::Header { what: "token" });
            }
            Some(Authorization::Bearer(token)) => {
                // Files and Secrets often end in a line feed.
                add(AUTHORIZATION, &format!("Bearer {}", token.trim()), "token")?;
            }
            Some(Authorization::Basic { username, password }) => {
                let both = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
                add(AUTHORIZATION, &format!("Basic {both}"), "name and password")?;
            }
            None => {}
        }
        if let Some(tenant) = &self.tenant {
            let name = HeaderName::try_from(&*tenant.header);
            add(
                name.map_err(|_| ServerInvalid::Header {
                    what: "tenant header",
                })?,
                &tenant.value,
                "tenant",
            )?;
        }
        Ok(headers)
    }

    fn connector(&self, https: bool) -> Result<HttpsConnector<HttpConnector>, ServerInvalid> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| certificate("TLS versions", &error))?;
        let builder = match &self.ca_bundle {
            Some(bundle) => builder.with_root_certificates(roots(bundle)?),
            None if https => builder
                .with_native_roots()
                .map_err(|error| certificate("certificate authorities of the system", &error))?,
            None => builder.with_root_certificates(RootCertStore::empty()),
        };
        let config = match &self.client_certificate {
            None => builder.with_no_client_auth(),
            Some(ClientCertificate { chain, key }) => {
                let chain = certificates(chain, "client certificate")?;
                let key =
                    PrivateKeyDer::from_pem_slice(key).map_err(|error| certificate("client key", &error))?;
                let config = builder.with_client_auth_cert(chain, key);
                config.map_err(|error| certificate("client certificate", &error))?
            }
        };
        Ok(HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .build())
    }
}

fn roots(bundle: &[u8]) -> Result<RootCertStore, ServerInvalid> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(bundle, "CA bundle")? {
        roots
            .add(authority)
            .map_err(|error| certificate("CA bundle", &error))?;
    }
    Ok(roots)
}

fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, ServerInvalid> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| certificate(what, &error))?;
    if certificates.is_empty() {
        return Err(certificate(what, &"there is no certificate in it"));
    }
    Ok(certificates)
}

fn certificate(what: &'static str, why: &dyn fmt::Display) -> ServerInvalid {
    ServerInvalid::Certificate {
        what,
        why: why.to_string(),
    }
}

/// An address for messages: what stands before an `@` or behind a `?` may be a secret.
fn without_secrets(url: &str) -> String {
    let address = url.split_once('?').map_or(url, |(address, _)| address);
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        (None, Some((_, rest))) => format!("…@{rest}"),
        (_, None) => address.to_owned(),
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer(_) => f.write_str("Bearer(…)"),
            Self::Basic { username, .. } => f
                .debug_struct("Basic")
                .field("username", username)
                .finish_non_exhaustive(),
        }
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(…)")
    }
}
