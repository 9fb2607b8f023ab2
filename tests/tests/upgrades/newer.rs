//! There is no way back: what a later release has changed is refused by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sluice_tests::client::{Client, message};
use sluice_tests::process::Setup;

/// Where a root holds the log's level: behind its 48 bytes of fixed width and a length of one byte.
const LEVEL_AT: usize = 49;
/// Of no release, and still one byte.
const NEWER: u8 = 99;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_a_later_release_has_raised_is_refused_and_left_as_it_is() {
    let mut broker = Setup::new().start().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    client.send_ok(message("orders", "m-000")).await.unwrap();
    assert!(broker.stop().unwrap().success());
    let checkpoints = broker.shard_dir().join("checkpoint");
    raise(&checkpoints);
    let before = content(&broker.shard_dir());

    let refused = broker.restart();

    let error = format!("{:#}", refused.unwrap_err());
    assert!(error.contains("exit status: 1"), "{error}");
    let log = broker.log().unwrap();
    assert!(
        log.contains("the log is at level 99, and this build knows levels up to"),
        "{log}"
    );
    assert!(log.contains("run a newer version"), "{log}");
    assert!(
        before == content(&broker.shard_dir()),
        "the refused start changed something"
    );
}

/// Gives every checkpoint but the empty first one a level that nobody knows, as a later release would.
fn raise(checkpoints: &Path) {
    let mut raised = 0;
    for (path, mut bytes) in content(checkpoints) {
        let is_root = path.extension().is_some_and(|extension| extension == "root");
        if is_root && bytes[LEVEL_AT] != 0 {
            bytes[LEVEL_AT] = NEWER;
            let end = bytes.len() - 4;
            let checksum = crc32c::crc32c(&bytes[..end]);
            bytes[end..].copy_from_slice(&checksum.to_le_bytes());
            std::fs::write(path, bytes).unwrap();
            raised += 1;
        }
    }
    assert!(raised > 0, "there is no checkpoint to raise");
}

/// Every file below a folder.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.clone(), std::fs::read(path).unwrap());
            }
        }
    }
    files
}
