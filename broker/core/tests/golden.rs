//! Golden logs: for each level a fixed script of its kinds of command. Their bytes, answers, digests and the state they
//! lead to are pinned in `golden/level-N.*`, so that a change of a format or of what apply does at a level is noticed.
//!
//! Logs in the field hold these bytes. Do not regenerate the files to make a test pass: a new behaviour needs a new
//! level and a new script. Until levels 2 and 3 are released, `SLUICE_GOLDEN=write` writes their files anew; never those of
//! level 1.
#![cfg(test)]

mod common;
#[path = "golden/script.rs"]
mod script;
#[path = "golden/script_2.rs"]
mod script_2;
#[path = "golden/script_3.rs"]
mod script_3;

use common::{Queues, encoded};
use sluice_core::command::check;
use sluice_core::ids::{LogIndex, PhysicalOffset, QueueOffset, Term};
use sluice_core::state::{CommandAt, ShardKey, State};
use std::fmt::Write;
use std::path::PathBuf;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// One line a command: where it stands, what it is called, its bytes.
fn script_lines(frames: Vec<script::Frame>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut physical = 0_u64;
    for (index, (term, commands)) in frames.into_iter().enumerate() {
        physical += 48;
        for (place, (name, bytes)) in commands.into_iter().enumerate() {
            lines.push(format!(
                "{term} {index} {place} {physical} {name} {}",
                hex(&bytes)
            ));
            physical += bytes.len() as u64;
        }
        physical = physical.next_multiple_of(8);
    }
    lines
}

/// Applies the lines; answers the state and one line of outcome for each command.
fn apply(lines: &[String]) -> (State, Vec<String>) {
    let (mut state, mut queues) = (State::new(), Queues::default());
    let mut outcomes = Vec::new();
    let mut frame: Option<(Term, LogIndex)> = None;
    for line in lines {
        let fields: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| fields[at].parse::<u64>().unwrap();
        let (term, index) = (Term(number(0)), LogIndex(number(1)));
        if let Some((term, last)) = frame.filter(|(_, last)| *last != index) {
            state.end_frame(term, last);
        }
        frame = Some((term, index));
        let at = CommandAt {
            index,
            place: number(2) as u16,
            physical: PhysicalOffset(number(3)),
        };
        let answer = state.apply(at, &unhex(fields[5]), &mut queues);
        outcomes.push(format!("{} {:016x} {answer:?}", fields[4], state.digest()));
    }
    if let Some((term, last)) = frame {
        state.end_frame(term, last);
    }
    for (at, entries) in &queues.0 {
        for (offset, entry) in entries.iter().enumerate() {
            let bytes = hex(&entry.encode());
            outcomes.push(format!("entry {} {} {offset} {bytes}", at.topic, at.queue));
        }
    }
    for (at, entries) in &queues.0 {
        for (offset, entry) in entries.iter().enumerate() {
            let now = queues.current(*at, QueueOffset(offset as u64));
            if now != Some(*entry) {
                let bytes = now.map_or_else(|| "gone".to_owned(), |entry| hex(&entry.encode()));
                outcomes.push(format!("now {} {} {offset} {bytes}", at.topic, at.queue));
            }
        }
    }
    (state, outcomes)
}

/// One line a part of state.
fn state_lines(state: &mut State) -> Vec<String> {
    let header = state.snapshot().header;
    let mut lines = vec![
        format!("digest {:016x}", state.digest()),
        format!("header {}", hex(&header)),
    ];
    for (key, bytes) in encoded(state) {
        let (kind, [a, b, c]) = key.to_numbers();
        lines.push(format!("part {kind} {a} {b} {c} {}", hex(&bytes)));
    }
    lines
}

/// The lines of a pinned file; writes `now` there first when asked to.
fn pinned(name: &str, now: &[String]) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if !name.starts_with("level-1") && std::env::var("SLUICE_GOLDEN").as_deref() == Ok("write") {
        let mut text = String::new();
        now.iter().for_each(|line| writeln!(text, "{line}").unwrap());
        std::fs::write(&path, text).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn assert_lines(found: &[String], expected: &[String], what: &str) {
    for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found, expected, "{what}, line {}", number + 1);
    }
    assert_eq!(found.len(), expected.len(), "lines of {what}");
}

/// All in one, for all files are written together when they are.
fn keeps(level: &str, frames: Vec<script::Frame>) {
    let lines = script_lines(frames);
    let commands = pinned(&format!("{level}.commands.txt"), &lines);
    assert_lines(&lines, &commands, "what encoders write");

    let (mut state, outcomes) = apply(&commands);
    let expected = pinned(&format!("{level}.outcomes.txt"), &outcomes);
    assert_lines(&outcomes, &expected, "what apply answers");

    let parts = state_lines(&mut state);
    let expected = pinned(&format!("{level}.state.txt"), &parts);
    assert_lines(&parts, &expected, "the state's parts");

    let mut back = restore(&expected);
    assert_lines(&state_lines(&mut back), &expected, "the restored state's parts");
}

#[test]
fn level_1_keeps_its_bytes_answers_digests_and_state() {
    keeps("level-1", script::frames());
}

#[test]
fn level_2_keeps_its_bytes_answers_digests_and_state() {
    keeps("level-2", script_2::frames());
}

#[test]
fn level_3_keeps_its_bytes_answers_digests_and_state() {
    keeps("level-3", script_3::frames());
}

fn restore(lines: &[String]) -> State {
    let (mut header, mut parts) = (Vec::new(), Vec::new());
    for line in lines {
        let fields: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| fields[at].parse().unwrap();
        match fields[0] {
            "header" => header = unhex(fields[1]),
            "part" => {
                let key = ShardKey::from_numbers(number(1) as u8, [number(2), number(3), number(4)]);
                parts.push((key.unwrap(), unhex(fields[5])));
            }
            _ => {}
        }
    }
    State::restore(&header, parts.iter().map(|(key, bytes)| (*key, bytes.as_slice()))).unwrap()
}

#[test]
fn the_scripts_hold_every_kind_and_all_but_the_malformed_prove_themselves() {
    let all = [
        (script::frames(), vec![1, 2, 3, 4, 5, 16, 17, 18, 19, 20, 21, 22]),
        (script_2::frames(), vec![1, 6, 7, 8, 9, 10, 11, 17, 23]),
        (script_3::frames(), vec![1, 6, 16, 17, 20, 24, 25, 26]),
    ];
    for (frames, expected) in all {
        let mut kinds = std::collections::BTreeSet::new();
        for (name, bytes) in frames.into_iter().flat_map(|(_, commands)| commands) {
            let malformed = name.starts_with("malformed");
            assert_eq!(check(&bytes).is_ok(), !malformed, "{name}");
            kinds.insert(bytes[8]);
        }
        for kind in expected {
            assert!(kinds.contains(&kind), "kind {kind}");
        }
    }
}
