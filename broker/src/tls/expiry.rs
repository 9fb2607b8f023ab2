//! When the certificate that is shown expires.

use super::Current;
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// Tells it of whichever certificate is current.
#[derive(Clone, Debug)]
pub struct Expiry(pub(super) Arc<Current>);

impl Expiry {
    /// In seconds since 1970.
    pub fn seconds(&self) -> Option<u64> {
        let current = self.0.0.load();
        let (_, certificate) = X509Certificate::from_der(current.cert.first()?).ok()?;
        u64::try_from(certificate.validity().not_after.timestamp()).ok()
    }
}
