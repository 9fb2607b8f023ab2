//! What is left of a file system after a crash.

use super::MemoryDisk;
use super::content::Content;
use super::names::Names;
use parking_lot::Mutex;
use sluice_core::hash::mix;
use std::path::Path;
use std::sync::Arc;

/// What survives a crash of what no sync has covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::io::faulty) enum Survive {
    Nothing,
    Everything,
    Part { seed: u64 },
}

/// Yes or no, again and again, with a chance that differs from seed to seed.
pub(super) struct Coin {
    random: u64,
    percent: u64,
}

impl Coin {
    pub(super) fn keep(&mut self) -> bool {
        self.random = mix(self.random, 1);
        self.random % 100 < self.percent
    }
}

impl MemoryDisk {
    /// What a restart finds.
    pub(in crate::io::faulty) fn crash(&self, survive: Survive) -> Self {
        let sure = |percent| Coin { random: 0, percent };
        let (mut coin, all) = match survive {
            Survive::Nothing => (sure(0), false),
            Survive::Everything => (sure(100), true),
            Survive::Part { seed } => {
                let random = mix(seed, 0);
                let percent = [10, 50, 90, 98][(random % 4) as usize];
                (Coin { random, percent }, false)
            }
        };
        let names = self.names.lock();
        let mut after = Names::default();
        for (path, file) in &names.survivors(&mut coin) {
            let content = if all {
                file.lock().current.clone()
            } else {
                file.lock().survivor(&mut coin)
            };
            let file = Arc::new(Mutex::new(Content {
                durable: content.clone(),
                current: content,
                pending: Vec::new(),
                lost: false,
            }));
            after
                .folders
                .extend(path.ancestors().skip(1).map(Path::to_path_buf));
            after.current.insert(path.clone(), file);
        }
        let folders = names.folders.iter();
        after.folders.extend(
            folders
                .filter(|path| names.durable_folders.contains(*path) || coin.keep())
                .cloned(),
        );
        // A folder that is there has those above it.
        let above: Vec<_> = after
            .folders
            .iter()
            .flat_map(|path| path.ancestors().map(Path::to_path_buf))
            .collect();
        after.folders.extend(above);
        after.durable = after.current.clone();
        after.durable_folders = after.folders.clone();
        Self {
            names: Mutex::new(after),
        }
    }
}
