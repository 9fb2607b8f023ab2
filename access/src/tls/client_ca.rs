//! Clients that show a certificate: who has to have signed it, and whose it is.

use super::files::{self, TlsError};
use crate::stamp::{self, Stamp};
use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConnection, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// Certificates that clients' have to be signed by, in a file that is read again when it changes.
#[derive(Debug)]
pub struct ClientCa {
    path: PathBuf,
    stamp: Stamp,
    current: Arc<Current>,
}

impl ClientCa {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or holds no certificates to check by.
    pub fn open(path: &Path) -> Result<Self, TlsError> {
        let stamp = Stamp::of(path);
        let current = Arc::new(Current(ArcSwap::from_pointee(load(path)?)));
        Ok(Self {
            path: path.to_owned(),
            stamp,
            current,
        })
    }

    /// Checks certificates against those that are current. A client may show none: what it may do then is decided with
    /// its calls.
    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.current) as Arc<dyn ClientCertVerifier>
    }

    /// Looks at the file until the end of the process. What cannot be used leaves the present certificates in place.
    pub async fn keep_current(self) {
        stamp::look_again(self, "the certificates of the client CA", Self::look).await;
    }

    fn look(mut self) -> Self {
        let stamp = Stamp::of(&self.path);
        if stamp != self.stamp {
            self.stamp = stamp;
            match load(&self.path) {
                Ok(verifier) => {
                    self.current.0.store(Arc::new(verifier));
                    tracing::info!(file = %self.path.display(), "new connections are checked against the changed client CA");
                }
                Err(error) => {
                    let error = format!("{:#}", anyhow::Error::new(error));
                    tracing::warn!(error, "the changed client CA cannot be used; the old one stays");
                }
            }
        }
        self
    }
}

fn load(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
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
    let provider: Arc<CryptoProvider> = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = verifier.allow_unauthenticated().build();
    verifier.map_err(|error| refuse(error.to_string()))
}

/// Checks as the certificates say that are current when a connection is made.
#[derive(Debug)]
struct Current(ArcSwap<Arc<dyn ClientCertVerifier>>);

impl ClientCertVerifier for Current {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Clients have one certificate as a rule, and show it without a hint.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.0.load().verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.load().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.load().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.load().supported_verify_schemes()
    }
}

/// Whose certificate the client has shown: its subject, such as `CN=operator, O=example`.
pub fn subject(connection: &ServerConnection) -> Option<Arc<str>> {
    let shown = connection.peer_certificates()?.first()?;
    let subject = X509Certificate::from_der(shown).map(|(_, certificate)| certificate.subject().to_string());
    // It was checked by another reader, which is content with more.
    let subject = subject.unwrap_or_else(|error| format!("a subject that cannot be read: {error}"));
    Some(subject.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    /// A CA in PEM, and a certificate that it has signed.
    fn authority() -> (String, CertificateDer<'static>) {
        let (key, own) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let signed = CertificateParams::new(Vec::new())
            .unwrap()
            .signed_by(&own, &issuer);
        (pem, signed.unwrap().der().clone())
    }

    #[test]
    fn a_changed_ca_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let ((first, by_first), (second, by_second)) = (authority(), authority());
        std::fs::write(&path, &first).unwrap();
        let ca = ClientCa::open(&path).unwrap();
        let verifier = ca.verifier();
        let takes = |certificate| {
            let verified = verifier.verify_client_cert(certificate, &[], UnixTime::now());
            verified.is_ok()
        };
        assert_eq!((takes(&by_first), takes(&by_second)), (true, false));
        std::fs::write(&path, format!("{first}\n{second}")).unwrap();
        let ca = ca.look();
        assert_eq!((takes(&by_first), takes(&by_second)), (true, true));
        std::fs::write(&path, "nothing").unwrap();
        let ca = ca.look();
        assert_eq!((takes(&by_first), takes(&by_second)), (true, true));
        std::fs::write(&path, second).unwrap();
        drop(ca.look());
        assert_eq!((takes(&by_first), takes(&by_second)), (false, true));
    }
}
