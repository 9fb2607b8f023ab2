//! Commands of the log, applied one after the other: whatever stands in one, it is applied or refused, and a refused one changes
//! nothing. They come from the golden logs, so that there are topics, groups and deliveries that a damaged one can be about.
//!
//! ```text
//! for each command: len u16 little-endian | the command, whose checksum nobody looks at here
//! ```

use crate::fuzz::bounds::{bounded, measured, worded};
use crate::fuzz::case::Case;
use crate::fuzz::run::{Checked, Verdict};
use crate::fuzz::{damage, draw, regressions};
use anyhow::ensure;
use bolero::{Driver, ValueGenerator};
use sluice_core::command::{COMMAND_HEADER_BYTES, Command};
use sluice_core::entry::QueueEntry;
use sluice_core::ids::{GroupQueueId, LogIndex, PhysicalOffset, QueueOffset, TimeMs, TopicQueue};
use sluice_core::state::{Applied, Changed, CommandAt, Effects, State};
use std::collections::BTreeMap;
use std::sync::LazyLock;

const MEMORY_BYTES_LEAST: usize = 1024;
/// For each byte of a command: an item of some numbers takes a byte for each of them.
const MEMORY_BYTES_EACH: usize = 64;
const GOLDEN: [&str; 3] = [
    include_str!("../../../core/tests/golden/level-1.commands.txt"),
    include_str!("../../../core/tests/golden/level-2.commands.txt"),
    include_str!("../../../core/tests/golden/level-3.commands.txt"),
];
static LOGS: LazyLock<[Vec<Vec<u8>>; 3]> =
    LazyLock::new(|| GOLDEN.map(|log| log.lines().map(golden).collect()));

type Apply = fn(&mut State, CommandAt, &[u8], &mut Offsets) -> Applied;

fn apply(state: &mut State, at: CommandAt, command: &[u8], effects: &mut Offsets) -> Applied {
    state.apply(at, command, effects)
}

/// The command at the end of a line.
fn golden(line: &str) -> Vec<u8> {
    let digits = line.rsplit(' ').next().unwrap_or_default();
    regressions::read(digits).expect("golden logs are in hexadecimal")
}

/// Sees that a queue's offsets have no holes.
#[derive(Default)]
struct Offsets {
    next: BTreeMap<TopicQueue, u64>,
    hole: Option<(TopicQueue, u64)>,
}

impl Effects for Offsets {
    fn entry(&mut self, at: TopicQueue, offset: QueueOffset, _: &QueueEntry) {
        let next = self.next.entry(at).or_default();
        if offset.0 != *next {
            self.hole = Some((at, offset.0));
        }
        *next = offset.0.wrapping_add(1);
    }

    fn ready(&mut self, _: GroupQueueId, _: TimeMs) {}

    fn unlocked(&mut self, _: GroupQueueId, _: u32) {}

    fn moved(&mut self, _: GroupQueueId) {}

    fn changed(&mut self, _: Changed) {}

    fn carried(&mut self, _: TopicQueue, _: QueueOffset, _: &QueueEntry) {}

    fn trimmed(&mut self, _: TopicQueue, _: QueueOffset) {}

    fn dropped(&mut self, _: TopicQueue, _: QueueOffset) {}
}

struct Scripts;

impl ValueGenerator for Scripts {
    type Output = Case<()>;

    fn generate<D: Driver>(&self, driver: &mut D) -> Option<Self::Output> {
        let log = &LOGS[draw::below(driver, LOGS.len())?];
        let mut bytes = Vec::new();
        for command in log {
            let mut command = command.clone();
            match draw::below(driver, 16)? {
                0 => {
                    let other = &log[draw::below(driver, log.len())?];
                    let mut content = command.split_off(COMMAND_HEADER_BYTES);
                    damage::some(driver, &mut content, &other[COMMAND_HEADER_BYTES..])?;
                    command.extend(content);
                }
                1 => continue,
                2 => command.clone_from(&log[draw::below(driver, log.len())?]),
                _ => {}
            }
            command.truncate(usize::from(u16::MAX));
            bytes.extend_from_slice(&(command.len() as u16).to_le_bytes());
            bytes.extend_from_slice(&command);
        }
        Some(Case { bytes, origin: () })
    }
}

fn commands(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut commands = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<2>() {
        let (command, rest) = rest.split_at(usize::from(u16::from_le_bytes(*len)).min(rest.len()));
        commands.push(command);
        bytes = rest;
    }
    commands
}

fn check(bytes: &[u8], apply: Apply) -> Checked {
    let commands = commands(bytes);
    // One command an input is looked at in its whole effect: all of them would take most of the time.
    let watched = bytes.len() % commands.len().max(1);
    let (mut state, mut effects, mut verdict) = (State::new(), Offsets::default(), Verdict::Refused);
    let mut at = CommandAt {
        index: LogIndex(0),
        place: 0,
        physical: PhysicalOffset(48),
    };
    for (place, command) in commands.iter().enumerate() {
        let (decoded, took) = measured(|| Command::decode(command).map(drop));
        bounded(took, command.len(), MEMORY_BYTES_LEAST, MEMORY_BYTES_EACH)?;
        let before = (place == watched).then(|| encoded(&state));
        let (now, level) = (state.now(), state.level());
        let applied = apply(&mut state, at, command, &mut effects);
        ensure!(
            state.now() >= now && state.level() >= level,
            "time or level of the state goes back"
        );
        ensure!(
            decoded.is_ok() || applied.is_err(),
            "a command is applied that cannot be decoded"
        );
        if let Err(refused) = &applied {
            worded(refused)?;
            let changed = before.is_some_and(|before| before != encoded(&state));
            ensure!(
                !changed,
                "a command changes the state that was refused: {refused}"
            );
        }
        if place == watched && applied.is_ok() {
            verdict = Verdict::Taken;
        }
        ensure!(effects.hole.is_none(), "a hole in a queue: {:?}", effects.hole);
        at.physical.0 += command.len() as u64;
    }
    Ok(verdict)
}

fn encoded(state: &State) -> Vec<Vec<u8>> {
    let views = state.all_views();
    let bytes = views.iter().map(|(_, view)| {
        let mut out = Vec::new();
        view.encode(&mut out);
        out
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::run;
    use sluice_core::command::{CreateTopic, Types};

    #[test]
    fn a_command_is_applied_or_refused_and_then_changes_nothing() {
        run::holds("command", Scripts, |case| check(&case.bytes, apply));
    }

    #[test]
    fn what_once_failed_is_replayed() {
        regressions::replay("command", |bytes| check(bytes, apply));
    }

    #[test]
    fn a_planted_apply_that_makes_a_topic_of_a_refusal_is_found() {
        fn careless(state: &mut State, at: CommandAt, command: &[u8], effects: &mut Offsets) -> Applied {
            let applied = apply(state, at, command, effects);
            if applied.is_err() {
                let topic = CreateTopic {
                    name: format!("topic-{}", state.digest()),
                    queues: 1,
                    types: Types::ALL,
                };
                let _ = apply(state, at, topic.encode(state.now()).as_bytes(), effects);
            }
            applied
        }
        let found = run::finds(Scripts, |case| check(&case.bytes, careless));
        assert!(found.contains("that was refused"), "{found}");
    }
}
