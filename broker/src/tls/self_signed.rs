//! A certificate for brokers that are given none: clients for Java and Go use TLS by default and accept any.

use super::files::TlsError;
use crate::args::TlsFiles;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

const KEY_MODE: u32 = 0o600;
const CERT_MODE: u32 = 0o644;

/// The broker's own certificate in `folder`, made now if there is none.
pub(super) fn get_or_make(folder: &Path, names: &[String]) -> Result<TlsFiles, TlsError> {
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
    let made = rcgen::generate_simple_self_signed(names)?;
    // The certificate comes last: where it stands, the key does too.
    write(&files.key, made.signing_key.serialize_pem().as_bytes(), KEY_MODE)?;
    write(&files.cert, made.cert.pem().as_bytes(), CERT_MODE)?;
    tracing::info!(cert = %files.cert.display(), "made a self-signed certificate");
    Ok(files)
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
