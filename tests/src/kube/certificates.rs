//! An authority of a cluster's own, and the certificates by which its parts know each other.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

use super::folder::Folder;

/// The authority's certificate, in the cluster's folder.
pub const AUTHORITY: &str = "pki/ca.crt";
/// Signs the tokens of service accounts.
pub const TOKEN_KEY: &str = "pki/sa.key";
/// Checks them.
pub const TOKEN_PUBLIC_KEY: &str = "pki/sa.pub";

/// Signs the certificates of one cluster.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A certificate and its key, as text.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The chain, of one.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Authority {
    /// A new one, whose certificate is in the folder, with a key for the tokens of service accounts.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn create(folder: &Folder) -> Result<Self> {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters
            .distinguished_name
            .push(DnType::CommonName, "sluice-tests");
        let key = KeyPair::generate().context("cannot make a key")?;
        let certificate = parameters.self_signed(&key)?.pem();
        folder.write(AUTHORITY, &certificate)?;
        let tokens = KeyPair::generate().context("cannot make a key")?;
        folder.write(TOKEN_KEY, &tokens.serialize_pem())?;
        folder.write(TOKEN_PUBLIC_KEY, &tokens.public_key_pem())?;
        Ok(Self {
            issuer: Issuer::new(parameters, key),
            certificate,
        })
    }

    /// The authority's own certificate.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for a client. The server takes its common name for a user, and organisations for groups.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn client(&self, user: &str, group: Option<&str>) -> Result<Identity> {
        self.sign(user, group, CertificateParams::default())
    }

    /// A certificate for a server under these names and addresses.
    ///
    /// # Errors
    /// When a name is none.
    pub fn server(&self, name: &str, names: &[&str], addresses: &[IpAddr]) -> Result<Identity> {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut parameters = CertificateParams::new(names)?;
        let addresses = addresses.iter().map(|address| SanType::IpAddress(*address));
        parameters.subject_alt_names.extend(addresses);
        self.sign(name, None, parameters)
    }

    fn sign(&self, name: &str, group: Option<&str>, mut parameters: CertificateParams) -> Result<Identity> {
        parameters.distinguished_name.push(DnType::CommonName, name);
        if let Some(group) = group {
            parameters
                .distinguished_name
                .push(DnType::OrganizationName, group);
        }
        let key = KeyPair::generate().context("cannot make a key")?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

impl Identity {
    /// Writes both into the folder; gives the paths of certificate and key.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, folder: &Folder, name: &str) -> Result<(String, String)> {
        let certificate = folder.write(&format!("pki/{name}.crt"), &self.certificate)?;
        let key = folder.write(&format!("pki/{name}.key"), &self.key)?;
        Ok((certificate.display().to_string(), key.display().to_string()))
    }
}
