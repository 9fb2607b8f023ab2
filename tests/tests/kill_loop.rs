//! `kill -9` in a loop under load, judged by a checker that knows every acknowledged message (D2); and the checker judged
//! by brokers that are wrong on purpose.
#![cfg(test)]

use std::time::Duration;

use sluice_tests::kills::{Campaign, Report};
use sluice_tests::process::Setup;
use sluice_tests::workload::{Shape, init_yaml};
use sluice_tests::{binaries, seed};

/// Names how many kills there are.
const KILLS: &str = "SLUICE_KILLS";
const KILLS_DEFAULT: u32 = 100;
/// Sends, receives and acknowledgements a second that each kill must interrupt.
const AT_LEAST: f64 = 5000.0;
/// With a planted fault: checkpoints and segments need not be met, only the fault.
const KILLS_WITH_FAULT: u32 = 6;
/// How often the broker may refuse to start before the checker saw anything.
const SEEDS_WITH_FAULT: u64 = 5;
const FAULT: &str = "SLUICE_PLANTED_FAULT";

/// Segments and checkpoints so small that both change about once a second.
fn setup() -> Setup {
    Setup::new()
        .flag("--segment-size", "4MiB")
        .flag("--checkpoint-bytes", "1MiB")
        .flag("--checkpoint-seconds", "1")
        .init(&init_yaml())
}

fn shape() -> Shape {
    Shape {
        sends_a_second: 6600,
        producers: 32,
        consumers: 6,
        push_consumers: 1,
    }
}

fn kills() -> u32 {
    std::env::var(KILLS).map_or(KILLS_DEFAULT, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{KILLS}={text} is no number"))
    })
}

/// The load has two threads of its own; the one that calls kills.
fn run(campaign: Campaign) -> Report {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(campaign.run()).unwrap()
}

fn run_with_fault(fault: &str, seed: u64) -> Report {
    let report = run(Campaign {
        setup: setup()
            .binary(&binaries::faulty_broker().unwrap())
            .environment(FAULT, fault),
        shape: shape(),
        at_least: 1000.0,
        kills: KILLS_WITH_FAULT,
        seed,
        deliver_within: Duration::from_secs(5),
        until_violation: true,
    });
    println!("{fault}: {report}");
    report
}

#[test]
fn nothing_acknowledged_is_lost_nothing_is_invented_and_order_is_kept_over_kills_under_load() {
    let kills = kills();
    let report = run(Campaign {
        setup: setup(),
        shape: shape(),
        at_least: AT_LEAST,
        kills,
        seed: seed::from_environment().unwrap(),
        // What was on its way to a push consumer at the last kill is hidden for a minute.
        deliver_within: Duration::from_secs(120),
        until_violation: false,
    });
    println!("{report}");
    assert!(report.verdict.is_clean(), "{}", report.verdict);
    assert_eq!(report.rounds.len(), kills as usize);
    let some = kills as usize / 10;
    assert!(
        report.during_checkpoint() >= some,
        "too few kills fell into a checkpoint"
    );
    assert!(
        report.during_roll() >= some,
        "too few kills fell into a segment's beginning"
    );
}

/// The checker names the rules that such a fault breaks. A broker that notices the damage itself and refuses to start
/// leaves the checker nothing to see: another seed is tried then.
fn assert_found(fault: &str, kinds: &[&str]) {
    let first = seed::from_environment().unwrap();
    for seed in (0..SEEDS_WITH_FAULT).map(|more| first.wrapping_add(more)) {
        let report = run_with_fault(fault, seed);
        if kinds.iter().all(|kind| report.verdict.kinds.contains_key(*kind)) {
            return;
        }
        assert!(
            report.refused.is_some(),
            "{fault} breaks the rules {kinds:?}: {report}"
        );
    }
    panic!("{fault}: the broker refused to start for each of {SEEDS_WITH_FAULT} seeds from {first}");
}

#[test]
fn the_checker_finds_a_broker_that_skips_its_syncs() {
    assert_found("skip-sync", &["TwoMessagesAtOnePlace"]);
}

#[test]
fn the_checker_finds_a_broker_that_applies_twice() {
    assert_found("double-apply", &["TwoPlacesOfOneMessage"]);
}
