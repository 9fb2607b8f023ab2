//! A certificate for brokers that are given none: clients for Java and Go use TLS by default and accept any.

use super::CertificateError;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use sluice_access::tls::{TlsError, TlsFiles};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const COMMON_NAME: &str = "sluice-broker";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// For clients whose clocks are behind.
const VALID_BEFORE: Duration = DAY;
/// Ten years.
const VALID_FOR: Duration = DAY.saturating_mul(3652);
const KEY_MODE: u32 = 0o600;
const CERT_MODE: u32 = 0o644;

/// The broker's own certificate in `folder`, made now if there is none.
pub(super) fn get_or_make(folder: &Path, names: &[String]) -> Result<TlsFiles, CertificateError> {
    let files = TlsFiles {
        cert: folder.join("tls.crt"),
        key: folder.join("tls.key"),
    };
    if files.cert.exists() && files.key.exists() {
        return Ok(files);
    }
    std::fs::create_dir_all(folder).map_err(|source| TlsError::Io {
        what: "make",
        path: folder.to_owned(),
        source,
    })?;
    let key = KeyPair::generate()?;
    let certificate = describe(names)?.self_signed(&key)?;
    // The certificate comes last: where it stands, the key does too.
    write(&files.key, key.serialize_pem().as_bytes(), KEY_MODE)?;
    write(&files.cert, certificate.pem().as_bytes(), CERT_MODE)?;
    tracing::info!(cert = %files.cert.display(), "made a self-signed certificate");
    Ok(files)
}

/// Whose the certificate is, and how long it holds.
fn describe(names: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, COMMON_NAME);
    // A clock before 1970 is no clock.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(VALID_BEFORE);
    params.not_after = epoch + now.saturating_add(VALID_FOR);
    Ok(params)
}

/// Under another name first: a file that stands is whole.
fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), TlsError> {
    let draft = path.with_extension("new");
    let written = || {
        // A draft that a crash left may have another mode.
        let _ = std::fs::remove_file(&draft);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    };
    written().map_err(|source| TlsError::Io {
        what: "write",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_is_the_brokers_and_holds_from_yesterday_for_ten_years() {
        let params = describe(&["localhost".to_owned()]).unwrap();
        let name = params.distinguished_name.get(&DnType::CommonName);
        assert_eq!(name, Some(&COMMON_NAME.into()));
        let today = rcgen::date_time_ymd(1970, 1, 1) + SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(params.not_before < today - DAY / 2 && params.not_before > today - DAY * 2);
        assert!(params.not_after > today + DAY * 3650 && params.not_after < today + DAY * 3654);
    }
}
