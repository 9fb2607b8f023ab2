//! Derived files are a function of the log: rebuilt ones are those that were.
#![cfg(test)]

mod derived;
mod workload;

use derived::{files, living, retained, retained_by, same};
use sluice_store::io::{LogIo, RealIo};
use sluice_store::survey::{Depth, survey};
use std::sync::Arc;
use workload::{Driver, Stays, check, open};

#[test]
fn deleted_queue_and_index_files_are_rebuilt_byte_for_byte() {
    let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
    let dir = tempfile::tempdir().unwrap();
    let mut driver = Driver::new(open(Arc::clone(&io), dir.path(), 60_000).unwrap(), 11);
    driver.make().unwrap();
    for _ in 0..600 {
        driver.round(900).unwrap();
    }
    driver.opened.store.close().unwrap();
    drop(driver.opened);
    for what in [
        "TopicPut",
        "TopicDeleted",
        "GroupPut",
        "GroupDeleted",
        "Moved",
        "Fenced",
    ] {
        let done = driver.memory.administered.get(what).copied();
        assert!(done > Some(1), "{what}: {done:?}");
    }
    let before = (living(dir.path()), files(&dir.path().join("index")));
    assert!(!before.0.is_empty() && !before.1.is_empty());
    std::fs::remove_dir_all(dir.path().join("queue")).unwrap();
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let opened = open(io, dir.path(), 60_000).unwrap();
    check(&opened.store, &driver.memory);
    opened.store.close().unwrap();
    same(&before.0, &living(dir.path()));
    same(&before.1, &files(&dir.path().join("index")));
}

#[test]
fn files_made_again_from_the_base_after_retention_are_byte_for_byte_those_that_were() {
    for seed in [31, 32] {
        let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
        let dir = tempfile::tempdir().unwrap();
        let driver = retained(&io, dir.path(), seed, |_| ());
        let stays = Stays::all(&driver.opened.store);
        driver.opened.store.close().unwrap();
        let looked = survey(&io, dir.path(), Depth::Everything).unwrap();
        assert!(looked.folded_to.is_some());
        assert!(looked.findings.is_sound(), "{:?}", looked.findings);
        let before = (living(dir.path()), files(&dir.path().join("index")));
        assert!(!before.0.is_empty() && !before.1.is_empty());
        std::fs::remove_dir_all(dir.path().join("queue")).unwrap();
        std::fs::remove_dir_all(dir.path().join("index")).unwrap();
        let opened = open(Arc::clone(&io), dir.path(), 60_000).unwrap();
        check(&opened.store, &driver.memory);
        stays.check(&opened.store);
        opened.store.close().unwrap();
        same(&before.0, &living(dir.path()));
        same(&before.1, &files(&dir.path().join("index")));
    }
}

#[test]
fn what_retention_took_is_no_damage_where_the_checkpoints_that_know_are_gone() {
    let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
    let dir = tempfile::tempdir().unwrap();
    let driver = retained(&io, dir.path(), 34, |_| ());
    let start = driver.opened.store.log().start();
    let stays = Stays::all(&driver.opened.store);
    driver.opened.store.close().unwrap();
    // Entries that are left are looked at, and neighbours are told as one.
    let queue = dir.path().join("queue");
    let largest = files(&queue)
        .into_iter()
        .max_by_key(|(_, bytes)| bytes.len())
        .unwrap()
        .0;
    let path = queue.join(largest);
    let sound = std::fs::read(&path).unwrap();
    let mut bytes = sound.clone();
    let from = bytes.len() - 12 * 40;
    bytes[from..from + 10 * 40].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    let looked = survey(&io, dir.path(), Depth::Everything).unwrap();
    let [damage] = &looked.findings.damage[..] else {
        panic!("{:?}", looked.findings.damage);
    };
    assert_eq!((&damage.file, damage.offset), (&path, from as u64));
    assert!(
        damage.what.starts_with("10 entries are damaged"),
        "{}",
        damage.what
    );
    std::fs::write(&path, sound).unwrap();
    let base = format!("{:020}.root", start.0);
    for root in std::fs::read_dir(dir.path().join("checkpoint")).unwrap() {
        let root = root.unwrap().path();
        if root.extension().is_some_and(|kind| kind == "root") && !root.ends_with(&base) {
            std::fs::remove_file(root).unwrap();
        }
    }
    let looked = survey(&io, dir.path(), Depth::Everything).unwrap();
    assert!(looked.folded_to.is_some());
    assert!(looked.findings.is_sound(), "{:?}", looked.findings.damage);
    let opened = open(io, dir.path(), 60_000).unwrap();
    check(&opened.store, &driver.memory);
    stays.check(&opened.store);
    opened.store.close().unwrap();
}

#[test]
fn queue_files_are_found_again_where_the_checkpoint_at_the_logs_start_is_lost() {
    let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
    let dir = tempfile::tempdir().unwrap();
    // What goes to a topic that is closed meanwhile cannot be counted.
    let driver = Driver::new(open(Arc::clone(&io), dir.path(), 60_000).unwrap(), 33).without_administrators();
    let driver = retained_by(driver, |_| ());
    let start = driver.opened.store.log().start();
    let stays = Stays::all(&driver.opened.store);
    driver.opened.store.close().unwrap();
    let base = dir.path().join(format!("checkpoint/{:020}.root", start.0));
    std::fs::remove_file(base).unwrap();
    // What the broker leaves that has come to damage in a queue file.
    let note = dir.path().join("queue/rebuild");
    std::fs::write(&note, "").unwrap();
    let opened = open(Arc::clone(&io), dir.path(), 60_000).unwrap();
    check(&opened.store, &driver.memory);
    stays.check(&opened.store);
    opened.store.close().unwrap();
    assert!(!note.exists());
    let looked = survey(&io, dir.path(), Depth::Everything).unwrap();
    assert!(!looked.findings.is_sound(), "a base that is lost is told");
    // They are counted back from the newest checkpoint then.
    std::fs::remove_dir_all(dir.path().join("queue")).unwrap();
    let opened = open(io, dir.path(), 60_000).unwrap();
    check(&opened.store, &driver.memory);
    stays.check(&opened.store);
    opened.store.close().unwrap();
}
