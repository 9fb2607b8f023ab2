//! The files of a stopped broker.

use std::path::{Path, PathBuf};

use serde_json::json;
use sluice_tests::process::{Broker, Setup};
use sluice_tests::sluicectl::Sluicectl;

use crate::repair::printed;
use crate::stage::{has_keys, stage};

/// A broker that has several segments, checkpoints, queue files and index runs.
fn used() -> (Broker, Sluicectl) {
    let broker = Setup::new()
        .flag("--segment-size", "256KiB")
        .flag("--checkpoint-bytes", "64KiB")
        .start()
        .unwrap();
    let sluicectl = Sluicectl::new().unwrap();
    let endpoint = broker.endpoint();
    let body = "x".repeat(2000);
    for _ in 0..2 {
        let send = [
            "message",
            "send",
            "orders",
            &body,
            "--key",
            "k",
            "--count",
            "150",
            "--endpoint",
            &endpoint,
        ];
        sluicectl.ok(&send).unwrap();
        let receive = [
            "message",
            "receive",
            "readers",
            "orders",
            "--ack",
            "--max",
            "50",
            "--endpoint",
            &endpoint,
        ];
        sluicectl.ok(&receive).unwrap();
    }
    (broker, sluicectl)
}

fn stopped() -> (Broker, Sluicectl, String) {
    let (mut broker, sluicectl) = used();
    assert!(broker.stop().unwrap().success());
    let folder = broker.data_dir().to_str().unwrap().to_owned();
    (broker, sluicectl, folder)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort_unstable();
    found
}

/// Paths, contents and times of change.
fn state(folder: &Path) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
    let one = |path: PathBuf| {
        let changed = std::fs::metadata(&path).unwrap().modified().unwrap();
        (path.clone(), std::fs::read(path).unwrap(), changed)
    };
    files(folder).into_iter().map(one).collect()
}

#[test]
fn inspect_shows_segments_commands_checkpoints_and_topics() {
    let (broker, sluicectl, folder) = stopped();
    let found = sluicectl.json(&["log", "inspect", &folder]).unwrap();
    assert_eq!(
        (&found["broker"], &found["damaged_places"]),
        (&json!("broker-a"), &json!(0))
    );
    let segments = found["segments"].as_array().unwrap();
    assert!(segments.len() > 1, "{found}");
    let wanted = [
        "file",
        "state",
        "first_offset",
        "end_offset",
        "frames",
        "commands",
        "messages",
        "first_term",
        "last_term",
    ];
    segments.iter().for_each(|segment| has_keys(segment, &wanted));
    assert_eq!(segments[0]["state"], json!("sealed"));
    assert_eq!(found["commands_by_kind"]["append"], json!(300));
    let topic = &found["topics"][0];
    assert_eq!(
        (&topic["name"], &topic["messages"]),
        (&json!("orders"), &json!(300))
    );
    assert!(found["checkpoints"].as_array().unwrap().len() > 1);
    let table = sluicectl
        .ok(&[
            "log",
            "inspect",
            broker.shard_dir().to_str().unwrap(),
            "-o",
            "wide",
        ])
        .unwrap();
    for part in ["SEGMENT", "append", "CHECKPOINT", "orders", "FIRST AT"] {
        assert!(table.contains(part), "{part} in {table}");
    }
}

#[test]
fn verify_finds_sound_files_sound_and_changes_nothing() {
    let (mut broker, sluicectl, folder) = stopped();
    let before = state(broker.data_dir());
    let verdict = sluicectl.json(&["log", "verify", &folder]).unwrap();
    assert_eq!(
        (&verdict["sound"], &verdict["damage"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(verdict["checked"]["messages"], json!(300));
    assert!(verdict["compared_to_offset"].as_u64().unwrap() > 0, "{verdict}");
    sluicectl.ok(&["log", "inspect", &folder]).unwrap();
    assert!(
        sluicectl
            .ok(&["log", "verify", &folder])
            .unwrap()
            .starts_with("sound: ")
    );
    assert!(state(broker.data_dir()) == before, "nothing was changed");
    broker.restart().unwrap();
}

/// Flips a bit in the middle of a file, and puts it back.
fn with_flipped_byte(path: &Path, at: usize, look: impl FnOnce()) {
    let sound = std::fs::read(path).unwrap();
    let mut flipped = sound.clone();
    flipped[at] ^= 0x10;
    std::fs::write(path, flipped).unwrap();
    look();
    std::fs::write(path, sound).unwrap();
}

#[test]
fn verify_names_a_flipped_byte_in_segments_queue_files_index_and_checkpoints() {
    let (broker, sluicectl, folder) = stopped();
    let all = files(&broker.shard_dir());
    for (ending, at, advice) in [
        (".seg", 9000, "backup"),
        (".sparse", 30, "delete log/"),
        (".cq", 25, "delete queue,"),
        (".run", 100, "delete index,"),
        (".root", 60, "Do not delete the folder"),
        ("meta.a", 50, "meta.b is sound"),
        ("meta.b", 50, "meta.a is sound"),
    ] {
        let path = all
            .iter()
            .find(|path| path.to_str().unwrap().ends_with(ending) && !path.ends_with("spare.seg"));
        let path = path.unwrap_or_else(|| panic!("no {ending} among {all:?}"));
        with_flipped_byte(path, at, || {
            let said = sluicectl.run(&["log", "verify", &folder, "-o", "json"]).unwrap();
            assert_eq!(said.code, 1, "{ending}: {said:?}");
            let verdict: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
            let name = path.strip_prefix(broker.shard_dir()).unwrap().to_str().unwrap();
            let hit = verdict["damage"]
                .as_array()
                .unwrap()
                .iter()
                .find(|damage| damage["file"] == json!(name));
            let hit = hit.unwrap_or_else(|| panic!("{name} is not named: {verdict}"));
            assert!(hit["offset"].as_u64().unwrap() <= at as u64, "{hit}");
            assert!(
                said.error().unwrap()["hint"].as_str().unwrap().contains(advice),
                "{ending}: {said:?}"
            );
        });
    }
    let table = sluicectl.run(&["log", "verify", &folder]).unwrap();
    assert_eq!(table.code, 0, "all is as it was: {table:?}");
}

#[test]
fn a_start_mends_one_of_the_pair_of_meta_files_and_a_command_both() {
    let (mut broker, sluicectl, folder) = stopped();
    let flip = |name: &str| {
        let path = broker.shard_dir().join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[50] ^= 0x10;
        std::fs::write(&path, bytes).unwrap();
    };
    flip("meta.a");
    flip("meta.b");
    let said = sluicectl.run(&["log", "verify", &folder]).unwrap();
    assert!(said.code == 1 && said.stderr.contains("--make-meta"), "{said:?}");
    flip("meta.b");
    let said = sluicectl.run(&["log", "verify", &folder]).unwrap();
    assert!(
        said.code == 1 && said.stderr.contains("start the broker") && !said.stderr.contains("backup"),
        "{said:?}"
    );
    // The advice is followed.
    broker.restart().unwrap();
    assert!(broker.stop().unwrap().success());
    sluicectl.ok(&["log", "verify", &folder]).unwrap();
}

/// Follows the command that a refused start prints, which `verify` prints too, and uses the broker.
fn follow(broker: &mut Broker, sluicectl: &Sluicectl, what: &str) {
    broker.restart().unwrap_err();
    broker.wait_for_end().unwrap();
    let command = printed(broker);
    let folder = broker.shard_dir().to_str().unwrap().to_owned();
    let said = sluicectl.run(&["log", "verify", &folder, "-o", "json"]).unwrap();
    let hint = said.error().unwrap()["hint"].as_str().unwrap().to_owned();
    assert!(
        hint.ends_with(&command.join(" ")),
        "{what}: {command:?} and {hint}"
    );
    let verdict: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(verdict["start_refused"].as_str(), Some(hint.as_str()), "{what}");
    let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
    arguments.push("--yes");
    sluicectl.ok(&arguments).unwrap();
    broker.restart().unwrap_or_else(|error| panic!("{what}: {error}"));
    let endpoint = broker.endpoint();
    let send = ["message", "send", "orders", "new", "--endpoint", &endpoint];
    sluicectl.ok(&send).unwrap();
    let receive = [
        "message",
        "receive",
        "late",
        "orders",
        "--ack",
        "--max",
        "1",
        "--wait",
        "5s",
        "--endpoint",
        &endpoint,
    ];
    assert!(sluicectl.ok(&receive).unwrap().contains("orders"), "{what}");
    assert!(broker.stop().unwrap().success());
    sluicectl.ok(&["log", "verify", &folder]).unwrap();
}

#[test]
fn whatever_of_the_log_is_gone_the_refused_start_prints_a_command_that_leads_on() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 4] = [
        ("meta", |folder| {
            for name in ["meta.a", "meta.b"] {
                std::fs::remove_file(folder.join(name)).unwrap();
            }
        }),
        ("the first segment", |folder| {
            std::fs::remove_file(&segments_of(folder)[0]).unwrap();
        }),
        ("the last two segments", |folder| {
            for path in segments_of(folder).iter().rev().take(2) {
                std::fs::write(path, []).unwrap();
            }
        }),
        ("all segments", |folder| {
            segments_of(folder)
                .iter()
                .for_each(|path| std::fs::remove_file(path).unwrap());
        }),
    ];
    for (what, harm) in harms {
        let (mut broker, sluicectl, _) = stopped();
        harm(&broker.shard_dir());
        follow(&mut broker, &sluicectl, what);
    }
}

/// By rising offset.
fn segments_of(folder: &Path) -> Vec<PathBuf> {
    let mut found = files(&folder.join("log"));
    let prepared = ["spare.seg", "recycled.seg"];
    found.retain(|path| path.extension().is_some_and(|ext| ext == "seg"));
    found.retain(|path| !prepared.iter().any(|name| path.ends_with(name)));
    found.sort();
    found
}

#[test]
fn verify_says_of_lost_checkpoints_what_the_start_does() {
    let (mut broker, sluicectl, folder) = stopped();
    std::fs::remove_dir_all(broker.shard_dir().join("checkpoint")).unwrap();
    // The log begins at its first frame: it gives everything again.
    let said = sluicectl.run(&["log", "verify", &folder, "-o", "json"]).unwrap();
    let verdict: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(verdict["start_refused"], json!(null), "{verdict}");
    broker.restart().unwrap();
    assert!(broker.stop().unwrap().success());
    sluicectl.ok(&["log", "verify", &folder]).unwrap();
}

#[test]
fn topics_without_messages_are_shown_to_whoever_asks_for_everything() {
    let (mut broker, sluicectl) = stage();
    sluicectl.ok(&["topic", "create", "hollow"]).unwrap();
    sluicectl.ok(&["message", "send", "orders", "hello"]).unwrap();
    assert!(broker.stop().unwrap().success());
    let folder = broker.data_dir().to_str().unwrap();
    let table = sluicectl.ok(&["log", "inspect", folder]).unwrap();
    assert!(
        table.contains("orders") && !table.contains("hollow") && table.contains("-o wide shows them"),
        "{table}"
    );
    let table = sluicectl.ok(&["log", "inspect", folder, "-o", "wide"]).unwrap();
    assert!(table.contains("hollow"), "{table}");
}

#[test]
fn messages_behind_the_newest_checkpoint_are_not_told_to_be_none() {
    let (mut broker, sluicectl) = stage();
    sluicectl.ok(&["message", "send", "orders", "hello"]).unwrap();
    broker.kill().unwrap();
    let folder = broker.data_dir().to_str().unwrap();
    let found = sluicectl.json(&["log", "inspect", folder]).unwrap();
    assert_eq!(
        (&found["segments"][0]["messages"], &found["topics"]),
        (&json!(1), &json!([]))
    );
    let text = sluicectl.ok(&["log", "inspect", folder]).unwrap();
    assert!(
        !text.contains("no messages")
            && text.contains("up to the newest checkpoint; of which topics those behind it are"),
        "{text}"
    );
}

#[test]
fn a_missing_segment_is_damage() {
    let (broker, sluicectl, folder) = stopped();
    let segment = broker.shard_dir().join("log").join("00000000000000000000.seg");
    std::fs::remove_file(&segment).unwrap();
    let said = sluicectl.run(&["log", "verify", &folder]).unwrap();
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stdout.contains("log/00000000000000000000.seg"), "{said:?}");
}

#[test]
fn a_folder_in_use_is_not_verified_and_its_inspection_warns() {
    let (mut broker, sluicectl) = used();
    let folder = broker.data_dir().to_str().unwrap().to_owned();
    let said = sluicectl.run(&["log", "verify", &folder]).unwrap();
    assert_eq!(said.code, 4, "{said:?}");
    assert!(
        said.stderr.contains("a broker runs over it") && said.stderr.contains("stop the broker"),
        "{said:?}"
    );
    let said = sluicectl.run(&["log", "inspect", &folder]).unwrap();
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains("warning: a broker runs over"), "{said:?}");
    // What a kill leaves is no damage.
    broker.kill().unwrap();
    sluicectl.ok(&["log", "verify", &folder]).unwrap();
}

#[test]
fn a_folder_without_a_broker_is_not_found() {
    let sluicectl = Sluicectl::new().unwrap();
    for command in ["inspect", "verify"] {
        for folder in [".", "nowhere"] {
            let said = sluicectl.run(&["log", command, folder]).unwrap();
            assert_eq!(said.code, 3, "{said:?}");
        }
    }
}
