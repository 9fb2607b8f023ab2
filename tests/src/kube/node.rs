//! What runs on a node beside the control plane: the container engine, the kubelet, the proxy for Services and DNS.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::certificates::AUTHORITY;
use super::control_plane::SERVICES;
use super::folder::Folder;
use super::namespaces::NODE_ADDRESS;
use super::node_images::PAUSE;
use super::{cgroups, kubeconfig, programs};

/// What the node is called.
pub const NAME: &str = "node1";
/// Where the addresses of pods come from.
const PODS: &str = "198.18.4.0/22";
/// Where Debian's package containernetworking-plugins puts its programs.
const NETWORK_PLUGINS: &str = "/usr/lib/cni";

/// Where containerd listens.
#[must_use]
pub fn engine_socket(folder: &Folder) -> PathBuf {
    folder.path().join("containerd.sock")
}

/// The container engine, with a bridge for the pods' network.
///
/// # Errors
/// When its files cannot be written.
pub fn containerd(folder: &Folder) -> Result<Command> {
    let networks = folder.make("networks")?;
    folder.write(
        "networks/10-bridge.conflist",
        &format!(
            r#"{{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {{"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {{"type": "host-local", "dataDir": "/run/cni-addresses", "ranges": [[{{"subnet": "{PODS}"}}]],
            "routes": [{{"dst": "0.0.0.0/0"}}]}}}},
  {{"type": "portmap", "capabilities": {{"portMappings": true}}}}
]}}
"#
        ),
    )?;
    let configuration = folder.write(
        "containerd.toml",
        &format!(
            r#"version = 2
root = "{root}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # In a container, and under some supervisors, nobody may lower it.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{NETWORK_PLUGINS}"
    conf_dir = "{networks}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
"#,
            root = folder.name_of("containerd"),
            socket = engine_socket(folder).display(),
            networks = networks.display(),
        ),
    )?;
    let mut command = Command::new("containerd");
    command.arg("--config").arg(configuration);
    Ok(command)
}

/// The kubelet.
///
/// # Errors
/// When the program is not there, or its files cannot be written.
pub fn kubelet(folder: &Folder, kubeconfig: &str) -> Result<Command> {
    let configuration = folder.write(
        "kubelet.yaml",
        &format!(
            r#"apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
cgroupRoot: {group}
failCgroupV1: false
failSwapOn: false
authentication: {{x509: {{clientCAFile: "{authority}"}}, webhook: {{enabled: true}}, anonymous: {{enabled: false}}}}
authorization: {{mode: Webhook}}
containerRuntimeEndpoint: unix://{socket}
clusterDNS: [{NODE_ADDRESS}]
clusterDomain: cluster.local
resolvConf: ""
podPidsLimit: -1
enforceNodeAllocatable: [pods]
# Images that are removed to make room cannot be pulled again.
imageGCHighThresholdPercent: 100
evictionHard: {{memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}}
"#,
            group = cgroups::path(folder.path()),
            authority = folder.name_of(AUTHORITY),
            socket = engine_socket(folder).display(),
        ),
    )?;
    let mut command = programs::command("kubelet")?;
    command
        .arg(format!("--config={}", configuration.display()))
        .arg(format!("--kubeconfig={kubeconfig}"))
        .arg(format!("--hostname-override={NAME}"))
        .arg(format!("--root-dir={}", folder.name_of("kubelet")))
        .arg(format!("--node-ip={NODE_ADDRESS}"));
    Ok(command)
}

/// The proxy for Services.
///
/// # Errors
/// When the program is not there.
pub fn proxy(kubeconfig: &str) -> Result<Command> {
    let mut command = programs::command("kube-proxy")?;
    command
        .arg(format!("--kubeconfig={kubeconfig}"))
        .arg(format!("--hostname-override={NAME}"))
        .arg(format!("--cluster-cidr={PODS}"))
        .arg("--proxy-mode=nftables")
        // What these would set is not a network's own but the machine's.
        .args([
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0s",
        ])
        .arg("--conntrack-tcp-timeout-close-wait=0s");
    Ok(command)
}

/// The names of Services and pods.
///
/// # Errors
/// When the program is not there, or its file cannot be written.
pub fn dns(folder: &Folder, kubeconfig: &str) -> Result<Command> {
    let configuration = folder.write(
        "Corefile",
        &format!(
            ".:53 {{\n  bind {NODE_ADDRESS}\n  kubernetes cluster.local in-addr.arpa ip6.arpa {{\n    \
             kubeconfig {kubeconfig} {context}\n  }}\n  cache 5\n}}\n",
            context = kubeconfig::CONTEXT,
        ),
    )?;
    let mut command = programs::command("coredns")?;
    command.arg("-conf").arg(configuration);
    Ok(command)
}

/// The controllers of Deployments, Services and the rest.
///
/// # Errors
/// When the program is not there.
pub fn controllers(folder: &Folder, kubeconfig: &str) -> Result<Command> {
    let mut command = programs::command("kube-controller-manager")?;
    command
        .arg(format!("--kubeconfig={kubeconfig}"))
        .arg(format!("--service-cluster-ip-range={SERVICES}"))
        .arg(format!(
            "--service-account-private-key-file={}",
            folder.name_of(super::certificates::TOKEN_KEY)
        ))
        .arg(format!("--root-ca-file={}", folder.name_of(AUTHORITY)))
        .args(["--use-service-account-credentials", "--leader-elect=false"]);
    Ok(command)
}

/// What places pods on the node.
///
/// # Errors
/// When the program is not there.
pub fn scheduler(kubeconfig: &str) -> Result<Command> {
    let mut command = programs::command("kube-scheduler")?;
    command
        .arg(format!("--kubeconfig={kubeconfig}"))
        .arg("--leader-elect=false");
    Ok(command)
}
