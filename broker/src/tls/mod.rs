//! The server's side of TLS: which certificate it shows, and how it comes to another one without a restart.

mod client_ca;
mod expiry;
mod files;
mod self_signed;

pub use client_ca::{ClientCa, subject};
pub use expiry::Expiry;
pub use files::TlsError;

use crate::config::{Config, HostPort, TlsFiles};
use crate::stamp::{self, Stamp};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// gRPC speaks HTTP/2 and nothing else.
const ALPN: &[u8] = b"h2";

/// Whether the files can be used. A broker starts with an expired certificate, but no client that looks at it would come.
pub(crate) fn check(files: &TlsFiles) -> Result<(), TlsError> {
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
    /// With the user's files, or with a certificate that the broker makes itself once.
    pub fn open(config: &Config) -> Result<Self, TlsError> {
        let files = match &config.tls {
            Some(files) => files.clone(),
            None => self_signed::get_or_make(
                &config.data_dir,
                &subject_names(config.advertise.as_ref(), config.grpc_listen),
            )?,
        };
        let provider = Arc::new(default_provider());
        let stamps = files::stamps(&files);
        let loaded = files::load(&files, &provider);
        let loaded = loaded.map_err(|error| match config.tls {
            Some(_) => error,
            None => error.of_own(&files),
        })?;
        // Without a broker nobody could be served at all: plaintext, and clients that take any certificate.
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

    /// Accepts connections with whatever certificate is current. With a client CA a client may show a certificate: one
    /// that the CA has not signed is refused, and [`subject`] tells whose it is.
    pub fn acceptor(&self, client_ca: Option<&ClientCa>) -> Result<TlsAcceptor, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Rustls)?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => builder.with_client_cert_verifier(ca.verifier()),
        };
        let resolver = Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>;
        let mut config = builder.with_cert_resolver(resolver);
        config.alpn_protocols = vec![ALPN.to_vec()];
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

/// The names under which clients may reach this broker.
fn subject_names(advertise: Option<&HostPort>, listen: SocketAddr) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let listened = (!listen.ip().is_unspecified()).then(|| listen.ip().to_string());
    let advertised = advertise.map(|address| address.host.clone());
    for name in [Some(hostname), listened, advertised].into_iter().flatten() {
        if !name.is_empty() && name.is_ascii() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn names() -> Vec<String> {
        subject_names(
            Some(&HostPort {
                host: "broker.test".into(),
                port: 1,
            }),
            "10.0.0.9:1".parse().unwrap(),
        )
    }

    fn open(files: TlsFiles) -> Tls {
        let provider = Arc::new(default_provider());
        let stamps = files::stamps(&files);
        let current = Arc::new(Current(ArcSwap::from_pointee(
            files::load(&files, &provider).unwrap(),
        )));
        Tls {
            files,
            stamps,
            provider,
            current,
        }
    }

    /// A certificate that was valid until the end of 2019, and its key.
    fn expired() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(names()).unwrap();
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn the_names_are_those_under_which_the_broker_is_reached() {
        let names = names();
        for name in ["localhost", "127.0.0.1", "::1", "10.0.0.9", "broker.test"] {
            assert!(names.iter().any(|other| other == name), "{name}");
        }
    }

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("data");
        let files = self_signed::get_or_make(&folder, &names()).unwrap();
        let mode = std::fs::metadata(&files.key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let first = std::fs::read(&files.cert).unwrap();
        self_signed::get_or_make(&folder, &names()).unwrap();
        assert_eq!(std::fs::read(&files.cert).unwrap(), first);
        let tls = open(files);
        tls.acceptor(None).unwrap();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let years = tls.expiry().seconds().unwrap().saturating_sub(now) / (365 * 24 * 3600);
        assert!((9..=10).contains(&years), "it lasts {years} years");
    }

    #[test]
    fn files_that_cannot_be_used_are_named_with_what_is_wrong_and_said_once() {
        let folder = tempfile::tempdir().unwrap();
        let files = self_signed::get_or_make(folder.path(), &names()).unwrap();
        let other = tempfile::tempdir().unwrap();
        let others = self_signed::get_or_make(other.path(), &names()).unwrap();
        let key = std::fs::read_to_string(&files.key).unwrap();
        let (cut, _) = key.split_once("-----END").unwrap();
        for (damaged, reason) in [
            (cut.to_owned(), "the line '-----END PRIVATE KEY-----' is missing"),
            (key.replacen("KEY-----", "KEY", 1), "does not end in '-----'"),
            (
                String::new(),
                "tls.key holds no private key in PEM: there is none",
            ),
            (
                std::fs::read_to_string(&others.key).unwrap(),
                "do not go together: ",
            ),
        ] {
            std::fs::write(&files.key, damaged).unwrap();
            let error = files::load(&files, &default_provider()).unwrap_err();
            let own = format!("{:#}", anyhow::Error::new(error.of_own(&files)));
            assert!(own.contains(reason) && own.contains("delete "), "{own}");
            assert!(!own.contains("[80, 82"), "{own}");
        }
        std::fs::remove_file(&files.key).unwrap();
        let error = files::load(&files, &default_provider()).unwrap_err();
        let gone = format!("{:#}", anyhow::Error::new(error.of_own(&files)));
        assert!(
            gone.ends_with("tls.key: No such file or directory (os error 2)"),
            "{gone}"
        );
        assert_eq!(gone.matches("No such file").count(), 1, "{gone}");
    }

    #[test]
    fn a_changed_certificate_is_taken_and_a_broken_one_is_not() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let files = self_signed::get_or_make(here.path(), &names()).unwrap();
        let other = self_signed::get_or_make(there.path(), &names()).unwrap();
        let tls = open(files.clone());
        let shown = |tls: &Tls| tls.current.0.load().cert.clone();
        let first = shown(&tls);
        std::fs::copy(&other.cert, &files.cert).unwrap();
        let tls = tls.look();
        assert_eq!(shown(&tls), first, "the key does not fit the certificate yet");
        std::fs::copy(&other.key, &files.key).unwrap();
        let tls = tls.look();
        assert_ne!(shown(&tls), first);
        let good = shown(&tls);
        std::fs::write(&files.cert, "nothing").unwrap();
        let tls = tls.look();
        assert_eq!(shown(&tls), good, "the last good one stays");
        let (certificate, key) = expired();
        std::fs::write(&files.cert, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        assert_eq!(shown(&tls.look()), good, "an expired one is not taken");
        let error = check(&files).unwrap_err().to_string();
        assert!(
            error.contains("tls.crt has expired on ") && error.contains("2020"),
            "{error}"
        );
    }
}
