//! Trust in one certificate: that of the Secret which the brokers are given. Nobody else's has the key to it, so that neither
//! the names in it nor who has signed it say anything more.

use super::error::BrokerError;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

/// Errors of rustls's own kinds are printed for programmers only.
const ANOTHER: &str = "the broker shows another certificate than the Secret of spec.tls has; after an exchange it takes the new one within two minutes";

/// Takes a server that shows this certificate, and no other.
#[derive(Debug)]
pub struct Pinned {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    /// The first certificate of a chain in PEM, which is the server's own.
    pub fn new(pem: &[u8]) -> Result<Self, BrokerError> {
        let first = CertificateDer::pem_slice_iter(pem).next();
        let certificate = first.and_then(Result::ok).ok_or_else(|| {
            BrokerError::Invalid(
                "the Secret of spec.tls has no certificate in PEM in its key 'tls.crt'".to_owned(),
            )
        })?;
        Ok(Self {
            certificate,
            algorithms: ring::default_provider().signature_verification_algorithms,
        })
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match *end_entity == self.certificate {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(rustls::Error::General(ANOTHER.to_owned())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn self_signed(name: &str) -> String {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        made.cert.pem()
    }

    #[test]
    fn the_first_certificate_is_taken_whatever_its_names_and_no_other() {
        let [own, other] = ["mq.example.org", "orders-admin.shop.svc"].map(self_signed);
        let pinned = Pinned::new(format!("{own}{other}").as_bytes()).unwrap();
        let name = ServerName::try_from("orders-admin.shop.svc").unwrap();
        let shown = |pem: &str| {
            let certificate = CertificateDer::pem_slice_iter(pem.as_bytes())
                .next()
                .unwrap()
                .unwrap();
            pinned.verify_server_cert(&certificate, &[], &name, &[], UnixTime::now())
        };
        assert!(shown(&own).is_ok());
        let refused = shown(&other).unwrap_err();
        assert!(refused.to_string().contains("another certificate"), "{refused}");
    }

    #[test]
    fn a_secret_without_a_certificate_is_told() {
        for pem in [
            "",
            "a certificate",
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        ] {
            assert!(
                matches!(Pinned::new(pem.as_bytes()), Err(BrokerError::Invalid(_))),
                "{pem}"
            );
        }
    }
}
