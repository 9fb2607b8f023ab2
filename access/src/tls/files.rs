//! Certificate and key as files in PEM.

use crate::stamp::Stamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Why there is no certificate to show.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// Read or write.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{} holds no {what} in PEM: {reason}", path.display())]
    Pem {
        /// Certificate or key.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The two do not go together.
    #[error("{} and {} do not go together", cert.display(), key.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// Nobody would take it any more.
    #[error("the certificate in {} has expired on {date}: renew it", cert.display())]
    Expired {
        /// The certificate's file.
        cert: PathBuf,
        /// When.
        date: String,
    },
    /// Certificates that nothing can be checked against.
    #[error("{} holds no certificate that clients' certificates can be checked against: {reason}", path.display())]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// TLS could not be set up.
    #[error("cannot set up TLS")]
    Rustls(#[source] rustls::Error),
}

/// What tells one state of the files from the next.
pub(super) fn stamps(files: &TlsFiles) -> [Stamp; 2] {
    [Stamp::of(&files.cert), Stamp::of(&files.key)]
}

/// Reads both files and checks that they go together.
pub(super) fn load(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|error| TlsError::Pem {
        what: "private key",
        path: files.key.clone(),
        reason: why_no_pem(error),
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|source| TlsError::Pair {
        cert: files.cert.clone(),
        key: files.key.clone(),
        source,
    })
}

/// All certificates of a file, of which there is at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(why_no_pem);
    let chain = chain.and_then(|chain| {
        if chain.is_empty() {
            Err("there is none".to_owned())
        } else {
            Ok(chain)
        }
    });
    chain.map_err(|reason| TlsError::Pem {
        what: "certificate",
        path: path.to_owned(),
        reason,
    })
}

/// The library shows the lines that it means as numbers.
fn why_no_pem(error: pem::Error) -> String {
    let line = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().trim_matches('-').to_owned();
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            format!(
                "the line '-----END {}-----' is missing",
                line(&end_marker).trim_start_matches("END ")
            )
        }
        pem::Error::IllegalSectionStart { line: start } => {
            format!("the line '-----{}' does not end in '-----'", line(&start))
        }
        pem::Error::NoItemsFound => "there is none".to_owned(),
        other => other.to_string(),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Io {
        what: "read",
        path: path.to_owned(),
        source,
    })
}
