//! What is derived from the log can be made again from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sluice_tests::client::{Client, message};
use sluice_tests::process::{Broker, Setup};

use crate::traffic::{bodies, consume, numbered, receive, send};

/// Name and content of every file below a folder.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(
                    path.strip_prefix(folder).unwrap().to_owned(),
                    std::fs::read(&path).unwrap(),
                );
            }
        }
    }
    files
}

fn assert_same(folder: &str, before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>) {
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(before), names(after), "the files in {folder}/");
    for (name, bytes) in before {
        assert!(*bytes == after[name], "{folder}/{} differs", name.display());
    }
}

async fn traffic(broker: &Broker) {
    let client = Client::new(&broker.endpoint()).unwrap();
    for (topic, count) in [("orders", 400), ("clicks", 150)] {
        for body in numbered(0..count) {
            let mut message = message(topic, body.clone());
            let properties = message.system_properties.as_mut().unwrap();
            properties.keys = vec![format!("key-{body}"), "shared".to_owned()];
            properties.tag = Some("red".to_owned());
            client.send_ok(message).await.unwrap();
        }
    }
    assert_eq!(consume(&client, "readers", "orders", 400).await.len(), 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_queue_and_index_files_are_made_again_byte_for_byte() {
    // Several segments and checkpoints, so that a rebuild has to go back behind the newest of both.
    let setup = Setup::new()
        .flag("--segment-size", "256KiB")
        .flag("--checkpoint-bytes", "64KiB")
        .flag("--checkpoint-seconds", "1");
    let mut broker = setup.start().unwrap();
    traffic(&broker).await;
    assert!(broker.stop().unwrap().success());
    let folders = ["queue", "index"].map(|name| (name, broker.shard_dir().join(name)));
    let before = folders.each_ref().map(|(_, folder)| content(folder));
    assert!(
        before.iter().all(|files| !files.is_empty()),
        "there is something to delete"
    );

    for (_, folder) in &folders {
        std::fs::remove_dir_all(folder).unwrap();
    }
    broker.restart().unwrap();
    assert!(broker.stop().unwrap().success());

    for ((name, folder), before) in folders.iter().zip(&before) {
        assert_same(name, before, &content(folder));
    }
    broker.restart().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    assert_eq!(
        bodies(&receive(&client, "late", "orders", 400).await),
        numbered(0..400)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_checkpoints_but_the_first_are_not_missed() {
    let setup = Setup::new()
        .flag("--segment-size", "256KiB")
        .flag("--checkpoint-bytes", "64KiB");
    let mut broker = setup.start().unwrap();
    traffic(&broker).await;
    assert!(broker.stop().unwrap().success());

    let checkpoints = broker.shard_dir().join("checkpoint");
    let mut roots: Vec<_> = content(&checkpoints)
        .into_keys()
        .filter(|name| name.extension().is_some_and(|e| e == "root"))
        .collect();
    roots.sort();
    assert!(roots.len() > 1, "{roots:?}");
    for root in &roots[1..] {
        std::fs::remove_file(checkpoints.join(root)).unwrap();
    }

    broker.restart().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    crate::traffic::nothing(&client, "readers", "orders").await;
    send(&client, "orders", &numbered(400..410)).await;
    assert_eq!(
        consume(&client, "readers", "orders", 10).await,
        numbered(400..410)
    );
    assert_eq!(receive(&client, "late", "clicks", 150).await.len(), 150);
}

#[test]
fn who_asks_for_another_segment_size_is_told_that_it_stays_and_nobody_else() {
    let mut broker = Setup::new().flag("--segment-size", "1MiB").start().unwrap();
    assert!(broker.stop().unwrap().success());
    let log_of = |setup: Setup| {
        let mut again = setup.spawn_over(broker.data_dir()).unwrap();
        assert_eq!(again.ready_or_ended().unwrap(), None);
        assert!(again.stop().unwrap().success());
        again.log().unwrap()
    };
    let told = "the segment size stays as it was made";
    let log = log_of(Setup::new());
    assert!(!log.contains(told), "{log}");
    let log = log_of(Setup::new().flag("--segment-size", "2MiB"));
    assert!(log.contains(told), "{log}");
}
