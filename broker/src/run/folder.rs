//! The broker's folder before it is opened: whether anything is in it. A new, empty broker is made where nothing is, and whoever has named
//! the wrong folder, or has not mounted the disk, must hear of that.

use anyhow::bail;
use std::fs;
use std::path::{Path, PathBuf};

/// Either of these stands in every broker's folder.
const META: [&str; 2] = ["meta.a", "meta.b"];
/// What a broker leaves nowhere else, and nobody needs: of a broker that was here, the rest has gone.
const RESERVE: &str = "reserve";

/// What stood there before the start.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Folder {
    path: PathBuf,
    is_new: bool,
    /// Whether the rest of one stands there.
    had_broker: bool,
    /// Other brokers' folders in the data folder.
    beside: Vec<String>,
}

impl Folder {
    /// Looks at the folder of the broker of this name. An error if the data folder is itself one of a broker.
    pub(super) fn look(data_dir: &Path, name: &str) -> anyhow::Result<Self> {
        if is_of_a_broker(data_dir) {
            bail!(
                "{} is itself the folder of a broker, and another one would be made in it: give the folder above it as --data-dir, and its own name, if that is not {name}, as --broker-name",
                data_dir.display()
            );
        }
        let path = data_dir.join(name);
        let entries = fs::read_dir(data_dir).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.path() != path && is_of_a_broker(&entry.path()));
        let mut beside: Vec<_> = folders
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        beside.sort_unstable();
        Ok(Self {
            is_new: !is_of_a_broker(&path),
            had_broker: path.join(RESERVE).exists(),
            beside,
            path,
        })
    }

    /// Says that a new broker was made, if it was.
    pub(super) fn tell(&self) {
        let folder = self.path.display();
        if !self.is_new {
            return;
        }
        if self.had_broker {
            tracing::warn!(%folder, "a new, empty broker was made where one has been of which nothing but the file `reserve` was left: if its messages are wanted, stop this one and bring the folder back from a backup");
        } else if self.beside.is_empty() {
            tracing::info!(%folder, "there was no broker in this folder: a new, empty one was made");
        } else {
            let beside = self.beside.join(", ");
            tracing::warn!(%folder, beside, "there was no broker in this folder: a new, empty one was made. Other brokers' folders stand beside it: --broker-name says which one is meant");
        }
    }
}

fn is_of_a_broker(folder: &Path) -> bool {
    META.iter().any(|name| folder.join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        dir
    }

    fn look(names: &[&str]) -> (bool, bool, Vec<String>) {
        let dir = made(names);
        let folder = Folder::look(dir.path(), "broker-a").unwrap();
        assert_eq!(folder.path, dir.path().join("broker-a"));
        (folder.is_new, folder.had_broker, folder.beside)
    }

    #[test]
    fn a_folder_with_one_of_the_meta_files_is_no_new_one() {
        for meta in ["broker-a/meta.a", "broker-a/meta.b"] {
            assert_eq!(look(&[meta, "broker-a/reserve"]), (false, true, vec![]));
        }
        assert_eq!(look(&[]), (true, false, vec![]));
        assert_eq!(look(&["tls.key"]), (true, false, vec![]));
    }

    #[test]
    fn what_is_left_of_a_broker_and_others_beside_it_are_seen() {
        assert_eq!(look(&["broker-a/reserve", "broker-a/lock"]), (true, true, vec![]));
        let others = vec!["broker-b".to_owned(), "broker-c".to_owned()];
        let names = ["broker-c/meta.b", "broker-b/meta.a", "else/file"];
        assert_eq!(look(&names), (true, false, others));
    }

    #[test]
    fn a_brokers_own_folder_is_refused_as_a_data_folder() {
        let dir = made(&["broker-a/meta.a"]);
        let refused = Folder::look(&dir.path().join("broker-a"), "broker-a").unwrap_err();
        let said = refused.to_string();
        assert!(
            said.contains("is itself the folder of a broker") && said.contains("--data-dir"),
            "{said}"
        );
        // Of a data folder that is not there yet nothing is wrong.
        assert!(Folder::look(&dir.path().join("new"), "broker-a").unwrap().is_new);
    }
}
