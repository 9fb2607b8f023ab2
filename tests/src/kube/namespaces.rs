//! The namespaces that a node lives in: its network, mounts and processes are its own, and the kernel ends all of them
//! with the first process, which ends with the test.

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::folder::Folder;
use super::process::{self, Process};
use crate::wait;

const READY_WITHIN: Duration = Duration::from_secs(10);
const READY: &str = "namespaces";

/// The node's address. The whole range is set aside for tests of networks, so nobody's own can be meant by it.
pub const NODE_ADDRESS: &str = "198.18.0.1";

/// Folders that are empty ones of the node's own.
const HIDDEN: [&str; 3] = ["/run", "/var/lib/cni", "/var/log"];

/// Lays out the machine and stays, to take over processes whose parents end. Not every kernel has a dummy device: a bridge
/// without ports serves as the network card. What programs write to their usual places goes with the mounts.
const FIRST_PROCESS: &str = r#"
set -e
ip link set lo up
ip link add eth0 type bridge
ip address add "$1"/24 dev eth0
ip link set eth0 up
ip route add default dev eth0
echo 1 > /proc/sys/net/ipv4/ip_forward
mkdir -p /var/lib/cni
for folder in /run /var/lib/cni /var/log; do mount -t tmpfs tmpfs "$folder"; done
touch "$2"
sleep infinity &
while :; do wait; done
"#;

/// Namespaces with a first process in them; dropping it ends everything in them.
#[derive(Debug)]
pub struct Namespaces {
    first: Process,
    /// The first process's number, as this process counts.
    inside: u32,
}

impl Namespaces {
    /// New ones.
    ///
    /// # Errors
    /// When this process is not root, or the kernel cannot make them.
    pub fn create(folder: &Folder) -> Result<Self> {
        let hidden = HIDDEN.iter().find(|hidden| folder.path().starts_with(hidden));
        ensure!(
            hidden.is_none(),
            "a node does not see {}: name a folder outside of {}",
            folder.path().display(),
            hidden.unwrap_or(&"")
        );
        let ready = folder.path().join(READY);
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .args(["bash", "-c", FIRST_PROCESS, "bash", NODE_ADDRESS])
            .arg(&ready);
        let mut first = Process::start("namespaces", &command, &folder.make("logs")?)?;
        wait::until("the namespaces are there", READY_WITHIN, || {
            first.check()?;
            Ok(ready.exists().then_some(()))
        })
        .context("a node needs root, iproute2 and util-linux")?;
        let children = format!("/proc/{0}/task/{0}/children", first.id());
        let children = std::fs::read_to_string(children).context("cannot read /proc")?;
        let inside = children
            .split_whitespace()
            .next()
            .and_then(|number| number.parse().ok());
        Ok(Self {
            inside: inside.context("unshare has no child")?,
            first,
        })
    }

    /// The same command inside of them. Killing what it starts kills the program.
    #[must_use]
    pub fn enter(&self, command: &Command) -> Command {
        let mut entering = Command::new("nsenter");
        entering
            .args([
                "--target",
                &self.inside.to_string(),
                "--mount",
                "--net",
                "--pid",
                "--",
            ])
            .args(["setpriv", "--pdeathsig", "KILL", "--"]);
        process::behind(entering, command)
    }

    /// What a command of the node's network begins with, for whoever types one.
    #[must_use]
    pub fn network_prefix(&self) -> String {
        format!("nsenter --net={}", self.network_path())
    }

    /// The network, for a thread that wants to enter it.
    ///
    /// # Errors
    /// When the first process has ended.
    pub fn network(&self) -> Result<File> {
        File::open(self.network_path()).context("the node's network is gone")
    }

    fn network_path(&self) -> String {
        format!("/proc/{}/ns/net", self.inside)
    }

    /// An error if they have ended.
    ///
    /// # Errors
    /// See above.
    pub fn check(&mut self) -> Result<()> {
        self.first.check()
    }
}
