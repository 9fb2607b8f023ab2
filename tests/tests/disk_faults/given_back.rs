//! Killed, or refused by the disk, while it gives back piece by piece what retention has taken from the log, the broker has everything
//! that waits.
//!
//! Only files of more than 4 MiB go in pieces, which is why the scripted runs, with their small segments, never come there.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use sluice_tests::client::{Client, Receive, message};
use sluice_tests::process::{Broker, Setup};
use sluice_tests::script::copy;
use sluice_tests::seed::{self, Chance};
use sluice_tests::strace::{Injected, Injection, Strace, When};
use sluice_tests::wait;

use crate::points::{WRITERS, numbers};
use crate::{block_on, is_long};

const HELPER: &str = "log-prefill";
const SIGKILL: i32 = 9;
/// Four pieces.
const SEGMENT: &str = "16MiB";
const INIT: &str =
    "topics:\n  - {name: bulk, queues: 1}\n  - {name: kept, queues: 1}\ngroups:\n  - {name: reader}\n";
const KEPT: usize = 12;
const BULK_SENDS: usize = 360;
const BULK_BYTES: usize = 256 << 10;
/// One segment stays, and at least four go, of which one becomes the spare.
const PIECES_AT_LEAST: u32 = 8;
/// The shortest time that the broker takes.
const HIDDEN_FOR: Duration = Duration::from_secs(10);
const WITHIN: Duration = Duration::from_secs(30);
/// What the broker says of a file that it could not cut shorter.
const GOES_AT_ONCE: &str = "could not be cut shorter";

fn setup() -> Setup {
    Setup::new()
        .flag("--segment-size", SEGMENT)
        .flag("--checkpoint-bytes", "1MiB")
        .flag("--checkpoint-seconds", "1")
        .init(INIT)
        .config("retentionBytes: 1GiB\n")
}

/// A folder with segments that retention takes as soon as it is told, and messages in the first one that somebody waits for.
fn full() -> tempfile::TempDir {
    let mut broker = setup().start().unwrap();
    block_on(async {
        let client = Client::new(&broker.endpoint()).unwrap();
        for number in 0..KEPT {
            client
                .send_ok(message("kept", format!("kept {number}")))
                .await
                .unwrap();
        }
        // Retention leaves what was delivered and is not done.
        let receive = Receive {
            invisible: HIDDEN_FOR,
            ..Receive::new("reader", "kept")
        };
        let mut delivered = 0;
        while delivered < KEPT {
            delivered += client.receive(&receive).await.unwrap().messages.len();
        }
        for _ in 0..BULK_SENDS {
            client
                .send_ok(message("bulk", vec![b'b'; BULK_BYTES]))
                .await
                .unwrap();
        }
    });
    assert!(broker.stop().unwrap().success());
    let folder = tempfile::tempdir_in(broker.data_dir().parent().unwrap().parent().unwrap()).unwrap();
    copy(broker.data_dir(), &folder.path().join("data")).unwrap();
    folder
}

/// A broker over a copy that begins to give back, with this done to its helper.
fn giving_back(folder: &Path, injection: Option<&Injection>) -> (Broker, Strace) {
    let broker = setup()
        .start_over(|data| copy(&folder.join("data"), data))
        .unwrap();
    let strace = match injection {
        Some(injection) => Strace::inject(&numbers(&broker, &[HELPER]), injection),
        // Of one thread alone strace does not say which it is.
        None => Strace::count(&numbers(&broker, &WRITERS)),
    };
    broker.rewrite_config("retentionBytes: 1MiB\n").unwrap();
    (broker, strace.unwrap())
}

fn nth(what: Injected, nth: u32) -> Injection {
    Injection {
        call: "ftruncate",
        what,
        when: When::Nth(nth),
    }
}

/// Everything that waits comes.
fn has_what_waits(broker: &mut Broker, what: &str) {
    let wanted: BTreeSet<String> = (0..KEPT).map(|number| format!("kept {number}")).collect();
    let came: Result<_> = block_on(async {
        let client = Client::new(&broker.endpoint()).unwrap();
        let mut came = BTreeSet::new();
        while came.len() < wanted.len() {
            let receive = Receive {
                poll: HIDDEN_FOR,
                ..Receive::new("reader", "kept")
            };
            let received = client.receive(&receive).await?.messages;
            ensure!(!received.is_empty(), "no more comes than {came:?}");
            let bodies = received
                .iter()
                .map(|message| String::from_utf8_lossy(&message.body));
            came.extend(bodies.map(String::from));
        }
        Ok(came)
    });
    assert_eq!(
        came.unwrap_or_else(|error| panic!("{what}: {error:#}")),
        wanted,
        "{what}"
    );
}

/// Whether few segments are left, two of them for the next ones, and none that has no name any more.
fn has_given_back(broker: &Broker) -> bool {
    let segments = std::fs::read_dir(broker.shard_dir().join("log")).unwrap();
    let segments = segments.filter(|file| {
        file.as_ref()
            .unwrap()
            .path()
            .extension()
            .is_some_and(|ending| ending == "seg")
    });
    let open = std::fs::read_dir(format!("/proc/{}/fd", broker.id().unwrap())).unwrap();
    let mut open = open.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    let is_given_up = |file: PathBuf| {
        file.to_string_lossy().contains("/log/") && file.to_string_lossy().ends_with("(deleted)")
    };
    segments.count() <= 3 && !open.any(is_given_up)
}

/// How many pieces a run gives back that nothing happens to.
fn pieces(folder: &Path) -> u32 {
    let (mut broker, strace) = giving_back(folder, None);
    wait::until_true("all has been given back", WITHIN, || has_given_back(&broker)).unwrap();
    assert!(broker.stop().unwrap().success());
    let counts = strace.detach().unwrap().counts;
    counts[&(HELPER.to_owned(), "ftruncate")]
}

fn is_killed_at(folder: &Path, at: u32, what: &str) {
    let (mut broker, strace) = giving_back(folder, Some(&nth(Injected::Kill, at)));
    let ended = broker.wait_for_end().unwrap();
    assert_eq!(ended.signal(), Some(SIGKILL), "{what}: {ended}");
    drop(strace);
    broker
        .restart()
        .unwrap_or_else(|error| panic!("{what}: {error:#}"));
    has_what_waits(&mut broker, what);
}

fn is_refused_at(folder: &Path, at: u32, error: &'static str, what: &str) {
    let (mut broker, strace) = giving_back(folder, Some(&nth(Injected::Error(error), at)));
    wait::until_true("the broker says so", WITHIN, || {
        broker.log().unwrap().contains(GOES_AT_ONCE)
    })
    .unwrap_or_else(|error| panic!("{what}: {error:#}"));
    has_what_waits(&mut broker, what);
    drop(strace);
    assert!(broker.stop().unwrap().success(), "{what}: it goes on");
}

#[test]
fn a_broker_that_is_killed_or_refused_while_it_gives_back_the_disk_in_pieces_has_all_that_waits() {
    let seed = seed::from_environment().unwrap();
    let mut chance = Chance::new(seed);
    let folder = full();
    let pieces = pieces(folder.path());
    println!("SLUICE_SEED={seed}: {pieces} pieces");
    assert!(pieces >= PIECES_AT_LEAST);
    for error in [None, Some("EIO"), Some("ENOSPC")] {
        let some = chance.between(1, u64::from(PIECES_AT_LEAST)) as u32;
        for at in if is_long() {
            1..=PIECES_AT_LEAST
        } else {
            some..=some
        } {
            let what = format!("SLUICE_SEED={seed}, {} at piece {at}", error.unwrap_or("killed"));
            match error {
                None => is_killed_at(folder.path(), at, &what),
                Some(error) => is_refused_at(folder.path(), at, error, &what),
            }
        }
    }
}
