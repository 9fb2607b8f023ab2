//! Blocks that the disk does not give: they are told, a start that needs them is refused and changes nothing, a repair goes on without
//! them like without other damage, and what can be made again is made again.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod repairs;
mod workload;

use repairs::*;
use sluice_core::ids::PhysicalOffset;
use sluice_store::io::{Fault, FaultyIo, LogIo};
use sluice_store::repair::Range;
use sluice_store::survey::{Survey, Weight};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use workload::{Dice, Driver};

const BLOCK: u64 = 4096;

/// The disk gives this block of a file no more.
fn lose(io: &FaultyIo, path: &Path, block: u64) {
    let at = block * BLOCK;
    io.plant(Fault::ReadError {
        path: path.to_owned(),
        range: at..at + BLOCK,
    });
}

/// Every file of the folder with its bytes, as far as the disk gives them.
fn files(io: &FaultyIo) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(DIR)];
    while let Some(folder) = folders.pop() {
        for name in io.list(&folder).unwrap() {
            let path = folder.join(name);
            match io.open_read(&path) {
                Ok(file) => found.push((path, file.len().unwrap())),
                Err(_) => folders.push(path),
            }
        }
    }
    found.sort();
    found
}

/// A look says that the disk gives an error there; answers with what weight.
fn told(found: &Survey, path: &Path, block: u64) -> Weight {
    let mut damage = found.findings.damage.iter();
    let is_it = |damage: &&sluice_store::survey::Damage| {
        damage.file == path
            && damage.offset == block * BLOCK
            && damage.what.contains("the disk gives an error there")
    };
    damage.find(is_it).map(|damage| damage.weight).unwrap_or_else(|| {
        panic!("block {block} of {}: {:?}", path.display(), found.findings);
    })
}

/// Files of the folder with that ending.
fn ending(io: &FaultyIo, ending: &str) -> Vec<(PathBuf, u64)> {
    let mut all = files(io);
    all.retain(|(path, _)| path.to_str().unwrap().ends_with(ending));
    all
}

/// All there was is served.
fn serves_all(used: &Used, io: &FaultyIo) {
    let opened = start(io).unwrap();
    used.check(&opened.store, &[], None, used.end());
    assert!(used.has_all_done(&opened.store));
    opened.store.close().unwrap();
}

/// Starts what was repaired, checks it, uses it, and starts it once more.
fn goes_on(used: &Used, io: &FaultyIo, lost: &[Range]) {
    let (end, before) = match lost.split_last() {
        Some((Range { from, to: None }, before)) => (Some(from.0), before),
        _ => (None, lost),
    };
    assert!(sound(io).log.is_whole);
    let opened = start(io).unwrap();
    used.check(
        &opened.store,
        before,
        end,
        end.map_or(used.newest, |end| end.min(used.newest)),
    );
    let mut driver = Driver::new(opened, 99).without_administrators();
    (0..5).for_each(|_| driver.round(300).unwrap());
    driver.opened.store.close().unwrap();
    assert!(sound(io).findings.damage.is_empty());
}

/// Blocks of segments with frames in them, by the segment's base: each one's edges, the one where the newest checkpoint stands and those
/// around it, and some others.
fn blocks(used: &Used, dice: &mut Dice) -> Vec<(u64, u64)> {
    let bases = used.bases();
    let mut blocks = BTreeSet::new();
    for (n, base) in bases.iter().enumerate() {
        let end = bases.get(n + 1).copied().unwrap_or_else(|| used.end());
        let last = (end - base - 1) / BLOCK + 1;
        blocks.extend([1, 2, last].map(|block| (*base, block)));
        blocks.extend((0..4).map(|_| (*base, 1 + dice.roll(last))));
        if (*base..end).contains(&used.newest) {
            let newest = (used.newest - base) / BLOCK + 1;
            blocks.extend((newest.saturating_sub(1).max(1)..=last).map(|block| (*base, block)));
        }
    }
    blocks.into_iter().filter(|(_, block)| *block > 0).collect()
}

#[test]
fn a_block_of_the_log_that_the_disk_does_not_give_is_repaired_and_all_else_is_served() {
    let used = used(seed());
    let (mut refused, mut started, mut ended) = (0, 0, 0);
    for (base, block) in blocks(&used, &mut Dice(seed())) {
        let (io, path) = (used.copy(), segment_path(base));
        lose(&io, &path, block);
        let found = look(&io);
        assert_eq!(told(&found, &path, block), Weight::Lost);
        let lost = wanted(&io);
        let Some(last) = lost.last() else {
            panic!("{base}, block {block}: {:?}", found.log)
        };
        let place = base + (block - 1) * BLOCK;
        let bases = used.bases();
        let next = bases.iter().copied().find(|next| *next > base);
        // What is behind a command up to the next frame nobody misses.
        let covers = |to: PhysicalOffset| to.0 + 8 > (place + BLOCK).min(next.unwrap_or_else(|| used.end()));
        assert!(
            lost[0].from.0 <= place && last.to.is_none_or(covers),
            "{lost:?} at {place}"
        );
        let command = sluice_store::repair::command(Path::new(DIR), &lost);
        if last.to.is_none_or(|to| to.0 > used.newest) {
            let before = files(&io);
            let said = refusal(&io);
            let file = path.to_str().unwrap();
            assert!(said.contains(file) && said.ends_with(&command), "{said}");
            assert!(said.contains("the disk gives an error at file offset"), "{said}");
            assert_eq!(found.refused, Some(said));
            assert_eq!(files(&io), before, "a refused start changes nothing");
            refused += 1;
        } else {
            // Nobody reads it at a start.
            assert_eq!(found.refused, None);
            let opened = start(&io.crash_keeping_all()).unwrap();
            opened.store.close().unwrap();
            started += 1;
        }
        ended += u32::from(last.to.is_none());
        let done = repair(&io, &lost);
        assert!(!done.saved.is_empty());
        assert!(planned(&io, &lost, false).unwrap().is_done);
        goes_on(&used, &io, &lost);
    }
    println!("{refused} refused, {started} not, {ended} logs ended");
    assert!(refused > 5 && started > 10, "{refused} refused, {started} not");
}

#[test]
fn a_first_page_that_the_disk_does_not_give_is_made_again() {
    let used = used(seed());
    for base in used.bases() {
        let (io, path) = (used.copy(), segment_path(base));
        lose(&io, &path, 0);
        let found = look(&io);
        assert_eq!(told(&found, &path, 0), Weight::Lost);
        let said = refusal(&io);
        assert!(
            said.contains("first page") && said.contains(path.to_str().unwrap()),
            "{said}"
        );
        let at = PhysicalOffset(base);
        let lost = [Range {
            from: at,
            to: Some(at),
        }];
        assert_eq!(wanted(&io), lost);
        repair(&io, &lost);
        goes_on(&used, &io, &[]);
    }
}

#[test]
fn a_block_behind_the_logs_end_is_never_taken_for_what_a_crash_has_torn() {
    let used = used(seed());
    let base = *used.bases().last().unwrap();
    let path = segment_path(base);
    let len = used.io.open_read(&path).unwrap().len().unwrap();
    let first = (used.end() - base).div_ceil(BLOCK) + 1;
    assert!(first < len / BLOCK, "{first} of {len}");
    for block in [first, len / BLOCK - 1] {
        let io = used.copy();
        lose(&io, &path, block);
        let said = refusal(&io);
        assert!(said.contains("the disk gives an error at file offset"), "{said}");
        let end = PhysicalOffset(used.end());
        let lost = [Range { from: end, to: None }];
        assert_eq!(wanted(&io), lost);
        assert_eq!(look(&io).refused, Some(said));
        repair(&io, &lost);
        goes_on(&used, &io, &lost);
    }
}

#[test]
fn what_the_disk_gives_again_was_not_lost() {
    let used = used(seed());
    let base = *used.bases().last().unwrap();
    for block in [0, (used.newest.max(base) - base) / BLOCK + 1] {
        let io = used.copy();
        lose(&io, &segment_path(base), block);
        refusal(&io);
        io.lift_read_errors();
        sound(&io);
        serves_all(&used, &io);
    }
}

#[test]
fn queue_files_and_the_index_are_made_again_where_the_disk_does_not_give_them() {
    let used = used(seed());
    // Closed, so that files hold no more than the newest checkpoint counts: behind that nobody reads.
    let closed = used.copy();
    start(&closed).unwrap().store.close().unwrap();
    let (mut again, mut of_the_index) = (0, 0);
    for (path, len) in [".cq", ".run", ".idx"].map(|kind| ending(&closed, kind)).concat() {
        // An entry or an item at either end; of a sorted file a start reads the header alone.
        let is_sorted = path.to_str().unwrap().ends_with(".idx");
        of_the_index += u32::from(path.starts_with(Path::new(DIR).join("index")));
        for at in [0, len - 1].into_iter().take(if is_sorted { 1 } else { 2 }) {
            let io = closed.crash_keeping_all();
            io.plant(Fault::ReadError {
                path: path.clone(),
                range: at..at + 1,
            });
            let found = look(&io);
            assert!(told(&found, &path, at / BLOCK) <= Weight::Derived);
            assert_eq!((found.refused, wanted(&io)), (None, Vec::new()));
            let opened = start(&io).unwrap();
            // Of queue files a start reads the last entry alone.
            let unread = entries_that_fail(&opened.store);
            let says_so = |said: &String| said.contains(path.to_str().unwrap()) && said.contains("restart");
            assert!(unread.iter().all(says_so), "{unread:?}");
            again += unread.len();
            opened.store.close().unwrap();
            serves_all(&used, &io);
            sound(&io);
        }
    }
    assert!(again > 0, "no entry that only a read comes to");
    assert!(of_the_index > 0, "no file of the index");
}

#[test]
fn where_queue_files_are_to_be_made_again_of_what_the_disk_does_not_give_the_start_prints_the_repair() {
    let used = used(seed());
    let io = used.copy();
    let path = segment_path(0);
    lose(&io, &path, 3);
    let (queue, _) = ending(&io, ".cq").remove(0);
    io.remove(&queue).unwrap();
    let before = files(&io);
    let said = refusal(&io);
    let command = sluice_store::repair::command(Path::new(DIR), &wanted(&io));
    assert!(said.ends_with(&command), "{said}");
    assert_eq!(files(&io), before, "a refused start changes nothing");
    repair(&io, &wanted(&io));
    start(&io).unwrap().store.close().unwrap();
}

#[test]
fn one_of_the_meta_files_is_made_again_and_both_are_told() {
    let used = used(seed());
    let metas = ["meta.a", "meta.b"].map(|name| Path::new(DIR).join(name));
    for path in &metas {
        let io = used.copy();
        lose(&io, path, 0);
        assert_eq!(told(&look(&io), path, 0), Weight::Lost);
        serves_all(&used, &io);
        sound(&io);
    }
    let io = used.copy();
    metas.iter().for_each(|path| lose(&io, path, 0));
    let said = refusal(&io);
    assert!(said.contains("--make-meta"), "{said}");
    io.lift_read_errors();
    serves_all(&used, &io);
}

#[test]
fn a_checkpoint_that_the_disk_does_not_give_is_told_and_stops_a_start_until_it_is_moved_away() {
    let used = used(seed());
    let (path, _) = ending(&used.io, ".root").pop().unwrap();
    let io = used.copy();
    lose(&io, &path, 0);
    let found = look(&io);
    assert_eq!(told(&found, &path, 0), Weight::Derived);
    let said = start(&io).err().unwrap().to_string();
    assert!(
        said.contains("move it away") && said.contains(path.to_str().unwrap()),
        "{said}"
    );
    assert_eq!(found.refused, Some(said));
    io.rename(&path, &path.with_extension("moved")).unwrap();
    serves_all(&used, &io);
}
