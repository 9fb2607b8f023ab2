//! The names of files: which are durable, and what no sync of a folder has covered.

use super::Inode;
use super::crash::Coin;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Clone)]
pub(super) enum NameChange {
    Create { path: PathBuf, file: Inode },
    Rename { from: PathBuf, to: PathBuf, file: Inode },
    Remove { path: PathBuf, file: Inode },
}

#[derive(Default)]
pub(super) struct Names {
    pub(super) durable: BTreeMap<PathBuf, Inode>,
    pub(super) current: BTreeMap<PathBuf, Inode>,
    pub(super) pending: Vec<NameChange>,
    pub(super) folders: BTreeSet<PathBuf>,
    pub(super) durable_folders: BTreeSet<PathBuf>,
}

impl Names {
    pub(super) fn survivors(&self, coin: &mut Coin) -> BTreeMap<PathBuf, Inode> {
        let mut names = self.durable.clone();
        let (mut lost_paths, mut lost_files) = (BTreeSet::new(), Vec::<Inode>::new());
        for change in &self.pending {
            let lost = change.paths().iter().any(|path| lost_paths.contains(*path))
                || lost_files.iter().any(|file| Arc::ptr_eq(file, change.file()));
            if !lost && coin.keep() {
                change.apply(&mut names);
            } else {
                lost_paths.extend(change.paths());
                lost_files.push(Arc::clone(change.file()));
            }
        }
        names
    }
}

impl NameChange {
    fn file(&self) -> &Inode {
        match self {
            Self::Create { file, .. } | Self::Rename { file, .. } | Self::Remove { file, .. } => file,
        }
    }

    pub(super) fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Create { path, .. } | Self::Remove { path, .. } => vec![path],
            Self::Rename { from, to, .. } => vec![from, to],
        }
    }

    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, Inode>) {
        match self {
            Self::Create { path, file } => {
                names.insert(path.clone(), Arc::clone(file));
            }
            Self::Rename { from, to, file } => {
                names.remove(from);
                names.insert(to.clone(), Arc::clone(file));
            }
            Self::Remove { path, .. } => {
                names.remove(path);
            }
        }
    }
}
