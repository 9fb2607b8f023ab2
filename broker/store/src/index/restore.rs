//! The index as a checkpoint's position says.

use super::files::{Files, SortedFile};
use super::item::ITEM_BYTES;
use super::run::{self, ClosedRun, OpenRun};
use super::sorted::read_header;
use super::{Flushed, IndexError, IndexPosition, IndexStore, Inner, Live, covers};
use crate::io::LogIo;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

pub(super) fn restore(
    io: Arc<dyn LogIo>,
    dir: &Path,
    position: &IndexPosition,
    first_run: Option<u64>,
    run_items: u32,
) -> Result<IndexStore, IndexError> {
    io.create_dir(dir)
        .map_err(|source| IndexError::io("create", dir, source))?;
    let files = Files::new(io, dir);
    files.remove_leftovers()?;
    let (runs, sorted) = files.all()?;
    let (sorted, mut superseded) = read_sorted(&files, sorted)?;
    let there = sorted.first().map(|file| file.header.first_run);
    let there = there.into_iter().chain(runs.iter().copied()).min();
    let first_run = first_run.unwrap_or_else(|| there.unwrap_or(position.run).min(position.run));
    let (gone, sorted) = sorted
        .into_iter()
        .partition(|file| file.header.runs().end <= first_run);
    superseded.extend::<Vec<_>>(gone);
    let closed = read_closed(&files, &runs, &sorted, first_run..position.run)?;
    let open = read_open(&files, &sorted, position)?;

    // Nothing is missing. From here on files change, and the folder is open for syncs of their names.
    files.sync_names()?;
    superseded.iter().try_for_each(|file| files.remove(&file.path))?;
    let needed = |run: &u64| closed.iter().any(|closed| closed.at.run == *run);
    for run in runs.into_iter().filter(|run| !needed(run)) {
        if run == position.run && open.at.items > 0 && !open.at.covered {
            cut(&files, &files.run_path(run), open.at.items)?;
        } else {
            files.remove(&files.run_path(run))?;
        }
    }
    let mut items: BTreeMap<u64, u32> = closed.iter().map(|run| (run.at.run, run.at.items + 1)).collect();
    items.insert(position.run, open.at.items);
    let inner = Inner {
        files,
        run_items,
        live: Mutex::new(Live {
            open,
            closed,
            sorted: Arc::new(sorted),
            damaged: Vec::new(),
        }),
        flushed: Mutex::new(Flushed {
            items,
            before: position.run,
        }),
        merge: Mutex::new(None),
        blocks_read: AtomicU64::new(0),
        begin: OnceLock::new(),
    };
    Ok(IndexStore {
        inner: Arc::new(inner),
    })
}

/// The sorted files in use, by runs, and those that a file of a higher level has replaced.
#[expect(clippy::type_complexity, reason = "two lists of one kind")]
fn read_sorted(
    files: &Files,
    paths: Vec<std::path::PathBuf>,
) -> Result<(Vec<Arc<SortedFile>>, Vec<Arc<SortedFile>>), IndexError> {
    let mut found = Vec::new();
    for path in paths {
        match read_header(&*files.io, &path) {
            Ok(header) if files.sorted_path(&header) == path => {
                found.push(Arc::new(SortedFile { header, path }))
            }
            Ok(_) => files.put_aside(
                &path,
                &IndexError::Damaged {
                    path: path.clone(),
                    offset: 0,
                },
            )?,
            Err(error) => files.put_aside(&path, &error)?,
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
) -> Result<Vec<std::path::PathBuf>, IndexError> {
    let files = Files::new(Arc::clone(io), dir);
    let (_, sorted) = files.all()?;
    let mut found = Vec::new();
    for path in sorted {
        // What cannot be read is put aside by the start.
        if read_header(&*files.io, &path).is_ok_and(|header| header.runs().end > run) {
            found.push(path);
        }
    }
    Ok(found)
}
