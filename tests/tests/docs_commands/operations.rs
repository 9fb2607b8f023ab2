//! docs/operations.md, from its first command to its last.

use std::time::Duration;

use serde_json::json;
use sluice_tests::driver::{Driver, Event, Language};

use crate::machine::Machine;
use sluice_tests::pages;

const PAGE: &str = "docs/operations.md";
/// Where somebody is to be slow.
const CONSUMERS: &str = "Slow consumers";

#[test]
fn the_commands_of_the_operations_guide_do_what_it_says() {
    let blocks = pages::of(PAGE).unwrap();
    assert!(
        blocks.len() > 20,
        "{PAGE} has {} blocks of commands",
        blocks.len()
    );
    assert!(blocks.iter().any(|block| block.heading == CONSUMERS));
    let mut machine = Machine::start().unwrap();
    let mut consumer = None;
    for block in &blocks {
        let is_slow = block.heading == CONSUMERS;
        if is_slow && consumer.is_none() {
            consumer = Some(slow_consumer(&machine));
        }
        if !is_slow {
            consumer = None;
        }
        machine.run_block(PAGE, block).unwrap();
    }
}

/// A Java client of the group that the page is about, which takes its time over what it is given.
fn slow_consumer(machine: &Machine) -> Driver {
    let driver = Driver::start_within(&machine.enter().unwrap(), Language::Java).unwrap();
    let consumer = json!({
        "do": "push-consumer", "name": "slow", "endpoints": "localhost:8081", "group": "billing",
        "subscriptions": {"orders": "*"}, "holdMs": 50,
    });
    driver.call(consumer).unwrap();
    let holds = |events: &[Event]| (!events.is_empty()).then_some(());
    driver
        .wait_for("it is given something", Duration::from_secs(30), holds)
        .unwrap();
    driver
}
