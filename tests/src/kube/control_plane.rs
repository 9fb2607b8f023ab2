//! etcd and the API server, with the flags that both kinds of cluster have in common.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::Client;

use super::certificates::{AUTHORITY, Authority, TOKEN_KEY, TOKEN_PUBLIC_KEY};
use super::folder::Folder;
use super::process::Process;
use super::programs;
use crate::wait;

/// Where the addresses of Services come from. The first is the API server's own.
pub const SERVICES: &str = "198.19.0.0/24";
const SERVICE_OF_SERVER: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Where the server listens, and what it is for.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Of etcd, for the server alone.
    pub etcd_port: u16,
    /// Of the server.
    pub listen: SocketAddr,
    /// Pods are run: identities of nodes and service accounts are checked.
    pub with_nodes: bool,
}

/// The store: nothing in it has to outlive the machine's power.
///
/// # Errors
/// When the program is not there.
pub fn etcd(folder: &Folder, place: Place) -> Result<Command> {
    let url = format!("http://127.0.0.1:{}", place.etcd_port);
    let mut command = programs::command("etcd")?;
    command
        .arg(format!("--data-dir={}", folder.name_of("etcd")))
        .arg("--unsafe-no-fsync")
        .arg("--log-level=warn")
        .arg(format!("--listen-client-urls={url}"))
        .arg(format!("--advertise-client-urls={url}"))
        // It has no peers, and takes any port for them.
        .arg("--listen-peer-urls=http://127.0.0.1:0");
    Ok(command)
}

/// The server, with a certificate for each name that anyone calls it by.
///
/// # Errors
/// When the program is not there, or the files cannot be written.
pub fn api_server(folder: &Folder, authority: &Authority, place: Place) -> Result<Command> {
    let names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
    ];
    let addresses = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        place.listen.ip(),
        SERVICE_OF_SERVER.into(),
    ];
    let (certificate, key) = authority
        .server("kube-apiserver", &names, &addresses)?
        .write(folder, "apiserver")?;
    let mut command = programs::command("kube-apiserver")?;
    command
        .arg(format!("--etcd-servers=http://127.0.0.1:{}", place.etcd_port))
        .arg(format!("--service-cluster-ip-range={SERVICES}"))
        .arg(format!("--secure-port={}", place.listen.port()))
        .arg(format!("--tls-cert-file={certificate}"))
        .arg(format!("--tls-private-key-file={key}"))
        .arg(format!("--client-ca-file={}", folder.name_of(AUTHORITY)))
        .arg(format!(
            "--service-account-key-file={}",
            folder.name_of(TOKEN_PUBLIC_KEY)
        ))
        .arg(format!(
            "--service-account-signing-key-file={}",
            folder.name_of(TOKEN_KEY)
        ))
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg("--allow-privileged=true");
    if place.with_nodes {
        let (certificate, key) = authority
            .client("kube-apiserver-kubelet-client", Some("system:masters"))?
            .write(folder, "kubelet-client")?;
        command
            .arg(format!("--advertise-address={}", place.listen.ip()))
            .arg("--authorization-mode=Node,RBAC")
            .arg("--kubelet-preferred-address-types=InternalIP")
            .arg(format!("--kubelet-client-certificate={certificate}"))
            .arg(format!("--kubelet-client-key={key}"));
    } else {
        command
            .arg(format!("--bind-address={}", place.listen.ip()))
            // A loopback address is none to advertise, and nobody looks for one.
            .args([
                "--advertise-address=198.18.0.1",
                "--endpoint-reconciler-type=none",
            ])
            .arg("--authorization-mode=RBAC")
            // Nothing makes service accounts here, and a pod without one would be refused.
            .arg("--disable-admission-plugins=ServiceAccount");
    }
    Ok(command)
}

/// Waits until the server says that it is ready.
///
/// # Errors
/// When a process ends first, with the end of its log, or when it takes too long.
pub async fn wait_until_ready(client: &Client, processes: &mut [Process]) -> Result<()> {
    let mut ended = None;
    wait::until_async("the API server is ready", READY_WITHIN, async || {
        ended = processes.iter_mut().find_map(|process| process.check().err());
        if ended.is_some() {
            return Ok(Some(()));
        }
        let request = http::Request::get("/readyz").body(Vec::new())?;
        let answer = client.request_text(request).await.context("it does not answer")?;
        Ok((answer == "ok").then_some(()))
    })
    .await?;
    ended.map_or(Ok(()), Err)
}
