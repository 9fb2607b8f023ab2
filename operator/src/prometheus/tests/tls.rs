//! Certificates on both sides.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;

/// An authority, and a server and a client that it has signed.
struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self {
            authority: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
        }
    }

    fn pem(&self) -> Vec<u8> {
        self.authority.pem().into_bytes()
    }

    fn signed(&self, usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.authority).unwrap(), key)
    }

    fn server(&self, asks_clients: bool) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (certificate, key) = self.signed(ExtendedKeyUsagePurpose::ServerAuth);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match asks_clients {
            false => builder.with_no_client_auth(),
            true => {
                let mut roots = RootCertStore::empty();
                roots.add(self.authority.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        builder
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }

    fn client(&self) -> ClientCertificate {
        let (certificate, key) = self.signed(ExtendedKeyUsagePurpose::ClientAuth);
        ClientCertificate {
            chain: certificate.pem().into_bytes(),
            key: key.serialize_pem().into_bytes(),
        }
    }
}

#[tokio::test]
async fn a_server_is_believed_by_its_authority_and_sees_the_clients_certificate() {
    let (known, other) = (Certificates::new(), Certificates::new());
    // (authority, client's certificate, whether the server asks for one, whether it works)
    let rows = [
        (Some(known.pem()), None, false, true),
        (Some([other.pem(), known.pem()].concat()), None, false, true),
        (Some(other.pem()), None, false, false),
        (None, None, false, false),
        (Some(known.pem()), Some(known.client()), true, true),
        (Some(known.pem()), Some(other.client()), true, false),
        (Some(known.pem()), None, true, false),
    ];
    for (number, (ca_bundle, client_certificate, asks, works)) in rows.into_iter().enumerate() {
        let (port, _) = serve(Some(known.server(asks)), |_| value("1")).await;
        let server = Server {
            ca_bundle,
            client_certificate,
            ..server(format!("https://localhost:{port}"))
        };
        let found = server.client().unwrap().vector("q").await;
        assert_eq!(found.is_ok(), works, "row {number}: {found:?}");
        if let Err(error) = found {
            assert_eq!(error.kind, ErrorKind::Unreachable, "row {number}: {error}");
        }
    }
}
