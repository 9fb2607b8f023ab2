//! Clients that show a certificate: who has to have signed it, and whose it is.

use super::files::{self, TlsError};
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConnection};
use std::path::Path;
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// Checks certificates against those in the file. A client may show none: what it may do then is decided with its calls.
pub(super) fn verifier(
    path: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let refuse = |reason: String| TlsError::ClientCa {
        path: path.to_owned(),
        reason,
    };
    let mut roots = RootCertStore::empty();
    for certificate in files::certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| refuse(error.to_string()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let verifier = verifier.allow_unauthenticated().build();
    verifier.map_err(|error| refuse(error.to_string()))
}

/// Whose certificate the client has shown: its subject, such as `CN=operator, O=example`.
pub fn subject(connection: &ServerConnection) -> Option<Arc<str>> {
    let shown = connection.peer_certificates()?.first()?;
    let subject = X509Certificate::from_der(shown).map(|(_, certificate)| certificate.subject().to_string());
    // It was checked by another reader, which is content with more.
    let subject = subject.unwrap_or_else(|error| format!("a subject that cannot be read: {error}"));
    Some(subject.into())
}
