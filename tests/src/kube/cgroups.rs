//! The control groups of a cluster's pods: one of our own for each cluster, so that two do not disturb each other, and
//! what is left of one can be told from what is not ours.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::wait;

const ROOT: &str = "/sys/fs/cgroup";
/// All clusters' groups are in it.
const ABOVE: &str = "sluice";
/// Of the second version, where there is one tree instead of one for each controller.
const ONE_TREE: &str = "cgroup.controllers";
/// What ends moments ago still holds its group.
const REMOVED_WITHIN: Duration = Duration::from_secs(10);

/// What the group of the cluster in this folder is called. Folders of the same name lie in different places.
#[must_use]
pub fn of(folder: &Path) -> String {
    let path = folder.as_os_str().as_encoded_bytes();
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    format!("{name}-{:08x}", crc32fast::hash(path))
}

/// The name that the kubelet is given.
#[must_use]
pub fn path(folder: &Path) -> String {
    format!("/{ABOVE}/{}", of(folder))
}

/// Makes the group, which the kubelet expects to be there.
///
/// # Errors
/// When this process may not.
pub fn make(folder: &Path) -> Result<()> {
    let cluster = of(folder);
    for tree in trees()? {
        let group = tree.join(ABOVE).join(&cluster);
        fs::create_dir_all(&group).with_context(|| format!("cannot make {}", group.display()))?;
        if tree.join(ONE_TREE).is_file() {
            hand_down_controllers(&tree, &[&tree.join(ABOVE), &group])?;
        } else if tree.ends_with("cpuset") {
            // A group of this controller takes no process before it has processors and memory.
            for group in [tree.join(ABOVE), group] {
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    fs::write(group.join(file), fs::read(tree.join(file))?)?;
                }
            }
        }
    }
    Ok(())
}

/// Of the second version: a group has only those controllers that the one above hands down.
fn hand_down_controllers(root: &Path, groups: &[&PathBuf]) -> Result<()> {
    let controllers = fs::read_to_string(root.join(ONE_TREE))?;
    for group in std::iter::once(root).chain(groups.iter().map(|group| group.as_path())) {
        for controller in controllers.split_whitespace() {
            // Some cannot be handed down everywhere; the kubelet says which it misses.
            let _ = fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
    Ok(())
}

/// Removes the group of a cluster whose processes have ended; nothing where there is none.
///
/// # Errors
/// When something still lives in it.
pub fn remove(folder: &Path) -> Result<()> {
    let cluster = of(folder);
    for tree in trees()? {
        let group = tree.join(ABOVE).join(&cluster);
        if group.is_dir() {
            wait::until(
                &format!("the control group {} can be removed", group.display()),
                REMOVED_WITHIN,
                || Ok(Some(remove_tree(&group)?)),
            )?;
            // Of the last cluster; others may still have theirs in it.
            let _ = fs::remove_dir(tree.join(ABOVE));
        }
    }
    Ok(())
}

/// The files in a group are no files to remove: the folders go, the innermost first.
fn remove_tree(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}

/// The folder of each controller, or the one that has all.
fn trees() -> Result<Vec<PathBuf>> {
    let root = Path::new(ROOT);
    if root.join(ONE_TREE).is_file() {
        return Ok(vec![root.to_owned()]);
    }
    let mut trees = Vec::new();
    let Ok(entries) = fs::read_dir(root) else {
        // A machine without them runs no pods, and has nothing to remove.
        return Ok(trees);
    };
    for entry in entries {
        let path = entry?.path();
        // `cpu` is often a link to `cpu,cpuacct`, which is one tree.
        if path.is_dir() && !path.is_symlink() {
            trees.push(path);
        }
    }
    Ok(trees)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_one_name_have_different_groups() {
        let groups = ["/a/target/kube", "/b/target/kube"].map(|folder| of(Path::new(folder)));
        assert_ne!(groups[0], groups[1]);
        assert!(groups[0].starts_with("kube-"), "{groups:?}");
    }
}
