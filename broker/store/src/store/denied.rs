//! A start over files that this process may not use says whose they are, and what to do.

use super::StoreError;
use crate::checkpoint::CheckpointError;
use crate::index::IndexError;
use crate::log::{LogError, ReadError};
use crate::queue::QueueError;
use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The error of a start, with the user to whom belongs what the system has refused in the store's folder `dir`. Others stay as they are.
pub(super) fn with_owner(dir: &Path, error: StoreError) -> StoreError {
    let Some((path, source)) = of_the_system(&error) else {
        return error;
    };
    if source.kind() != ErrorKind::PermissionDenied {
        return error;
    }
    let own = rustix::process::geteuid().as_raw();
    let way_on = way_on(own, dir, closed(own, dir, path));
    let error = match error {
        // The disk is not to blame, and no file is to be moved away.
        StoreError::Checkpoint(CheckpointError::Unreadable { path, source }) => {
            StoreError::Checkpoint(CheckpointError::io("read", &path, source))
        }
        StoreError::Index(IndexError::Unread { path, source }) => StoreError::Index(IndexError::Io {
            action: "read",
            path,
            source,
        }),
        error => error,
    };
    let error = Box::new(error);
    StoreError::Denied { error, way_on }
}

/// What the system has refused, and of which file or folder.
fn of_the_system(error: &StoreError) -> Option<(&Path, &io::Error)> {
    match error {
        StoreError::Log(LogError::Io { path, source, .. })
        | StoreError::Log(LogError::Read(ReadError::Io {
            file: path, source, ..
        }))
        | StoreError::Checkpoint(
            CheckpointError::Io { path, source, .. } | CheckpointError::Unreadable { path, source },
        )
        | StoreError::Queue(QueueError::Io { path, source, .. })
        | StoreError::Index(IndexError::Io { path, source, .. } | IndexError::Unread { path, source }) => {
            Some((path, source))
        }
        _ => None,
    }
}

/// What keeps this process out, and its owner: the path, or a folder on the way to it in `dir`, of another user if there is one.
fn closed(own: u32, dir: &Path, path: &Path) -> Option<(PathBuf, u32)> {
    let within = path.ancestors().take_while(|path| path.starts_with(dir));
    let owner = |path: &Path| {
        let found: Option<Metadata> = std::fs::metadata(path).ok();
        found.map(|found| (path.to_owned(), found.uid()))
    };
    let found: Vec<_> = within.filter_map(owner).collect();
    let others = found.iter().find(|(_, owner)| *owner != own);
    others.or_else(|| found.first()).cloned()
}

fn way_on(own: u32, dir: &Path, closed: Option<(PathBuf, u32)>) -> String {
    let dir = dir.display();
    match closed {
        Some((path, owner)) if owner != own => format!(
            "{} belongs to user {owner}, and this process runs as user {own}: run the broker as user {owner}, or give the files to its user (`chown -R {own} {dir}`)",
            path.display()
        ),
        Some((path, _)) => format!(
            "{} belongs to the user of this process ({own}), but its mode or its attributes do not let it do that: `ls -ld` and `lsattr -d` show them",
            path.display()
        ),
        None => format!("run the broker as the user to whom the files in {dir} belong"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(path: &Path) -> StoreError {
        StoreError::Log(LogError::io("list", path)(ErrorKind::PermissionDenied.into()))
    }

    #[test]
    fn what_belongs_to_another_user_is_named_with_both_users_and_the_two_ways() {
        let dir = Path::new("/data/broker-a");
        let said = way_on(65532, dir, Some((dir.join("log"), 0)));
        assert_eq!(
            said,
            "/data/broker-a/log belongs to user 0, and this process runs as user 65532: run the broker as user 0, or give the files to its user \
             (`chown -R 65532 /data/broker-a`)"
        );
        let said = way_on(7, dir, Some((dir.join("lock"), 7)));
        assert!(
            said.starts_with("/data/broker-a/lock belongs to the user of this process (7)"),
            "{said}"
        );
        assert!(way_on(7, dir, None).contains("as the user to whom the files in /data/broker-a belong"));
    }

    #[test]
    fn a_folder_of_another_user_is_blamed_before_what_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let (log, me) = (dir.path().join("log"), rustix::process::geteuid().as_raw());
        std::fs::create_dir(&log).unwrap();
        let gone = log.join("00000000000000000000.seg");
        assert_eq!(closed(me, dir.path(), &gone), Some((log.clone(), me)));
        // To whoever is somebody else.
        assert_eq!(closed(me + 1, dir.path(), &gone), Some((log, me)));
    }

    #[test]
    fn only_what_the_system_has_denied_is_said_to_be_somebodys() {
        let dir = tempfile::tempdir().unwrap();
        let said = with_owner(dir.path(), denied(&dir.path().join("log"))).to_string();
        let begins = format!(
            "cannot list {}: permission denied: ",
            dir.path().join("log").display()
        );
        assert!(said.starts_with(&begins) && said.contains("belongs to"), "{said}");
        let (path, source) = (dir.path().join("a"), || ErrorKind::PermissionDenied.into());
        let checkpoint = CheckpointError::Unreadable {
            path: path.clone(),
            source: source(),
        };
        let index = IndexError::Unread {
            path,
            source: source(),
        };
        for unreadable in [StoreError::Checkpoint(checkpoint), StoreError::Index(index)] {
            let said = with_owner(dir.path(), unreadable).to_string();
            assert!(!said.contains("away") && said.contains("belongs to"), "{said}");
        }
        let full = StoreError::Log(LogError::io("create", dir.path())(ErrorKind::StorageFull.into()));
        assert!(!with_owner(dir.path(), full).to_string().contains("belongs"));
    }
}
