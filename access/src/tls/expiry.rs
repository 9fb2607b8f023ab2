//! When certificates expire.

use super::Current;
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// Tells it of whichever certificate is current.
#[derive(Clone, Debug)]
pub struct Expiry(pub(super) Arc<Current>);

impl Expiry {
    /// In seconds since 1970.
    pub fn seconds(&self) -> Option<u64> {
        not_after(&self.0.0.load()).map(|(seconds, _)| seconds)
    }
}

/// The date on which the certificate expired, if it has by now.
pub(super) fn expired(certified: &CertifiedKey) -> Option<String> {
    // A clock before 1970 is no clock.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, date) = not_after(certified)?;
    (seconds < now.as_secs()).then_some(date)
}

/// In seconds since 1970, and as a date. What cannot be read is for the clients to judge.
fn not_after(certified: &CertifiedKey) -> Option<(u64, String)> {
    let (_, certificate) = X509Certificate::from_der(certified.cert.first()?).ok()?;
    let end = certificate.validity().not_after;
    Some((u64::try_from(end.timestamp()).ok()?, end.to_string()))
}
