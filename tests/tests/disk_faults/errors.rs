//! Errors of the disk at any call of the broker's writing threads: one that cannot be trusted any more ends the process, one
//! that is full refuses and goes on, and neither loses what was acknowledged or keeps what was refused.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use sluice_tests::client::{Client, message};
use sluice_tests::process::Setup;
use sluice_tests::script::{Base, OLD as OTHER, Script};
use sluice_tests::seed::{self, Chance};
use sluice_tests::strace::{Injected, Strace};
use sluice_tests::wait;

use crate::block_on;
use crate::points::{self, Point, Reached, Sample};

/// For each kind of error.
const TIME: Duration = Duration::from_secs(15);
/// What the process ends with when its store has failed.
const STORE_FAILED: i32 = 3;
/// What the broker says of a sparse index that it could not write.
const NO_SPARSE_INDEX: &str = "a sparse index is not written";
/// A disk that was full once counts as full until it is looked at again.
const TAKEN_AGAIN_WITHIN: Duration = Duration::from_secs(30);

/// What must come of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Comes {
    /// The process ends with [`STORE_FAILED`].
    Ends,
    /// It goes on, and sends may be refused.
    GoesOn,
}

/// A failed sync is never to be trusted again, whatever its reason; elsewhere a full disk has done nothing. Where else the
/// checkpoint's thread finds the disk at fault, it hangs on what it was about: the index is sorted again, and a name that
/// cannot be taken away is tried again. The log's thread goes on only without a sparse index, and says so.
fn must_come(point: &Point, error: &str, log: &str) -> &'static [Comes] {
    match (point.thread.as_str(), point.call, error) {
        (_, "fdatasync" | "fsync" | "syncfs", _) => &[Comes::Ends],
        ("checkpoint", _, "EIO") => &[Comes::Ends, Comes::GoesOn],
        ("log", _, "EIO") if log.contains(NO_SPARSE_INDEX) => &[Comes::GoesOn],
        (_, _, "EIO") => &[Comes::Ends],
        _ => &[Comes::GoesOn],
    }
}

/// Waits until a send is taken.
async fn takes_sends(endpoint: &str) -> Result<()> {
    let client = Client::new(endpoint)?;
    wait::until_async("sends are taken again", TAKEN_AGAIN_WITHIN, async || {
        client.send_ok(message(OTHER, "afterwards")).await.map(Some)
    })
    .await?;
    Ok(())
}

/// One run with an error at a point: what came, and what may have come; `None` if the run was over before.
fn run_with(base: &Base, point: &Point, error: &'static str, seed: u64) -> Option<(Comes, &'static [Comes])> {
    let what = format!("SLUICE_SEED={seed}, {error} at {point:?}");
    let script = Script::new(seed);
    let mut broker = base.start(Setup::new()).unwrap();
    let thread = points::numbers(&broker, &[&point.thread]);
    let strace = Strace::inject(&thread, &point.injected(Injected::Error(error))).unwrap();
    block_on(script.run(&broker.endpoint())).unwrap();
    if broker.runs().unwrap() {
        // It may end just now, by the fault.
        let taken = block_on(takes_sends(&broker.endpoint()));
        assert!(taken.is_ok() || !broker.runs().unwrap(), "{what}: {taken:?}");
        let _ = broker.signal_term();
    }
    let status = broker.wait_for_end().unwrap();
    let injected = strace.detach().unwrap().injected;
    let came = match (status.code(), injected) {
        (Some(0), 0) => None,
        (Some(0), _) => Some(Comes::GoesOn),
        (Some(STORE_FAILED), 1..) => Some(Comes::Ends),
        _ => panic!("{what}: {status}"),
    };
    let must_come = must_come(point, error, &broker.log().unwrap());
    let count = script.verdict().count;
    if came == Some(Comes::GoesOn) {
        assert_eq!(count.unknown_sends, 0, "{what}: {count:?}");
    }
    broker
        .restart()
        .unwrap_or_else(|error| panic!("{what}: {error:#}"));
    let verdict =
        block_on(script.audit(&mut broker, base)).unwrap_or_else(|error| panic!("{what}: {error:#}"));
    assert!(verdict.is_clean(), "{what}: {verdict}");
    came.map(|came| (came, must_come))
}

#[test]
fn an_error_at_any_call_ends_the_process_or_is_refused_and_loses_nothing() {
    let seed = seed::from_environment().unwrap();
    let mut chance = Chance::new(seed);
    let base = block_on(Base::make()).unwrap();
    let points = points::all(&points::of_a_run(&base, seed));
    let mut wrong = Vec::new();
    for error in ["EIO", "ENOSPC"] {
        let (mut came, mut how) = (BTreeMap::<_, u32>::new(), Reached::default());
        for point in Sample::of(points.clone(), TIME, &mut chance) {
            let run = |point: &Point| run_with(&base, point, error, chance.number());
            let reached = points::reach(&point, run);
            how.note(&point, reached.as_ref().map(|(at, _)| at));
            let Some((at, (comes, must_come))) = reached else {
                continue;
            };
            if !must_come.contains(&comes) {
                wrong.push(format!("{error} at {at:?}: {comes:?}"));
            }
            *came.entry((comes, at.thread, at.call)).or_default() += 1;
        }
        println!("SLUICE_SEED={seed}: {error}: {how}: {came:?}");
        how.assert_few_missed();
        let kinds = came.keys().map(|(_, thread, call)| (thread.as_str(), *call));
        points::assert_all_reached(&points::OF_EVERY_RUN, kinds);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
