//! A limit on a process's memory by a control group, of either version.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::wait;

const ROOT: &str = "/sys/fs/cgroup";
/// Of the second version, where there is one tree instead of one for each controller.
const ONE_TREE: &str = "cgroup.controllers";
/// All groups of the suites are in it.
const ABOVE: &str = "sluice";
/// What ends moments ago still holds its group.
const REMOVED_WITHIN: Duration = Duration::from_secs(10);

/// A control group with a limit. Dropping it removes it; its processes must have ended.
#[derive(Debug)]
pub struct MemoryLimit {
    group: PathBuf,
    is_of_one_tree: bool,
}

impl MemoryLimit {
    /// Makes a group whose processes have so many bytes in all, page cache included.
    ///
    /// # Errors
    /// When this process may not: it takes root, and a control group file system that can be written.
    pub fn of(bytes: u64) -> Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let root = Path::new(ROOT);
        let is_of_one_tree = root.join(ONE_TREE).is_file();
        let above = if is_of_one_tree {
            root.to_owned()
        } else {
            root.join("memory")
        }
        .join(ABOVE);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let group = above.join(format!("limit-{}-{number}", std::process::id()));
        fs::create_dir_all(&group)
            .with_context(|| format!("cannot make the control group {}: root may", group.display()))?;
        let limit = Self {
            group,
            is_of_one_tree,
        };
        let files = if is_of_one_tree {
            for folder in [root, above.as_path()] {
                // Where it is handed down already, that is all there is to it; the limit's file says whether it is.
                let _ = fs::write(folder.join("cgroup.subtree_control"), "+memory");
            }
            // No swap: what is beyond the limit is to end.
            [("memory.max", bytes), ("memory.swap.max", 0)]
        } else {
            [("memory.limit_in_bytes", bytes), ("memory.swappiness", 0)]
        };
        for (file, value) in files {
            let path = limit.group.join(file);
            let written = fs::write(&path, value.to_string());
            if file == "memory.swap.max" && !path.exists() {
                continue;
            }
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(limit)
    }

    /// What a program is started by so that it is in the group from the first.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let enter = format!(
            "echo $$ > '{}' && exec \"$@\"",
            self.group.join("cgroup.procs").display()
        );
        ["sh", "-c", &enter, "sh"].map(str::to_owned).into()
    }

    /// How many processes were killed for want of memory.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn kills(&self) -> Result<u64> {
        let file = if self.is_of_one_tree {
            "memory.events"
        } else {
            "memory.oom_control"
        };
        let text =
            fs::read_to_string(self.group.join(file)).with_context(|| format!("cannot read {file}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        let count = line.with_context(|| format!("{file} has no oom_kill: {text}"))?;
        Ok(count.trim().parse()?)
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        let removed = wait::until("the control group can be removed", REMOVED_WITHIN, || {
            Ok(Some(fs::remove_dir(&self.group)?))
        });
        if let Err(error) = removed {
            eprintln!("{} stays: {error:#}", self.group.display());
        }
        // Of the last one; others may still have theirs in it.
        let _ = self.group.parent().map(fs::remove_dir);
    }
}
