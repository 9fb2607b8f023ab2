//! The server's side of TLS: which certificate it shows, and how it comes to another one without a restart.

mod client_ca;
mod expiry;
mod files;

pub use client_ca::{ClientCa, subject};
pub use expiry::Expiry;
pub use files::{TlsError, TlsFiles};

use crate::stamp::{self, Stamp};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Whether the files can be used. A server starts with an expired certificate, but no client that looks at it would come.
///
/// # Errors
/// Why they cannot.
pub fn check(files: &TlsFiles) -> Result<(), TlsError> {
    let loaded = files::load(files, &default_provider())?;
    still_valid(&loaded, files)
}

fn still_valid(certified: &CertifiedKey, files: &TlsFiles) -> Result<(), TlsError> {
    match expiry::expired(certified) {
        None => Ok(()),
        Some(date) => Err(TlsError::Expired {
            cert: files.cert.clone(),
            date,
        }),
    }
}

/// The certificate that connections get from now on.
struct Current(ArcSwap<CertifiedKey>);

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// A certificate in two files, read again when they change.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    stamps: [Stamp; 2],
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
}

impl Tls {
    /// Reads the files. An expired certificate is taken, and warned of.
    ///
    /// # Errors
    /// When they cannot be read, or do not go together.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(default_provider());
        let stamps = files::stamps(&files);
        let loaded = files::load(&files, &provider)?;
        // Without a server nobody could be served at all: there may be plaintext, and clients that take any certificate.
        if let Err(error) = still_valid(&loaded, &files) {
            tracing::warn!(%error, "clients that look at the certificate turn away from it");
        }
        let current = Arc::new(Current(ArcSwap::from_pointee(loaded)));
        Ok(Self {
            files,
            stamps,
            provider,
            current,
        })
    }

    /// Accepts connections with whatever certificate is current, for a protocol by its name in ALPN. With a client CA a
    /// client may show a certificate: one that the CA has not signed is refused, and [`subject`] tells whose it is.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn acceptor(&self, protocol: &[u8], client_ca: Option<&ClientCa>) -> Result<TlsAcceptor, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Rustls)?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => builder.with_client_cert_verifier(ca.verifier()),
        };
        let resolver = Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>;
        let mut config = builder.with_cert_resolver(resolver);
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// When the certificate expires that is current when it is asked.
    pub fn expiry(&self) -> Expiry {
        Expiry(Arc::clone(&self.current))
    }

    /// Looks at the files until the end of the process. Files that cannot be used, such as a pair half replaced or an
    /// expired certificate, leave the present one in place until they change again.
    pub async fn keep_current(self) {
        stamp::look_again(self, "certificate and key", Self::look).await;
    }

    fn look(mut self) -> Self {
        let stamps = files::stamps(&self.files);
        if stamps != self.stamps {
            self.stamps = stamps;
            let loaded = files::load(&self.files, &self.provider);
            match loaded.and_then(|loaded| still_valid(&loaded, &self.files).map(|()| loaded)) {
                Ok(certified) => {
                    self.current.0.store(Arc::new(certified));
                    tracing::info!(cert = %self.files.cert.display(), "new connections get the changed certificate");
                }
                Err(error) => {
                    let error = format!("{:#}", anyhow::Error::new(error));
                    tracing::warn!(error, "the changed certificate cannot be used; the old one stays")
                }
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// A certificate that was or is valid until that year, and its key.
    fn pair(until: i32) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn write(folder: &Path, (certificate, key): (String, String)) -> TlsFiles {
        let files = TlsFiles {
            cert: folder.join("tls.crt"),
            key: folder.join("tls.key"),
        };
        std::fs::write(&files.cert, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        files
    }

    #[test]
    fn files_that_cannot_be_used_are_named_with_what_is_wrong_and_said_once() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path(), pair(4000));
        let key = std::fs::read_to_string(&files.key).unwrap();
        let (cut, _) = key.split_once("-----END").unwrap();
        for (damaged, reason) in [
            (cut.to_owned(), "the line '-----END PRIVATE KEY-----' is missing"),
            (key.replacen("KEY-----", "KEY", 1), "does not end in '-----'"),
            (
                String::new(),
                "tls.key holds no private key in PEM: there is none",
            ),
            (pair(4000).1, "do not go together: "),
        ] {
            std::fs::write(&files.key, damaged).unwrap();
            let error = Tls::open(files.clone()).unwrap_err();
            let text = format!("{:#}", anyhow::Error::new(error));
            assert!(text.contains(reason), "{text}");
            assert!(!text.contains("[80, 82"), "{text}");
        }
        std::fs::remove_file(&files.key).unwrap();
        let gone = format!("{:#}", anyhow::Error::new(Tls::open(files).unwrap_err()));
        assert!(
            gone.ends_with("tls.key: No such file or directory (os error 2)"),
            "{gone}"
        );
        assert_eq!(gone.matches("No such file").count(), 1, "{gone}");
    }

    #[test]
    fn a_changed_certificate_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path(), pair(4000));
        let (other_certificate, other_key) = pair(4000);
        let tls = Tls::open(files.clone()).unwrap();
        let shown = |tls: &Tls| tls.current.0.load().cert.clone();
        let first = shown(&tls);
        std::fs::write(&files.cert, other_certificate).unwrap();
        let tls = tls.look();
        assert_eq!(shown(&tls), first, "the key does not fit the certificate yet");
        std::fs::write(&files.key, other_key).unwrap();
        let tls = tls.look();
        assert_ne!(shown(&tls), first);
        let good = shown(&tls);
        std::fs::write(&files.cert, "nothing").unwrap();
        let tls = tls.look();
        assert_eq!(shown(&tls), good, "the last good one stays");
        write(folder.path(), pair(2020));
        assert_eq!(shown(&tls.look()), good, "an expired one is not taken");
        let error = check(&files).unwrap_err().to_string();
        assert!(
            error.contains("tls.crt has expired on ") && error.contains("2020"),
            "{error}"
        );
        assert_eq!(
            shown(&Tls::open(files).unwrap()).len(),
            1,
            "but a server starts with it"
        );
    }
}
