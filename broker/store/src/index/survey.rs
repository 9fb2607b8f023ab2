//! Index files as they stand. Nothing is written.

use super::block::{BLOCK_BYTES, Block};
use super::files::{Files, SortedFile};
use super::item::{ITEM_BYTES, Item};
use super::live::slice_of;
use super::sorted::read_header;
use super::{IndexError, IndexPosition, RUN_ITEMS, run};
use crate::io::LogIo;
use crate::survey::Findings;
use sluice_core::hash::mix;
use sluice_core::ids::{PhysicalOffset, TimeMs};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexSurvey {
    /// Files of runs that are not sorted yet.
    pub runs: u64,
    /// Sorted files.
    pub sorted: u64,
    /// Items in all of them.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What runs must hold, as sums: made item by item while the log is folded.
#[derive(Default)]
pub(crate) struct RunSums {
    /// The open run; `None` before the fold has begun.
    open: Option<RunSum>,
    closed: BTreeMap<u64, RunSum>,
}

#[derive(Clone, Copy)]
struct RunSum {
    at: IndexPosition,
    /// Over the items in any order.
    sum: u64,
    /// Whether its first item was seen.
    is_whole: bool,
}

impl RunSums {
    pub(crate) fn begin_at_the_start(&mut self) {
        self.begin_at(&IndexPosition::default());
    }

    pub(crate) fn begin_at(&mut self, position: &IndexPosition) {
        self.open = Some(RunSum {
            at: *position,
            sum: 0,
            is_whole: position.items == 0,
        });
    }

    /// Adds an item, as [`super::IndexStore::append`] does.
    pub(crate) fn item(&mut self, hash: u64, physical: PhysicalOffset, time: TimeMs) {
        let slice = slice_of(time);
        if self
            .open
            .is_some_and(|open| open.at.items > 0 && open.at.slice != slice)
        {
            self.close();
        }
        let Some(open) = &mut self.open else { return };
        if open.at.items == 0 && open.at.slice != slice {
            (open.at.slice, open.at.slice_start) = (slice, open.at.run);
        }
        let item = Item { hash, physical, time };
        open.at.items += 1;
        open.at.crc = crc32c::crc32c_append(open.at.crc, &item.encode());
        open.sum = open.sum.wrapping_add(number(&item));
        if open.at.items == RUN_ITEMS {
            self.close();
        }
    }

    /// A segment starts here, as [`super::IndexStore::start_segment`] has it.
    pub(crate) fn start_segment(&mut self) {
        if self.open.is_some_and(|open| open.at.items > 0) {
            self.close();
        }
        if let Some(open) = &mut self.open {
            open.at.slice_start = open.at.run;
        }
    }

    fn close(&mut self) {
        let Some(closed) = self.open.take() else { return };
        self.closed.insert(closed.at.run, closed);
        self.begin_at(&IndexPosition {
            run: closed.at.run + 1,
            items: 0,
            crc: 0,
            ..closed.at
        });
    }

    /// Whether the index stands there, after the items so far.
    pub(crate) fn stand_at(&self, position: &IndexPosition) -> bool {
        self.open.is_none_or(|open| {
            let place = |at: &IndexPosition| (at.run, at.items, at.slice, at.slice_start);
            // Where a segment starts, a checkpoint may have come before that was known.
            let stands = |at: IndexPosition| {
                // The items of a covered run are only counted.
                place(&at) == place(position)
                    && (position.covered || !open.is_whole || at.crc == position.crc)
            };
            let begins_anew = place(&open.at) == place(&position.at_segment_start());
            stands(open.at) || stands(open.at.at_segment_start()) || begins_anew
        })
    }
}

/// Of an item, so that sums of different items hardly ever agree.
fn number(item: &Item) -> u64 {
    mix(mix(item.hash, item.physical.0), item.time)
}

/// Looks at the `index` folder. `position` is where the newest checkpoint has the index, `first_run` where the
/// checkpoint at the log's start has it, `sums` what the log gives.
pub(crate) fn survey(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    position: Option<&IndexPosition>,
    first_run: u64,
    sums: Option<&RunSums>,
    everything: bool,
    findings: &mut Findings,
) -> Result<IndexSurvey, IndexError> {
    let files = Files::new(Arc::clone(io), dir);
    let (runs, paths) = files.all()?;
    let mut looking = Looking {
        files: &files,
        sums,
        everything,
        // With no checkpoint nothing tells which run was open: it can be none but the last.
        open: runs.iter().copied().max().filter(|_| position.is_none()),
        survey: IndexSurvey::default(),
        sorted: Vec::new(),
    };
    for path in &paths {
        looking.sorted(path, findings)?;
    }
    for run in &runs {
        looking.run(*run, position, findings)?;
    }
    let needed = first_run..position.map_or(0, |position| position.run);
    for run in needed.filter(|run| !runs.contains(run) && !looking.is_sorted(*run)) {
        findings.derived(
            dir,
            0,
            format!("it lacks run {run}, which the newest checkpoint counts on"),
        );
    }
    Ok(looking.survey)
}

struct Looking<'a> {
    files: &'a Files,
    sums: Option<&'a RunSums>,
    everything: bool,
    /// The run that may not have been closed yet, though no checkpoint says so.
    open: Option<u64>,
    survey: IndexSurvey,
    sorted: Vec<SortedFile>,
}

impl Looking<'_> {
    fn is_sorted(&self, run: u64) -> bool {
        self.sorted.iter().any(|file| file.header.runs().contains(&run))
    }

    fn sum(&self, run: u64) -> Option<&RunSum> {
        self.sums?.closed.get(&run).filter(|sum| sum.is_whole)
    }

    fn sorted(&mut self, path: &Path, findings: &mut Findings) -> Result<(), IndexError> {
        let header = match read_header(&*self.files.io, path) {
            Ok(header) => header,
            Err(IndexError::Damaged { offset, .. }) => {
                findings.derived(path, offset, "its header is damaged, or the file is cut off");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if self.files.sorted_path(&header) != path {
            findings.derived(path, 0, "it says that it is another file");
            return Ok(());
        }
        self.survey.sorted += 1;
        self.survey.items += header.items;
        self.survey.bytes += u64::from(header.blocks) * BLOCK_BYTES as u64;
        let file = SortedFile {
            header,
            path: path.to_owned(),
        };
        if self.everything {
            self.blocks(&file, findings)?;
        }
        self.sorted.push(file);
        Ok(())
    }

    /// Reads every block of a sorted file.
    fn blocks(&self, file: &SortedFile, findings: &mut Findings) -> Result<(), IndexError> {
        let mut blocks = self.files.blocks(file)?;
        let (mut count, mut sum, mut sound) = (0, 0_u64, true);
        let mut last: Option<Item> = None;
        for number_of_block in 1..file.header.blocks {
            let items = match blocks.block(number_of_block) {
                Ok(Block::Items(items)) => items,
                Ok(Block::Fences { .. }) => continue,
                Err(IndexError::Damaged { path, offset }) => {
                    findings.derived(&path, offset, format!("block {number_of_block} is damaged"));
                    sound = false;
                    continue;
                }
                Err(error) => return Err(error),
            };
            count += items.len() as u64;
            sum = items.iter().fold(sum, |sum, item| sum.wrapping_add(number(item)));
            let in_order = last.iter().chain(&items).is_sorted();
            last = items.last().copied();
            if !in_order {
                let offset = u64::from(number_of_block) * BLOCK_BYTES as u64;
                findings.derived(
                    &file.path,
                    offset,
                    format!("the items of block {number_of_block} are not in order"),
                );
                sound = false;
            }
        }
        if sound && count != file.header.items {
            findings.derived(
                &file.path,
                52,
                format!("it holds {count} items, not {}", file.header.items),
            );
        } else if sound && !self.is_as_folded(file, sum) {
            findings.derived(
                &file.path,
                0,
                "its items are whole, but not those that the log gives",
            );
        }
        Ok(())
    }

    /// Whether the items are those of the runs, where these are known.
    fn is_as_folded(&self, file: &SortedFile, found: u64) -> bool {
        let mut sum = 0_u64;
        let mut items = 0;
        for run in file.header.runs() {
            let Some(of_run) = self.sum(run) else { return true };
            sum = sum.wrapping_add(of_run.sum);
            items += u64::from(of_run.at.items);
            if (of_run.at.slice, of_run.at.slice_start) != (file.header.slice, file.header.slice_start) {
                return false;
            }
        }
        (sum, items) == (found, file.header.items)
    }

    fn run(
        &mut self,
        run: u64,
        position: Option<&IndexPosition>,
        findings: &mut Findings,
    ) -> Result<(), IndexError> {
        let path = self.files.run_path(run);
        let Some(bytes) = run::read_file(&*self.files.io, &path)? else {
            findings.derived(&path, 0, "it is too long for a run");
            return Ok(());
        };
        self.survey.runs += 1;
        self.survey.bytes += bytes.len() as u64;
        if self.is_sorted(run) {
            findings.note(&path, "a sorted file holds its items; the next start removes it");
            return Ok(());
        }
        match position {
            Some(position) if run == position.run => {
                self.survey.items += u64::from(position.items);
                let items = bytes.get(..position.items as usize * ITEM_BYTES);
                let is_whole =
                    position.covered || items.is_some_and(|items| crc32c::crc32c(items) == position.crc);
                if self.everything && !is_whole {
                    findings.derived(
                        &path,
                        0,
                        format!(
                            "it does not hold the {} items that the newest checkpoint counts",
                            position.items
                        ),
                    );
                }
                return Ok(());
            }
            Some(position) if run > position.run => {
                findings.note(
                    &path,
                    "the newest checkpoint does not count it; the next start makes it again",
                );
                return Ok(());
            }
            _ => {}
        }
        if self.open == Some(run) && run::parse_closed(&bytes, run).is_none() {
            self.open_run(run, &path, &bytes, findings);
            return Ok(());
        }
        self.survey.items += (bytes.len() / ITEM_BYTES).saturating_sub(1) as u64;
        if !self.everything {
            return Ok(());
        }
        match run::parse_closed(&bytes, run) {
            None => findings.derived(&path, 0, "it is not a whole run"),
            Some(found) => {
                let place = |at: &IndexPosition| (at.items, at.crc, at.slice, at.slice_start);
                if self
                    .sum(run)
                    .is_some_and(|sum| place(&sum.at) != place(&found.at))
                {
                    findings.derived(&path, 0, "its items are whole, but not those that the log gives");
                }
            }
        }
        Ok(())
    }

    /// A run without its end, of which no checkpoint says how many items it has: as many whole ones as the log gives, or fewer. What the log
    /// gives is summed for all of them: of fewer nothing is claimed.
    fn open_run(&mut self, run: u64, path: &Path, bytes: &[u8], findings: &mut Findings) {
        let items = (bytes.len() / ITEM_BYTES) as u32;
        self.survey.items += u64::from(items);
        if !self.everything {
            return;
        }
        let sums = self.sums.map(|sums| (&sums.open, sums.closed.get(&run)));
        let given = sums.and_then(|(open, closed)| {
            let open = open.iter().find(|open| open.at.run == run);
            closed.or(open).filter(|sum| sum.is_whole)
        });
        let Some(given) = given.map(|sum| sum.at) else {
            let what = "no checkpoint tells how many items it holds; the next start makes it again";
            findings.note(path, what);
            return;
        };
        let whole = &bytes[..items as usize * ITEM_BYTES];
        if items > given.items || (items == given.items && crc32c::crc32c(whole) != given.crc) {
            findings.derived(path, 0, "its items are not those that the log gives");
        } else if items < given.items {
            let what = format!(
                "it has {items} items, fewer than the {} that the log gives, and they are not compared; the next start makes it again",
                given.items
            );
            findings.note(path, what);
        }
    }
}
