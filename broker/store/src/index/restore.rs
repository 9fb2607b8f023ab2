//! The index as a checkpoint's position says.

use super::files::{Files, SortedFile};
use super::flush::Flushed;
use super::item::ITEM_BYTES;
use super::live::{Live, covers};
use super::run::{self, ClosedRun, OpenRun};
use super::sorted::read_header;
use super::{IndexError, IndexPosition, IndexStore, Inner};
use crate::io::LogIo;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

/// What is not counted on, and goes once nothing stops the start any more.
#[derive(Default)]
pub(super) struct Beyond {
    /// Sorted files that are damaged, and go aside.
    damaged: Vec<(PathBuf, IndexError)>,
    /// Files of which nothing is needed.
    gone: Vec<PathBuf>,
    /// The open run's file, if it holds more than so many items.
    cut: Option<(PathBuf, u32)>,
    /// The log begins where the index does, or later.
    pub(super) begin: bool,
    /// Whether it was settled.
    is_done: bool,
}

/// The index as the position says. Nothing is changed before [`IndexStore::settle`], without which nothing may be flushed.
pub(super) fn look(
    io: Arc<dyn LogIo>,
    dir: &Path,
    position: &IndexPosition,
    first_run: Option<u64>,
    run_items: u32,
) -> Result<IndexStore, IndexError> {
    let files = Files::new(io, dir);
    let mut beyond = Beyond {
        gone: files.leftovers()?,
        ..Beyond::default()
    };
    let (runs, sorted) = files.all()?;
    // Where nothing is counted on all of it is made again, and what the disk does not give too.
    let is_counted_on = first_run != Some(position.run) || position.items > 0;
    let (sorted, mut superseded) = read_sorted(&files, sorted, is_counted_on, &mut beyond)?;
    let there = sorted.first().map(|file| file.header.first_run);
    let there = there.into_iter().chain(runs.iter().copied()).min();
    let first_run = first_run.unwrap_or_else(|| there.unwrap_or(position.run).min(position.run));
    let (gone, sorted) = sorted
        .into_iter()
        .partition(|file| file.header.runs().end <= first_run);
    superseded.extend::<Vec<_>>(gone);
    let closed = read_closed(&files, &runs, &sorted, first_run..position.run)?;
    let open = read_open(&files, &sorted, position)?;

    beyond
        .gone
        .extend(superseded.iter().map(|file| file.path.clone()));
    let needed = |run: &u64| closed.iter().any(|closed| closed.at.run == *run);
    for run in runs.into_iter().filter(|run| !needed(run)) {
        let path = files.run_path(run);
        if run == position.run && open.at.items > 0 && !open.at.covered {
            beyond.cut = Some((path, open.at.items));
        } else {
            beyond.gone.push(path);
        }
    }
    Ok(store(files, run_items, open, closed, sorted, beyond))
}

/// An index that begins at the position, with nothing in it. Whatever there is goes with [`IndexStore::settle`].
pub(super) fn look_at_nothing(
    io: Arc<dyn LogIo>,
    dir: &Path,
    position: &IndexPosition,
    run_items: u32,
) -> Result<IndexStore, IndexError> {
    let files = Files::new(io, dir);
    let (runs, sorted) = files.all()?;
    let mut gone = files.leftovers()?;
    gone.extend(runs.into_iter().map(|run| files.run_path(run)));
    gone.extend(sorted);
    let beyond = Beyond {
        gone,
        begin: true,
        ..Beyond::default()
    };
    let at = IndexPosition {
        covered: false,
        ..*position
    };
    let open = OpenRun::new(at, Vec::new());
    Ok(store(files, run_items, open, VecDeque::new(), Vec::new(), beyond))
}

fn store(
    files: Files,
    run_items: u32,
    open: OpenRun,
    closed: VecDeque<Arc<ClosedRun>>,
    sorted: Vec<Arc<SortedFile>>,
    beyond: Beyond,
) -> IndexStore {
    let before = open.at.run;
    let mut items: BTreeMap<u64, u32> = closed.iter().map(|run| (run.at.run, run.at.items + 1)).collect();
    items.insert(before, open.at.items);
    let inner = Inner {
        files,
        run_items,
        live: Mutex::new(Live {
            open,
            closed,
            sorted: Arc::new(sorted),
            damaged: Vec::new(),
        }),
        flushed: Mutex::new(Flushed { items, before }),
        merge: Mutex::new(None),
        blocks_read: AtomicU64::new(0),
        begin: OnceLock::new(),
        beyond: Mutex::new(beyond),
    };
    IndexStore {
        inner: Arc::new(inner),
    }
}

impl IndexStore {
    /// Takes away what files hold beyond what they were restored to. A second call does nothing.
    pub(crate) fn settle(&self) -> Result<(), IndexError> {
        let mut beyond = self.inner.beyond.lock();
        if beyond.is_done {
            return Ok(());
        }
        let files = &self.inner.files;
        let made = files.io.create_dir(&files.dir);
        made.map_err(|source| IndexError::io("create", &files.dir, source))?;
        for (path, error) in &beyond.damaged {
            files.put_aside(path, error)?;
        }
        // From here on the folder is open for syncs of the names.
        files.sync_names()?;
        beyond.gone.iter().try_for_each(|path| files.remove(path))?;
        if let Some((path, items)) = &beyond.cut {
            cut(files, path, *items)?;
        }
        if beyond.begin {
            files.remove_begins()?;
        }
        *beyond = Beyond {
            is_done: true,
            ..Beyond::default()
        };
        Ok(())
    }
}

/// The sorted files in use, by runs, and those that a file of a higher level has replaced.
#[expect(clippy::type_complexity, reason = "two lists of one kind")]
fn read_sorted(
    files: &Files,
    paths: Vec<PathBuf>,
    is_counted_on: bool,
    beyond: &mut Beyond,
) -> Result<(Vec<Arc<SortedFile>>, Vec<Arc<SortedFile>>), IndexError> {
    let mut found = Vec::new();
    for path in paths {
        match read_header(&*files.io, &path) {
            Ok(header) if files.sorted_path(&header) == path => {
                found.push(Arc::new(SortedFile { header, path }))
            }
            Ok(_) => {
                let error = IndexError::Damaged {
                    path: path.clone(),
                    offset: 0,
                };
                beyond.damaged.push((path, error));
            }
            Err(error @ IndexError::Damaged { .. }) => beyond.damaged.push((path, error)),
            Err(error) if error.is_not_given() && !is_counted_on => beyond.damaged.push((path, error)),
            // What the disk does not give back may be whole, and is no damage.
            Err(error) => return Err(error),
        }
    }
    found.sort_by_key(|file| (file.header.first_run, std::cmp::Reverse(file.header.runs)));
    let (mut used, mut superseded) = (Vec::<Arc<SortedFile>>::new(), Vec::new());
    for file in found {
        let covered_to = used.last().map_or(0, |last| last.header.runs().end);
        if file.header.first_run >= covered_to {
            used.push(file);
        } else {
            superseded.push(file);
        }
    }
    Ok((used, superseded))
}

/// The counted runs, those before the open one, that no sorted file holds.
fn read_closed(
    files: &Files,
    runs: &[u64],
    sorted: &[Arc<SortedFile>],
    counted: Range<u64>,
) -> Result<VecDeque<Arc<ClosedRun>>, IndexError> {
    let mut closed = VecDeque::new();
    let mut run = counted.start;
    while run < counted.end {
        if let Some(file) = sorted.iter().find(|file| file.header.runs().contains(&run)) {
            run = file.header.runs().end;
            continue;
        }
        let missing = || IndexError::Missing {
            folder: files.dir.clone(),
            run,
        };
        if !runs.contains(&run) {
            return Err(missing());
        }
        let read = run::read_closed(&*files.io, &files.run_path(run), run)?;
        closed.push_back(Arc::new(read.ok_or_else(missing)?));
        run += 1;
    }
    Ok(closed)
}

fn read_open(
    files: &Files,
    sorted: &[Arc<SortedFile>],
    position: &IndexPosition,
) -> Result<OpenRun, IndexError> {
    if covers(sorted, position.run) {
        let at = IndexPosition {
            covered: true,
            crc: 0,
            ..*position
        };
        return Ok(OpenRun::new(at, Vec::new()));
    }
    if position.items == 0 {
        return Ok(OpenRun::new(
            IndexPosition {
                covered: false,
                crc: 0,
                ..*position
            },
            Vec::new(),
        ));
    }
    let missing = || IndexError::Missing {
        folder: files.dir.clone(),
        run: position.run,
    };
    if position.covered {
        return Err(missing());
    }
    let read = run::read_open(&*files.io, &files.run_path(position.run), position)?;
    read.ok_or_else(missing)
}

/// Cuts off what replay will add again.
fn cut(files: &Files, path: &Path, items: u32) -> Result<(), IndexError> {
    let failed = |source| IndexError::io("cut", path, source);
    let file = files.io.open(path).map_err(failed)?;
    file.set_len(u64::from(items) * ITEM_BYTES as u64).map_err(failed)
}

/// The sorted files that hold `run` or later ones. What is added to these runs anew must be what it was, or the files must go.
pub(crate) fn sorted_files_from(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    run: u64,
) -> Result<Vec<PathBuf>, IndexError> {
    let files = Files::new(Arc::clone(io), dir);
    let (_, sorted) = files.all()?;
    let mut found = Vec::new();
    for path in sorted {
        match read_header(&*files.io, &path) {
            Ok(header) if header.runs().end > run => found.push(path),
            Ok(_) => {}
            // The start puts it aside.
            Err(IndexError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Fault, FaultyIo};
    use sluice_core::ids::PhysicalOffset;

    const DIR: &str = "/index";
    const RUN: u32 = 20;

    /// An index of sorted files and an open run, and where it stands.
    fn made(io: &FaultyIo) -> IndexPosition {
        let index = IndexStore::restore_sized(
            Arc::new(io.clone()),
            Path::new(DIR),
            &IndexPosition::default(),
            RUN,
        );
        let index = index.unwrap();
        for n in 0..u64::from(RUN) * 6 + 7 {
            index.append(n, PhysicalOffset(n * 64), n);
        }
        let position = index.position();
        index.flush(&position).unwrap();
        while index.background_step().unwrap() {}
        io.sync_all_files(Path::new(DIR)).unwrap();
        position
    }

    #[test]
    fn a_file_that_the_disk_does_not_give_back_ends_the_start_and_stays_as_it_is() {
        let io = FaultyIo::new(0);
        let position = made(&io);
        let names = io.list(Path::new(DIR)).unwrap();
        let has = |suffix: &str| names.iter().any(|name| name.to_str().unwrap().ends_with(suffix));
        assert!(has(".idx") && has(".run"), "{names:?}");
        for path in names.iter().map(|name| Path::new(DIR).join(name)) {
            let io = io.crash_keeping_all();
            io.plant(Fault::ReadError {
                path: path.clone(),
                range: 0..1,
            });
            let handle: Arc<dyn LogIo> = Arc::new(io.clone());
            let restore = || IndexStore::restore_sized(Arc::clone(&handle), Path::new(DIR), &position, RUN);
            let error = restore().err().unwrap();
            assert!(!error.is_missing(), "{error}");
            let said = error.to_string();
            assert!(
                said.contains(path.to_str().unwrap()) && said.contains("cannot read"),
                "{said}"
            );
            assert_eq!(io.list(Path::new(DIR)).unwrap(), names);
            if path.extension().is_some_and(|extension| extension == "idx") {
                let repair = sorted_files_from(&handle, Path::new(DIR), 0).unwrap_err();
                assert_eq!(repair.to_string(), said);
            }
            io.lift_read_errors();
            assert_eq!(restore().unwrap().position(), position, "it was whole");
        }
    }
}
