//! The folder of a server or cluster: its owner holds a lock on it, and what the dead have left is removed by the next
//! start.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::cgroups;
use crate::binaries;

const LOCK: &str = "lock";
const PREFIX: &str = "kube-";

/// Waits until its input ends, which it does when the owner does, and removes the control groups and the folder; the
/// folder last, since it is what the next start would look for. What was just killed may still write.
const AFTER_THE_OWNER: &str = r#"
trap '' INT TERM HUP
cat > /dev/null
for attempt in $(seq 100); do
    left=
    for group in /sys/fs/cgroup/sluice/"$2" /sys/fs/cgroup/*/sluice/"$2"; do
        if [ -d "$group" ]; then
            find "$group" -depth -type d -exec rmdir {} \;
            [ -d "$group" ] && left=1 || rmdir "${group%/*}"
        fi
    done
    [ -z "$left" ] && rm -rf "$1" && exit
    sleep 0.1
done
"#;

/// A locked folder; dropping it removes it, and so does a process beside when the owner comes to an end that drops
/// nothing.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Nobody who is started meanwhile has it, nor the other end of what the process beside reads.
    _lock: File,
    beside: Child,
}

impl Folder {
    /// A new folder among those of the suites. Removes first what owners have left that are no more.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn temporary() -> Result<Self> {
        let base = binaries::scratch().join("system-tests");
        fs::create_dir_all(&base).with_context(|| format!("cannot make {}", base.display()))?;
        sweep(&base)?;
        let new = TempDir::with_prefix_in(PREFIX, &base).context("cannot make a folder")?;
        Self::lock(new.keep())
    }

    /// This folder, which must not be there, or have been left by an owner that is no more.
    ///
    /// # Errors
    /// When it is somebody else's, or cannot be made.
    pub fn at(path: &Path) -> Result<Self> {
        let is_taken = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        if is_taken {
            remove_abandoned(path)?;
        }
        fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
        Self::lock(path.to_owned())
    }

    /// The file has its name only once it is locked: whoever sweeps finds no file, or one that is held.
    fn lock(path: PathBuf) -> Result<Self> {
        let unnamed = path.join("lock.new");
        let lock = File::create(&unnamed).context("cannot make a file to lock")?;
        lock.try_lock()
            .with_context(|| format!("cannot lock {}", path.display()))?;
        fs::rename(&unnamed, path.join(LOCK))?;
        let beside = Command::new("sh")
            .args(["-c", AFTER_THE_OWNER, "sh"])
            .arg(&path)
            .arg(cgroups::of(&path))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh")?;
        Ok(Self {
            path,
            _lock: lock,
            beside,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it, as text for a configuration.
    #[must_use]
    pub fn name_of(&self, file: &str) -> String {
        self.path.join(file).display().to_string()
    }

    /// Writes a file into it, in a folder that need not be there yet, and gives its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &str, text: &str) -> Result<PathBuf> {
        let path = self.path.join(file);
        let folder = path.parent().context("a file has no folder")?;
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, text))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Makes a folder in it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make(&self, folder: &str) -> Result<PathBuf> {
        let path = self.path.join(folder);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = clear(&self.path) {
            eprintln!("{error:#}; the next start tries again");
        }
        // Its input ends with this.
        let _ = self.beside.wait();
    }
}

/// Removes a folder of ours, with the processes and control groups that go with it, unless its owner lives.
///
/// # Errors
/// When its owner lives, when it is not a folder of ours, or when it cannot be removed.
pub fn remove_abandoned(path: &Path) -> Result<()> {
    let lock = match File::open(path.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("{} is no folder of a cluster: name another", path.display())
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot open the lock in {}", path.display()));
        }
    };
    match lock.try_lock() {
        Ok(()) => clear(path),
        Err(TryLockError::WouldBlock) => bail!("the cluster in {} is running", path.display()),
        Err(TryLockError::Error(error)) => Err(error).context("cannot look at a lock"),
    }
}

/// Removes what owners have left that are no more.
fn sweep(base: &Path) -> Result<()> {
    for entry in fs::read_dir(base)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let abandoned =
            name.starts_with(PREFIX) && File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if abandoned {
            clear(&path).with_context(|| format!("an earlier run has left {}", path.display()))?;
        }
    }
    Ok(())
}

/// The kernel has ended the processes already, or does so at this moment: only what it was not asked to end is killed.
fn clear(path: &Path) -> Result<()> {
    end_processes_in(path)?;
    cgroups::remove(path)?;
    crate::wait::until(
        &format!("{} can be removed", path.display()),
        std::time::Duration::from_secs(10),
        || match fs::remove_dir_all(path) {
            Ok(()) => Ok(Some(())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(())),
            Err(error) => Err(error.into()),
        },
    )
}

/// Kills whatever was started with a path in this folder among its arguments, but not who does this.
fn end_processes_in(folder: &Path) -> Result<()> {
    let inside = format!("{}/", folder.display());
    let own = std::process::id();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        let Ok(process) = name.parse::<u32>() else {
            continue;
        };
        // It may have ended meanwhile.
        let arguments = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let is_inside = String::from_utf8_lossy(&arguments).contains(&inside);
        if is_inside && process != own {
            let number = i32::try_from(process).ok().and_then(Pid::from_raw);
            if let Some(number) = number {
                let _ = kill_process(number, Signal::KILL);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_owner() {
        let folder = Folder::temporary().unwrap();
        let path = folder.write("deep/file", "text").unwrap();
        assert!(path.is_file());
        let place = folder.path().to_owned();
        drop(folder);
        assert!(!place.exists());
    }

    #[test]
    fn what_a_dead_owner_left_is_removed_by_the_next_start_and_what_lives_is_not() {
        let living = Folder::temporary().unwrap();
        let left = living.path().with_file_name("kube-left-by-a-test");
        fs::create_dir_all(left.join("deep")).unwrap();
        File::create(left.join(LOCK)).unwrap();

        let next = Folder::temporary().unwrap();

        assert!(!left.exists());
        assert!(living.path().exists() && next.path().exists());
    }

    #[test]
    fn a_folder_of_somebody_else_is_neither_taken_nor_removed() {
        let owned = Folder::temporary().unwrap();
        let error = Folder::at(owned.path()).unwrap_err();
        assert!(format!("{error:#}").contains("is running"), "{error:#}");

        let strange = owned.make("strange").unwrap();
        owned.write("strange/precious", "file").unwrap();
        let error = Folder::at(&strange).unwrap_err();
        assert!(
            format!("{error:#}").contains("is no folder of a cluster"),
            "{error:#}"
        );
        assert!(strange.exists());
    }
}
