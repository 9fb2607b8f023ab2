//! Connections to a server and the headers an SDK puts on each call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use sluice_proto::v2;
use sluice_proto::v2::messaging_service_client::MessagingServiceClient;
use tonic::Request;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};

use crate::args::Target;
use crate::channel::{Channel, Deadline};

const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// The generated client over one connection.
pub type Stub = MessagingServiceClient<Channel>;

/// One connection of one client instance; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    /// Makes the calls.
    pub stub: Stub,
    identity: Arc<Identity>,
}

/// The headers that name a client instance, shared by all its connections.
#[derive(Debug)]
struct Identity {
    headers: MetadataMap,
    requests: AtomicU64,
}

impl Client {
    /// Wraps a request's body with the headers and the deadline of a call.
    pub fn request<T>(&self, body: T, deadline: Duration) -> Request<T> {
        let mut request = self.endless(body);
        request.set_timeout(deadline);
        request.extensions_mut().insert(Deadline(deadline));
        request
    }

    /// As [`Client::request`], for a stream that lives as long as the client.
    pub fn endless<T>(&self, body: T) -> Request<T> {
        let mut request = Request::new(body);
        *request.metadata_mut() = self.identity.headers.clone();
        let number = self.identity.requests.fetch_add(1, Ordering::Relaxed);
        if let Ok(id) = AsciiMetadataValue::try_from(format!("{number:032x}")) {
            request.metadata_mut().insert("x-mq-request-id", id);
        }
        request
    }
}

/// Opens all connections of one client instance.
///
/// # Errors
/// When the endpoint is malformed or does not answer.
pub async fn connect(target: &Target) -> Result<Vec<Client>> {
    ensure!(
        target.connections > 0,
        "--connections 0 opens no connection: take 1 at least"
    );
    let identity = Arc::new(Identity {
        headers: headers(&client_id())?,
        requests: AtomicU64::new(0),
    });
    let mut clients = Vec::with_capacity(target.connections);
    for _ in 0..target.connections {
        let verifier = target.tls.then(any_certificate);
        let channel = Channel::connect(&target.endpoint, verifier)
            .await
            .with_context(|| {
                format!(
                    "cannot connect to {} with {}: is a server listening there, and does it speak that?",
                    target.endpoint,
                    if target.tls {
                        "TLS"
                    } else {
                        "plaintext HTTP/2 (--tls for TLS)"
                    },
                )
            })?;
        let stub = Stub::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        clients.push(Client {
            stub,
            identity: Arc::clone(&identity),
        });
    }
    Ok(clients)
}

fn any_certificate() -> Arc<dyn ServerCertVerifier> {
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    Arc::new(AnyCertificate(algorithms))
}

fn headers(client_id: &str) -> Result<MetadataMap> {
    let mut headers = MetadataMap::new();
    for (name, value) in [
        ("x-mq-client-id", client_id),
        ("x-mq-language", "RUST"),
        ("x-mq-client-version", env!("CARGO_PKG_VERSION")),
        ("x-mq-protocol", "v2"),
    ] {
        let value = value
            .parse()
            .map_err(|_| anyhow!("header {name}: {value:?} is not plain ASCII"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn client_id() -> String {
    format!(
        "sluice-bench@{}@{:x}",
        std::process::id(),
        crate::message::entropy()
    )
}

/// Why a call or one of its entries failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Under which it is counted: the code's name and number.
    pub key: String,
    /// What the server said.
    pub message: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

impl std::error::Error for Failure {}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        Self {
            key: format!("grpc {:?}", status.code()),
            message: status.message().to_owned(),
        }
    }
}

/// Turns the status in a response into a result.
///
/// # Errors
/// When the status is absent or not OK.
pub fn check(status: Option<&v2::Status>) -> Result<(), Failure> {
    let Some(status) = status else {
        return Err(Failure {
            key: "no status".to_owned(),
            message: "the response carries none".to_owned(),
        });
    };
    let key = match v2::Code::try_from(status.code) {
        Ok(v2::Code::Ok) => return Ok(()),
        Ok(code) => format!("{} {}", code.as_str_name(), status.code),
        Err(_) => format!("unknown code {}", status.code),
    };
    Err(Failure {
        key,
        message: status.message.clone(),
    })
}

/// Accepts what a server shows, as the official clients do: the server's certificate is self-signed by default.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_name_and_number() {
        let status = |code| v2::Status {
            code,
            message: String::new(),
        };
        let key = |status: Option<&v2::Status>| check(status).map_err(|failure| failure.key);
        assert_eq!(key(Some(&status(20000))), Ok(()));
        assert_eq!(
            key(Some(&status(42900))),
            Err("TOO_MANY_REQUESTS 42900".to_owned())
        );
        assert_eq!(key(Some(&status(77))), Err("unknown code 77".to_owned()));
        assert_eq!(key(None), Err("no status".to_owned()));
    }
}
