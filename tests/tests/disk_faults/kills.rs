//! Killed at each call that changes a file or makes it durable, the broker starts again with everything acknowledged.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use sluice_tests::process::{Broker, Setup};
use sluice_tests::script::{Base, Script};
use sluice_tests::seed::{self, Chance};
use sluice_tests::strace::{Injected, Strace, from_the_start};

use crate::block_on;
use crate::points::{self, Point, Reached, Sample};

const RUN_TIME: Duration = Duration::from_secs(35);
const START_TIME: Duration = Duration::from_secs(15);
const SIGKILL: i32 = 9;

/// Kills a run at a point; the killed broker, unless the run was over before.
fn killed_at(base: &Base, script: &Script, point: &Point) -> Option<Broker> {
    let mut broker = base.start(Setup::new()).unwrap();
    let thread = points::numbers(&broker, &[&point.thread]);
    let strace = Strace::inject(&thread, &point.injected(Injected::Kill)).unwrap();
    block_on(script.run(&broker.endpoint())).unwrap();
    if broker.runs().unwrap() {
        broker.signal_term().unwrap();
    }
    let status = broker.wait_for_end().unwrap();
    drop(strace);
    if status.success() {
        return None;
    }
    assert_eq!(status.signal(), Some(SIGKILL), "{point:?}: {status}");
    Some(broker)
}

/// The broker starts, and everything is there.
fn recovers(broker: &mut Broker, script: &Script, base: &Base, what: &str) {
    broker
        .restart()
        .unwrap_or_else(|error| panic!("{what}: {error:#}"));
    let verdict = block_on(script.audit(broker, base)).unwrap_or_else(|error| panic!("{what}: {error:#}"));
    assert!(verdict.is_clean(), "{what}: {verdict}");
}

#[test]
fn a_broker_killed_at_any_call_that_changes_a_file_has_everything_acknowledged_when_it_starts_again() {
    let seed = seed::from_environment().unwrap();
    let mut chance = Chance::new(seed);
    let base = block_on(Base::make()).unwrap();
    let counts = points::of_a_run(&base, seed);
    println!("a run makes {counts:?}");
    let mut sample = Sample::of(points::all(&counts), RUN_TIME, &mut chance);
    let (mut killed, mut how) = (BTreeMap::<_, u32>::new(), Reached::default());
    for point in &mut sample {
        let reached = points::reach(&point, |point| {
            let script = Script::new(chance.number());
            killed_at(&base, &script, point).map(|broker| (script, broker))
        });
        how.note(&point, reached.as_ref().map(|(at, _)| at));
        let Some((at, (script, mut broker))) = reached else {
            continue;
        };
        let what = format!("SLUICE_SEED={seed}, killed at {at:?}");
        recovers(&mut broker, &script, &base, &what);
        *killed.entry((at.thread, at.call)).or_default() += 1;
    }
    let (kills, of) = (killed.values().sum::<u32>(), sample.total());
    println!("{kills} kills of {of} points, {how}: {killed:?}");
    how.assert_few_missed();
    let kinds = killed.keys().map(|(thread, call)| (thread.as_str(), *call));
    points::assert_all_reached(&points::OF_EVERY_RUN, kinds);
}

#[test]
fn a_broker_killed_at_any_call_of_its_start_or_stop_has_everything_acknowledged_when_it_starts_again() {
    let seed = seed::from_environment().unwrap();
    let mut chance = Chance::new(seed);
    let base = block_on(Base::make()).unwrap();
    let (script, mut broker) = left_by_a_kill(&base, &mut chance);
    damage_newest_checkpoint(&broker.shard_dir());
    let counts = points::of_a_start(&mut broker);
    println!("a start makes {counts:?}");
    let mut sample = Sample::of(points::all(&counts), START_TIME, &mut chance);
    drop((script, broker));
    let (mut killed, mut how) = (BTreeMap::<_, u32>::new(), Reached::default());
    for point in &mut sample {
        let reached = points::reach(&point, |point| {
            let (script, mut broker) = left_by_a_kill(&base, &mut chance);
            // Then it goes on from an older one, and cuts off what files have beyond that.
            if point.call == "ftruncate" || chance.number().is_multiple_of(2) {
                damage_newest_checkpoint(&broker.shard_dir());
            }
            let calls = broker.data_dir().with_extension("calls");
            let words = from_the_start(Some(&point.injected(Injected::Kill)), &calls);
            broker.spawn_under(words).unwrap();
            let ended = broker.ready_or_ended().unwrap();
            let status = ended.unwrap_or_else(|| broker.stop().unwrap());
            if status.success() {
                return None;
            }
            assert_eq!(status.signal(), Some(SIGKILL), "{point:?}: {status}");
            Some((script, broker))
        });
        how.note(&point, reached.as_ref().map(|(at, _)| at));
        let Some((at, (script, mut broker))) = reached else {
            continue;
        };
        let what = format!("SLUICE_SEED={seed}, killed while starting or stopping at {at:?}");
        recovers(&mut broker, &script, &base, &what);
        *killed.entry((at.thread, at.call)).or_default() += 1;
    }
    let (kills, of) = (killed.values().sum::<u32>(), sample.total());
    println!("{kills} kills of {of} points, {how}: {killed:?}");
    how.assert_few_missed();
    let kinds = killed.keys().map(|(thread, call)| (thread.as_str(), *call));
    points::assert_all_reached(&points::OF_EVERY_START, kinds);
}

/// A start passes over it.
pub fn damage_newest_checkpoint(shard: &Path) {
    let files = std::fs::read_dir(shard.join("checkpoint")).unwrap();
    let roots = files.map(|file| file.unwrap().path());
    let roots = roots.filter(|path| path.extension().is_some_and(|ending| ending == "root"));
    let newest = roots.max().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
}

/// A run that is killed somewhere in its middle, with a torn group, perhaps, and a part of what retention gives up gone.
pub fn left_by_a_kill(base: &Base, chance: &mut Chance) -> (Script, Broker) {
    loop {
        let script = Script::new(chance.number());
        let point = Point {
            thread: "log".to_owned(),
            call: "pwritev",
            nth: chance.between(20, 60) as u32,
        };
        if let Some(broker) = killed_at(base, &script, &point) {
            return (script, broker);
        }
    }
}
