//! What is derived from a log, as it stands in the files, and a log of which retention has taken the beginning.
#![allow(dead_code, reason = "each test file uses a part of it")]

use crate::workload::{Driver, open};
use sluice_core::ids::{PhysicalOffset, TopicId};
use sluice_core::state::{ShardKey, State};
use sluice_store::checkpoint::{Checkpoints, PartKey, Pick};
use sluice_store::checkpointer::Header;
use sluice_store::index::IndexPosition;
use sluice_store::io::{LogIo, RealIo};
use sluice_store::log::LogReader;
use sluice_store::retention::{Own, Settings};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DAY_MS: u64 = 24 * 3_600_000;

/// Every file below `dir`, by its path from there.
pub fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(&folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(
                    path.strip_prefix(dir).unwrap().to_owned(),
                    std::fs::read(&path).unwrap(),
                );
            }
        }
    }
    found
}

/// The queue files of topics that exist: those of a deleted one go some checkpoints after it.
pub fn living(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let parts = newest_checkpoint(dir).parts;
    let mut files = files(&dir.join("queue"));
    files.retain(|name, _| {
        let topic = name.iter().next().and_then(|topic| topic.to_str()?.parse().ok());
        parts.contains_key(&ShardKey::Topic(TopicId(topic.unwrap())))
    });
    files
}

pub fn same(left: &BTreeMap<PathBuf, Vec<u8>>, right: &BTreeMap<PathBuf, Vec<u8>>) {
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(left), names(right));
    for (name, bytes) in left {
        assert!(right[name] == *bytes, "{} differs", name.display());
    }
}

/// What a checkpoint says, without how it is spread over files.
#[derive(Debug, PartialEq)]
pub struct Content {
    pub digest: u64,
    pub end: PhysicalOffset,
    pub header: Vec<u8>,
    pub index: IndexPosition,
    pub parts: BTreeMap<ShardKey, Vec<u8>>,
}

/// The newest checkpoint of a store that was closed.
pub fn newest_checkpoint(dir: &Path) -> Content {
    let folder = dir.join("checkpoint");
    let (_, loaded) = Checkpoints::open(Arc::new(RealIo::new()), &folder, Pick::Newest).unwrap();
    let header = Header::decode(&loaded.header).unwrap();
    let key = |key: PartKey| ShardKey::from_numbers(key.kind, key.ids).unwrap();
    let parts: BTreeMap<_, _> = loaded
        .parts()
        .map(|(part, bytes)| (key(part), bytes.to_vec()))
        .collect();
    let borrowed = parts.iter().map(|(key, bytes)| (*key, &bytes[..]));
    let state = State::restore(header.state, borrowed).unwrap();
    Content {
        digest: state.digest(),
        end: loaded.position.physical,
        header: header.state.to_vec(),
        index: header.index,
        parts,
    }
}

/// Less than topics of the workload come to.
fn bound(keep_ms: Option<u64>) -> Own {
    Own {
        keep_ms,
        keep_bytes: Some(40_000),
    }
}

/// Rounds of a workload with retention now and then; in the end the log begins where it should. `whole` hears of the log
/// before any of it goes.
pub fn retained(io: &Arc<dyn LogIo>, dir: &Path, seed: u64, whole: impl FnMut(&LogReader)) -> Driver {
    retained_by(
        Driver::new(open(Arc::clone(io), dir, 60_000).unwrap(), seed),
        whole,
    )
}

pub fn retained_by(mut driver: Driver, mut whole: impl FnMut(&LogReader)) -> Driver {
    driver.make().unwrap();
    let settings = Settings {
        keep_ms: Some(DAY_MS),
        keep_bytes: Some(700_000),
        own: [
            (TopicId(1), bound(None)),
            (TopicId(2), Own::time(365 * DAY_MS)),
            (TopicId(3), bound(Some(365 * DAY_MS))),
        ]
        .into(),
        ..Settings::default()
    };
    for round in 0..900 {
        driver.round(6000).unwrap();
        if round % 90 == 89 {
            whole(driver.opened.store.reader());
            driver.retain(&settings).unwrap();
        }
    }
    let begins = |driver: &Driver| driver.opened.store.tables().bounds().start;
    assert!(begins(&driver).0 > 1_000_000, "something has gone");
    assert!(
        driver.opened.store.tables().carried_len() > 0,
        "something was carried"
    );
    driver
        .send_until(100, |driver| driver.opened.store.log().start() == begins(driver))
        .unwrap();
    whole(driver.opened.store.reader());
    driver
}
