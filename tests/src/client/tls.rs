//! Accepts the certificate a server shows, as the official clients do: a broker's own is self-signed.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

const SHOWN_WITHIN: Duration = Duration::from_secs(10);

/// The certificate that a server shows on a new connection, in DER.
///
/// # Errors
/// When it does not answer, or does not speak TLS.
pub fn shown_certificate(address: &str) -> Result<Vec<u8>> {
    let address: SocketAddr = address.parse().context("not an address with a port")?;
    let mut socket = TcpStream::connect_timeout(&address, SHOWN_WITHIN)?;
    socket.set_read_timeout(Some(SHOWN_WITHIN))?;
    socket.set_write_timeout(Some(SHOWN_WITHIN))?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate::new()))
        .with_no_client_auth();
    let name = ServerName::from(address.ip());
    let mut connection = ClientConnection::new(Arc::new(config), name)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).context("no TLS")?;
    }
    let shown = connection
        .peer_certificates()
        .and_then(|chain| chain.first())
        .context("it shows none")?;
    Ok(shown.to_vec())
}

/// Checks signatures, but not who signed.
#[derive(Debug)]
pub(crate) struct AnyCertificate(WebPkiSupportedAlgorithms);

impl AnyCertificate {
    pub(crate) fn new() -> Self {
        Self(ring::default_provider().signature_verification_algorithms)
    }
}

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
