//! The files by which clients find a server, with all that they need in them.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::certificates::{Authority, Identity};
use super::folder::Folder;

/// The one context in the file.
pub const CONTEXT: &str = "sluice-tests";

/// Writes a kubeconfig for the server at this URL.
///
/// # Errors
/// When it cannot be written.
pub fn write(
    folder: &Folder,
    file: &str,
    server: &str,
    authority: &Authority,
    identity: &Identity,
) -> Result<PathBuf> {
    let text = format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: {CONTEXT}\n  cluster:\n    server: {server}\n    certificate-authority-data: {authority}\n\
         users:\n\
         - name: {CONTEXT}\n  user:\n    client-certificate-data: {certificate}\n    client-key-data: {key}\n\
         contexts:\n\
         - name: {CONTEXT}\n  context:\n    cluster: {CONTEXT}\n    user: {CONTEXT}\n\
         current-context: {CONTEXT}\n",
        authority = STANDARD.encode(authority.certificate()),
        certificate = STANDARD.encode(&identity.certificate),
        key = STANDARD.encode(&identity.key),
    );
    folder.write(file, &text)
}

/// A client of the server that a file names; of a context in it, or of the one that is chosen there.
///
/// # Errors
/// When the file cannot be read.
pub async fn client(file: Option<&std::path::Path>, context: Option<&str>) -> Result<Client> {
    let kubeconfig = match file {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(kubeconfig.context("cannot read the kubeconfig")?, &options)
        .await
        .context("the kubeconfig names no server")?;
    Client::try_from(config).context("cannot make a client of the kubeconfig")
}
