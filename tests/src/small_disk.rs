//! A small disk of its own: an ext4 file system in a file, over a loop device. It can be filled, and the system can be made to
//! find it damaged, from when on it is read-only.
//!
//! Needs the superuser. Dropping it takes mount, device and file away, also when the test fails. What a killed test has left
//! goes with the next disk that is made.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{binaries, wait};

const PREFIX: &str = "small-disk-";
const LET_GO_WITHIN: Duration = Duration::from_secs(20);
/// Of the file system.
const BLOCK: usize = 4096;
const FILLER: &str = "filler";

/// A mounted file system. A broker over it is to be dropped first.
#[derive(Debug)]
pub struct SmallDisk {
    folder: TempDir,
    mount: PathBuf,
}

impl SmallDisk {
    /// One of so many MiB, empty, and mounted.
    ///
    /// # Errors
    /// When a program of the system is missing, or this process may not mount.
    pub fn new(mib: u32) -> Result<Self> {
        let base = binaries::scratch().join("system-tests");
        fs::create_dir_all(&base).with_context(|| format!("cannot make {}", base.display()))?;
        clear(&base);
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let folder = TempDir::with_prefix_in(prefix, &base).context("cannot make a folder")?;
        let mount = folder.path().join("mount");
        fs::create_dir(&mount)?;
        let disk = Self { folder, mount };
        let image = disk.image();
        fs::File::create_new(&image)?.set_len(u64::from(mib) << 20)?;
        // Nothing is kept back for the superuser, who runs this.
        let options = ["-q", "-F", "-m", "0", "-b", "4096", "-J", "size=4"];
        run(Command::new("mkfs.ext4").args(options).arg(&image))?;
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Another process takes all but so many KiB.
    ///
    /// # Errors
    /// When it has less.
    pub fn fill_but(&self, kib: u64) -> Result<()> {
        let wanted = self.free()?.checked_sub(kib << 10).context("there is less")?;
        let filler = self.mount.join(FILLER);
        let length = wanted.to_string();
        run(Command::new("fallocate").args(["-l", &length]).arg(filler)).map(drop)
    }

    /// Another process takes every byte, whoever else takes some meanwhile.
    ///
    /// # Errors
    /// When it cannot write for another reason.
    pub fn fill(&self) -> Result<()> {
        let filler = self.mount.join(FILLER);
        let mut file = fs::File::create(filler).context("cannot make what fills the disk")?;
        let zeros = vec![0; BLOCK];
        loop {
            match file.write_all(&zeros) {
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                written => written.context("cannot write what fills the disk")?,
            }
        }
    }

    /// It gives all of it back.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn empty(&self) -> Result<()> {
        fs::remove_file(self.mount.join(FILLER)).context("cannot remove what fills the disk")
    }

    /// Free bytes.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn free(&self) -> Result<u64> {
        let system = rustix::fs::statvfs(&self.mount)?;
        Ok(system.f_bavail * system.f_frsize)
    }

    /// The system finds it damaged, and lets nobody write any more, as with `errors=remount-ro` and a disk that fails.
    ///
    /// # Errors
    /// When it cannot be told to.
    pub fn turn_read_only(&self) -> Result<()> {
        let device = self.device()?;
        let trigger = format!("/sys/fs/ext4/{device}/trigger_fs_error");
        fs::write(&trigger, "1").with_context(|| format!("cannot write {trigger}"))
    }

    /// In no folder at or below `path` can a file be made, removed or get another name, though nothing else is wrong; or it can again.
    ///
    /// # Errors
    /// When the system does not do so.
    pub fn close_folders(&self, path: &Path, closed: bool) -> Result<()> {
        let flag = if closed { "+i" } else { "-i" };
        let chattr = ["-type", "d", "-exec", "chattr", flag, "{}", "+"];
        run(Command::new("find").arg(path).args(chattr)).map(drop)
    }

    /// Unmounts it, mends it, and mounts it again. Nobody may have a file of it open.
    ///
    /// # Errors
    /// When it cannot be mended.
    pub fn mend(&self) -> Result<()> {
        self.unmount()?;
        let mended = Command::new("e2fsck").arg("-p").arg(self.image()).output()?;
        // 1: mended.
        ensure!(
            mended.status.code().is_some_and(|code| code <= 1),
            "e2fsck: {mended:?}"
        );
        self.mount()
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn mount(&self) -> Result<()> {
        let options = "loop,errors=remount-ro";
        let mut mount = Command::new("mount");
        run(mount.args(["-o", options]).arg(self.image()).arg(&self.mount)).map(drop)
    }

    fn unmount(&self) -> Result<()> {
        wait::until("nobody uses the disk", LET_GO_WITHIN, || {
            run(Command::new("umount").arg(&self.mount)).map(Some)
        })
        .map(drop)
    }

    /// The loop device's name.
    fn device(&self) -> Result<String> {
        let mut findmnt = Command::new("findmnt");
        let found = run(findmnt.args(["-n", "-o", "SOURCE"]).arg(&self.mount))?;
        let device = String::from_utf8(found.stdout)?;
        let name = device.trim().strip_prefix("/dev/");
        Ok(name
            .with_context(|| format!("{device:?} is no device"))?
            .to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The device goes with the mount.
        if self.unmount().is_err() {
            detach(&self.mount);
        }
    }
}

/// Even if somebody uses it.
fn detach(mount: &Path) {
    let _ = Command::new("umount").arg("-l").arg(mount).output();
}

/// Takes away what processes have left that are no more.
fn clear(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for folder in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = folder
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            detach(&folder.join("mount"));
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

fn run(command: &mut Command) -> Result<Output> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {}: is it installed?", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}
