//! A machine of its own for the commands: the ports that pages name are free on it, root may install there, and nothing
//! of it is left.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use sluice_tests::{binaries, wait};
use tempfile::TempDir;

use sluice_tests::pages::Block;

const WITHIN: Duration = Duration::from_secs(60);
/// Ends the output of a block.
const MARK: &str = "-- done --";
/// systemd does not run here; cargo has built already.
const STAND_INS: [(&str, &str); 2] = [
    ("systemctl", include_str!("systemctl.py")),
    ("cargo", include_str!("cargo.sh")),
];
/// What pages install into, each under a layer that goes with the machine.
const SHIELDED: &str = "etc usr/local var/lib var/backups";

/// A shell in namespaces of its own for mounts, network and processes; dropping it ends all that it started.
pub struct Machine {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
    folder: TempDir,
    blocks: usize,
}

impl Machine {
    /// A machine with the executables under test where a build puts them.
    pub fn start() -> Result<Self> {
        let base = binaries::scratch().join("system-tests");
        std::fs::create_dir_all(&base)?;
        let folder = TempDir::with_prefix_in("machine-", &base).context("cannot make a folder")?;
        lay_out(folder.path())?;
        let mut child = Command::new("unshare")
            .args([
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .args(["bash", "--noprofile", "--norc", "-s"])
            .current_dir(folder.path().join("clone"))
            .env("HOME", folder.path())
            .env("PATH", path(folder.path())?)
            .env_remove("XDG_CONFIG_HOME")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start unshare, of Debian's package util-linux")?;
        let (send, output) = channel();
        let input = child.stdin.take().context("the shell's input is not piped")?;
        let (out, error) = (child.stdout.take(), child.stderr.take());
        let streams: [Option<Box<dyn std::io::Read + Send>>; 2] = [
            out.map(|out| Box::new(out) as Box<_>),
            error.map(|error| Box::new(error) as Box<_>),
        ];
        for stream in streams.into_iter().flatten() {
            let send = send.clone();
            std::thread::spawn(move || {
                let lines = BufReader::new(stream).lines().map_while(Result::ok);
                lines.for_each(|line| drop(send.send(line)));
            });
        }
        let mut machine = Self {
            child,
            input,
            output,
            folder,
            blocks: 0,
        };
        machine.prepare()?;
        Ok(machine)
    }

    /// Runs commands; tells what they printed and how long they took.
    pub fn run(&mut self, commands: &str) -> Result<(String, Duration)> {
        let started = Instant::now();
        self.blocks += 1;
        let file = self.folder.path().join(format!("block-{}.sh", self.blocks));
        // As somebody types them: the first one that fails ends it.
        std::fs::write(&file, format!("set -eo pipefail\n{commands}\n"))?;
        writeln!(
            self.input,
            "source {} 2>&1 </dev/null; echo '{MARK}'",
            file.display()
        )?;
        self.input.flush()?;
        let mut printed = String::new();
        loop {
            match self.output.recv_timeout(WITHIN.saturating_sub(started.elapsed())) {
                Ok(line) if line == MARK => return Ok((printed, started.elapsed())),
                Ok(line) => printed = printed + &line + "\n",
                Err(RecvTimeoutError::Timeout) => bail!("not done within {WITHIN:?}: {commands}\n{printed}"),
                Err(RecvTimeoutError::Disconnected) => bail!("failed: {commands}\n{printed}"),
            }
        }
    }

    /// Runs a block of a page, which must print what stands behind it.
    pub fn run_block(&mut self, page: &str, block: &Block) -> Result<Duration> {
        let place = format!("{page}:{} ({})", block.line, block.heading);
        println!("{place}");
        let (printed, took) = self.run(&block.commands).with_context(|| place.clone())?;
        println!("{printed}");
        let missing = block.missing_in(&printed);
        ensure!(
            missing.is_none(),
            "{place} does not print {:?}, but:\n{printed}",
            missing.unwrap_or_default()
        );
        Ok(took)
    }

    /// What another program begins with to run on this machine.
    pub fn enter(&self) -> Result<Vec<String>> {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let shell = wait::until("the shell is there", WITHIN, || {
            let children = std::fs::read_to_string(&children)?;
            Ok(children.split_whitespace().next().map(str::to_owned))
        })?;
        let enter = ["nsenter", "--target", &shell, "--net", "--mount", "--pid", "--"];
        Ok(enter.map(str::to_owned).to_vec())
    }

    fn prepare(&mut self) -> Result<()> {
        let layers = self.folder.path().join("layers");
        let commands = format!(
            "ip link set lo up
            mkdir -p {layers} /var/backups
            mount -t tmpfs tmpfs {layers}
            for folder in {SHIELDED}; do
                mkdir -p {layers}/$folder/upper {layers}/$folder/work
                mount -t overlay overlay -o \
                    lowerdir=/$folder,upperdir={layers}/$folder/upper,workdir={layers}/$folder/work /$folder
            done",
            layers = layers.display()
        );
        let prepared = self.run(&commands);
        prepared.context("cannot make a machine: root, iproute2 and overlayfs are needed")?;
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Its first process takes all others along.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A clone in which cargo has built, and the stand-ins.
fn lay_out(folder: &Path) -> Result<()> {
    let (release, programs) = (folder.join("clone/target/release"), folder.join("programs"));
    std::fs::create_dir_all(&release)?;
    std::fs::create_dir_all(&programs)?;
    for executable in [binaries::broker()?, binaries::sluicectl()?] {
        let name = executable.file_name().context("an executable has no name")?;
        std::os::unix::fs::symlink(&executable, release.join(name))?;
    }
    for (name, script) in STAND_INS {
        let path = programs.join(name);
        std::fs::write(&path, script)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn path(folder: &Path) -> Result<String> {
    let path = std::env::var("PATH").context("there is no PATH")?;
    Ok(format!(
        "{}:{path}:/usr/sbin:/sbin",
        folder.join("programs").display()
    ))
}
