//! README.md: from a clone to the first message.

use std::time::Duration;

use crate::machine::Machine;
use sluice_tests::pages;

const HEADING: &str = "Run it";
/// What a newcomer is promised, from when it is built.
const PROMISED: Duration = Duration::from_secs(120);

#[test]
fn a_newcomer_sends_and_receives_a_first_message_within_two_minutes() {
    let blocks = pages::of("README.md").unwrap();
    let blocks: Vec<_> = blocks.iter().filter(|block| block.heading == HEADING).collect();
    assert!(blocks.len() > 1, "README.md has no commands under {HEADING:?}");
    let mut machine = Machine::start().unwrap();
    let took: Duration = blocks
        .iter()
        .map(|block| machine.run_block("README.md", block).unwrap())
        .sum();
    println!("the first message has come after {took:?}");
    assert!(took < PROMISED, "{took:?}");
}
