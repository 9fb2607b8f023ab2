//! A broker whose log is damaged where it was durable: from the start that refuses it to one that goes on without what is lost.

use std::ops::Range;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sluice_tests::process::{Broker, Setup};
use sluice_tests::sluicectl::Sluicectl;

use crate::stage::has_keys;

/// Whom the broker's files belong to, while it is repaired by the superuser.
const SOMEBODY: u32 = 65_534;
const VICTIM: &str = "this one will be lost";

/// A broker that was killed after it had taken messages, of which one group had done some.
fn killed() -> (Broker, Sluicectl) {
    let mut broker = Setup::new().start().unwrap();
    let sluicectl = Sluicectl::of(&broker).unwrap();
    let send = |body: &str, count: &str| {
        sluicectl
            .ok(&["message", "send", "orders", body, "--count", count])
            .unwrap();
    };
    send("before", "20");
    send(VICTIM, "1");
    sluicectl
        .ok(&["message", "receive", "readers", "orders", "--ack", "--max", "21"])
        .unwrap();
    send("after", "20");
    broker.kill().unwrap();
    (broker, sluicectl)
}

fn segment(broker: &Broker) -> PathBuf {
    broker.shard_dir().join("log/00000000000000000000.seg")
}

/// Flips a bit in the only place of the log in which `text` stands.
fn flip(broker: &Broker, text: &str) {
    let path = segment(broker);
    let mut bytes = std::fs::read(&path).unwrap();
    let mut places = bytes.windows(text.len()).enumerate();
    let (at, _) = places.find(|(_, part)| *part == text.as_bytes()).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
}

/// The arguments of the command that the broker has printed when it refused to start.
pub fn printed(broker: &Broker) -> Vec<String> {
    let log = broker.log().unwrap();
    let command = log.rsplit("sluicectl ").next().unwrap();
    let command = command.lines().next().unwrap().trim_end_matches(['"', '}', '.']);
    command.split_whitespace().map(str::to_owned).collect()
}

fn bodies(sluicectl: &Sluicectl, group: &str) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let received = sluicectl
            .json(&[
                "message", "receive", group, "orders", "--ack", "--max", "32", "--wait", "1s",
            ])
            .unwrap();
        let messages = received["messages"].as_array().unwrap();
        if messages.is_empty() {
            found.sort_unstable();
            return found;
        }
        found.extend(
            messages
                .iter()
                .map(|message| message["body"].as_str().unwrap().to_owned()),
        );
    }
}

#[test]
fn the_command_that_a_refused_start_prints_lets_the_broker_go_on_without_what_is_lost() {
    let (mut broker, sluicectl) = killed();
    flip(&broker, VICTIM);
    broker.restart().unwrap_err();
    broker.wait_for_end().unwrap();
    let log = broker.log().unwrap();
    for part in [
        "is damaged at file offset",
        "the frame that begins there",
        "one message at most",
        "Nothing was changed",
    ] {
        assert!(log.contains(part), "{part} in {log}");
    }
    let folder = broker.shard_dir().display().to_string();
    let verified = sluicectl.run(&["log", "verify", &folder]).unwrap();
    assert!(
        verified.stdout.contains("the command that begins there"),
        "{verified:?}"
    );
    let command = printed(&broker);
    let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
    assert_eq!(arguments[..2], ["log", "repair"], "{arguments:?}");
    give_to(&broker.shard_dir(), SOMEBODY);
    repair(&broker, &sluicectl, &mut arguments);
    for file in files(&broker.shard_dir().join("log")) {
        let owner = std::fs::metadata(&file).unwrap().uid();
        assert_eq!(
            owner,
            SOMEBODY,
            "{}: a broker of this user could not start",
            file.display()
        );
    }
    goes_on(&mut broker, &sluicectl, &arguments);
}

#[test]
fn frames_and_messages_that_a_repair_gives_up_are_counted() {
    let (mut broker, sluicectl) = killed();
    // What a start has read is noted as durable, and no torn end any more.
    broker.restart().unwrap();
    broker.kill().unwrap();
    let path = segment(&broker);
    let whole = std::fs::read(&path).unwrap();
    let text = b"after";
    let is_text = |at: &usize| whole[*at..].starts_with(text);
    let places: Vec<usize> = (0..whole.len()).filter(is_text).collect();
    assert_eq!(places.len(), 20);
    // The first two of them, with what may stand between.
    let lost: Vec<Range<usize>> = frames(&whole)
        .into_iter()
        .filter(|frame| frame.end > places[0] && frame.start < places[1])
        .collect();
    let held = places
        .iter()
        .filter(|at| lost.iter().any(|frame| frame.contains(at)));
    let held = held.count();
    assert!(held > 1, "{lost:?}");
    let mut damaged = whole.clone();
    lost.iter().for_each(|frame| damaged[frame.start + 4] ^= 1);
    std::fs::write(&path, damaged).unwrap();
    broker.restart().unwrap_err();
    broker.wait_for_end().unwrap();
    let log = broker.log().unwrap();
    let place = format!("{} is damaged at file offset {}: ", path.display(), lost[0].start);
    let words = format!(" held {held} messages. Nothing was changed");
    assert!(
        log.contains(&place) && log.contains(&words),
        "{place}, {words}: {log}"
    );

    let command = printed(&broker);
    let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
    arguments.push("--yes");
    let did = sluicectl.json(&arguments).unwrap();
    // Behind them stands no checkpoint that would tell queues and offsets, and who waits.
    let messages = json!([{
        "topic": "orders", "queue": null, "messages": held, "first_offset": null, "last_offset": null,
        "waiting_groups": [],
    }]);
    for (key, value) in [
        ("lost_frames", json!(lost.len())),
        ("lost_messages", messages),
        ("lost_messages_are_all", json!(true)),
        ("more_messages_at_most", json!(0)),
    ] {
        assert_eq!(did[key], value, "{key}: {did}");
    }
    broker.restart().unwrap();
    let left = bodies(&sluicectl, "late");
    let left_after = left.iter().filter(|body| *body == "after").count();
    assert_eq!((left_after, left.len()), (20 - held, 41 - held), "{left:?}");
}

/// Where the frames of a segment stand, each with what follows it up to the next.
fn frames(segment: &[u8]) -> Vec<Range<usize>> {
    let (mut frames, mut at) = (Vec::new(), 4096);
    while let Some(length) = segment.get(at..at + 4) {
        let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        if length == 0 {
            break;
        }
        let next = at + length.next_multiple_of(8);
        frames.push(at..next);
        at = next;
    }
    frames
}

#[test]
fn a_message_of_which_only_length_or_checksum_is_damaged_arrives_and_nothing_is_to_be_repaired() {
    let (mut broker, sluicectl) = killed();
    let (path, folder) = (segment(&broker), broker.shard_dir().display().to_string());
    let verify = || sluicectl.run(&["log", "verify", &folder, "-o", "json"]).unwrap();
    let whole = std::fs::read(&path).unwrap();
    flip(&broker, VICTIM);
    let verdict: Value = serde_json::from_str(&verify().stdout).unwrap();
    let at = verdict["damage"][0]["offset"].as_u64().unwrap() as usize;

    let mut damaged = whole;
    damaged[at] ^= 8;
    damaged[at + 5] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let said = verify();
    let verdict: Value = serde_json::from_str(&said.stdout).unwrap();
    let [damage] = &verdict["damage"].as_array().unwrap()[..] else {
        panic!("{verdict}");
    };
    assert_eq!(
        (&damage["offset"], &damage["harmless"]),
        (&json!(at), &json!(true))
    );
    assert_eq!(
        (said.code, &verdict["repair_command"]),
        (1, &Value::Null),
        "{verdict}"
    );
    let hint = said.error().unwrap()["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("nothing is lost"), "{hint}");
    broker.restart().unwrap();
    assert!(broker.log().unwrap().contains("as the rest of its frame says"));
    let found = bodies(&sluicectl, "others");
    assert_eq!(found.len(), 41, "{found:?}");
    assert!(found.iter().any(|body| body == VICTIM));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder).unwrap();
    found.map(|file| file.unwrap().path()).collect()
}

/// Everything in the folder belongs to another user from now on.
fn give_to(folder: &Path, user: u32) {
    chown(folder, Some(user), Some(user)).unwrap();
    for path in files(folder) {
        if path.is_dir() {
            give_to(&path, user);
        } else {
            chown(&path, Some(user), Some(user)).unwrap();
        }
    }
}

/// Asks first, and repairs when told to.
fn repair(broker: &Broker, sluicectl: &Sluicectl, arguments: &mut Vec<&str>) {
    let before = std::fs::read(segment(broker)).unwrap();

    let said = sluicectl.run(arguments).unwrap();
    assert_eq!(said.code, 4, "{said:?}");
    assert!(
        said.stdout.contains("GIVEN UP") && said.stdout.contains("readers get messages again"),
        "{said:?}"
    );
    assert!(said.stderr.contains("the same command with --yes"), "{said:?}");
    assert!(
        std::fs::read(segment(broker)).unwrap() == before,
        "nothing is changed"
    );
    // Whoever may only read the folder, or has a copy of it, can look: nothing is made in it.
    std::fs::remove_file(broker.shard_dir().join("lock")).unwrap();
    arguments.push("--dry-run");
    let would = sluicectl.json(arguments).unwrap();
    assert!(!broker.shard_dir().join("lock").exists());
    assert_eq!(
        (&would["repaired"], &would["more_messages_at_most"]),
        (&json!(false), &json!(1))
    );
    assert!(would["commands_given_up"].as_u64() > Some(0), "{would}");
    assert_eq!(would["groups_again"], json!(["readers"]));

    *arguments.last_mut().unwrap() = "--yes";
    let did = sluicectl.json(arguments).unwrap();
    has_keys(&did, &["lost", "saved"]);
    assert_eq!(did["repaired"], json!(true));
    // Of a damaged command nobody can read whether it was a message, and of which queue.
    for (key, value) in [
        ("lost_frames", json!(0)),
        ("lost_messages", json!([])),
        ("lost_messages_are_all", json!(false)),
        ("more_messages_at_most", json!(1)),
    ] {
        assert_eq!(did[key], value, "{key}: {did}");
    }
    let saved = did["saved"][0].as_str().unwrap();
    assert!(broker.shard_dir().join(saved).exists(), "{did}");
    let again = sluicectl.ok(arguments).unwrap();
    assert!(again.contains("it was repaired before"), "{again}");
}

/// Everything else arrives, and what follows too.
fn goes_on(broker: &mut Broker, sluicectl: &Sluicectl, repair: &[&str]) {
    broker.restart().unwrap();
    let running = sluicectl.run(repair).unwrap();
    assert!(
        running.code == 4 && running.stderr.contains("a broker runs over it"),
        "{running:?}"
    );
    let mut all = vec!["after"; 20];
    all.extend(["before"; 20]);
    assert_eq!(
        bodies(sluicectl, "readers"),
        all,
        "what readers did is done again"
    );
    sluicectl.ok(&["group", "create", "late"]).unwrap();
    assert_eq!(bodies(sluicectl, "late"), all);
    sluicectl.ok(&["message", "send", "orders", "new"]).unwrap();
    assert_eq!(bodies(sluicectl, "late"), ["new"]);
    assert!(broker.stop().unwrap().success());
    let verdict = sluicectl
        .json(&["log", "verify", broker.shard_dir().to_str().unwrap()])
        .unwrap();
    assert_eq!(
        (&verdict["sound"], &verdict["repair_command"]),
        (&json!(true), &Value::Null)
    );
    assert!(
        verdict["notes"][0]["what"]
            .as_str()
            .unwrap()
            .contains("was repaired"),
        "{verdict}"
    );
}

#[test]
fn verify_prints_the_command_too_and_what_is_not_damaged_is_not_given_up() {
    let (broker, sluicectl) = killed();
    let folder = broker.shard_dir().to_str().unwrap().to_owned();
    let repair = |range: &str| {
        sluicectl
            .run(&["log", "repair", &folder, "--accept-loss", range, "--yes"])
            .unwrap()
    };
    let said = repair("0..64");
    assert!(
        said.code == 4 && said.stderr.contains("no frame of the log is damaged"),
        "{said:?}"
    );
    let sound = sluicectl
        .ok(&["log", "repair", &folder, "--make-meta", "--yes"])
        .unwrap();
    assert!(
        sound.contains("there is nothing to repair, and nothing was changed"),
        "{sound}"
    );
    let sound = sluicectl.json(&["log", "repair", &folder, "--make-meta", "--yes"]);
    let sound = sound.unwrap();
    assert_eq!(
        (&sound["repaired"], &sound["was_sound"]),
        (&json!(false), &json!(true))
    );
    let said = repair("5..5");
    assert!(
        said.code == 4 && said.stderr.contains("no frame of the log is damaged"),
        "{said:?}"
    );
    let said = sluicectl.run(&["log", "repair", &folder]).unwrap();
    let look = format!("`sluicectl log verify {folder}`");
    assert!(said.code == 2 && said.stderr.contains(&look), "{said:?}");
    flip(&broker, VICTIM);
    let said = sluicectl.run(&["log", "verify", &folder, "-o", "json"]).unwrap();
    assert_eq!(said.code, 1);
    let verdict: Value = serde_json::from_str(&said.stdout).unwrap();
    let command = verdict["repair_command"].as_str().unwrap();
    let hint = said.error().unwrap()["hint"].as_str().unwrap().to_owned();
    assert!(hint.ends_with(command), "{hint}");
    assert!(
        verdict["lost"][0]
            .as_str()
            .unwrap()
            .contains("one message at most"),
        "{verdict}"
    );
    for wrong in ["0..64", "0..END"] {
        let said = repair(wrong);
        assert!(said.code == 4 && said.stderr.contains(command), "{said:?}");
    }
    for (wrong, part) in [("5", "FROM..TO"), ("9..8", "ends before it begins")] {
        let said = repair(wrong);
        assert!(said.code == 2 && said.stderr.contains(part), "{said:?}");
    }
    let help = sluicectl.ok(&["log", "repair", "--help"]).unwrap();
    assert!(
        help.contains("FROM..END ends the log at FROM") && help.contains("--dry-run"),
        "{help}"
    );
}
