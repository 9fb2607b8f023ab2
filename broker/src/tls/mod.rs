//! The certificate that a broker shows: the user's, or one that it makes itself.

mod self_signed;

use crate::config::{Config, HostPort};
use sluice_access::tls::{self, Tls, TlsFiles};
use std::net::SocketAddr;
use thiserror::Error;

/// gRPC speaks HTTP/2 and nothing else.
pub const PROTOCOL: &[u8] = b"h2";

/// Why there is no certificate to show.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// The files cannot be used, or none can be written.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// What the broker made itself is damaged.
    #[error(
        "the certificate that the broker made itself cannot be used: delete {} and {}, and new ones are made",
        files.cert.display(),
        files.key.display()
    )]
    Own {
        /// Where it is.
        files: TlsFiles,
        /// Why.
        source: Box<tls::TlsError>,
    },
    /// A certificate of our own could not be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
}

/// With the user's files, or with a certificate that the broker makes itself once.
pub fn open(config: &Config) -> Result<Tls, CertificateError> {
    match &config.tls {
        Some(files) => Ok(Tls::open(files.clone())?),
        None => {
            let names = subject_names(config.advertise.as_ref(), config.grpc_listen);
            open_own(self_signed::get_or_make(&config.data_dir, &names)?)
        }
    }
}

/// Where the content of files is wrong that the broker has made, nobody misses them.
fn open_own(files: TlsFiles) -> Result<Tls, CertificateError> {
    Tls::open(files.clone()).map_err(|source| match source {
        tls::TlsError::Pem { .. } | tls::TlsError::Pair { .. } => CertificateError::Own {
            files,
            source: Box::new(source),
        },
        other => other.into(),
    })
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
        let tls = open_own(files).unwrap();
        tls.acceptor(PROTOCOL, None).unwrap();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let years = tls.expiry().seconds().unwrap().saturating_sub(now) / (365 * 24 * 3600);
        assert!((9..=10).contains(&years), "it lasts {years} years");
    }

    #[test]
    fn what_the_broker_made_itself_may_be_deleted_where_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let files = self_signed::get_or_make(folder.path(), &names()).unwrap();
        let told = || format!("{:#}", anyhow::Error::new(open_own(files.clone()).unwrap_err()));
        std::fs::write(&files.key, "").unwrap();
        let own = told();
        assert!(
            own.contains("delete ") && own.contains("holds no private key"),
            "{own}"
        );
        std::fs::remove_file(&files.key).unwrap();
        let gone = told();
        assert!(
            !gone.contains("delete ") && gone.contains("No such file"),
            "{gone}"
        );
    }
}
