//! What ten million messages in flight cost: memory, checkpoints, and the start after a kill.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::Setup;
use super::load::{self, number};
use super::sections::with_peak_memory;
use super::server::Server;
use super::table::{Goal, Table};

const QUEUES: u64 = 8;
const GROUPS: &str = "1000";
/// Of each queue for each group: 8 × 1,000 × 1,250 are ten million.
const EACH: u64 = 1250;
/// A group's messages are a thousandth of all: so many groups more are a change of one in a hundred.
const MORE_GROUPS: &str = "10";
/// Of each queue for each group: another hundredth, of which every part of state has a share.
const EACH_MORE: u64 = 13;
/// So many of these changes one after the other, with a checkpoint behind each: what a checkpoint adds to a part of state grows
/// with each of them until the part is written whole again, which the first few would not show.
const CHANGES: usize = 15;
/// So many of them are made once more where their checkpoint was not the only one.
const REPEATED_MAX: u64 = 3;
/// Longer than the section takes: no checkpoint falls into a change.
const NO_CHECKPOINTS: &str = "checkpointSeconds=86400";
/// As soon as anything has changed, but not twice in a second.
const CHECKPOINTS_AT_ONCE: &str = "checkpointSeconds=1";
const MEMORY: &str = "while a checkpoint of them is written, at most: MiB";
const MEMORY_CHANGED: &str = "while 2 % more come, with checkpoints, at most: MiB";
const CHANGED: &str = "one in a hundred changed: % of the state";
const HELD_UP: &str = "apply held up by a checkpoint, at most: ms";
const READY_AFTER: &str = "killed: ready again after s";
const FIRST: &str = "first";
const MEAN: &str = "mean";
const LARGEST: &str = "largest";
const SHARE: &str = "% of the state";
/// Of the state, in hundredths: a checkpoint after a change of one in a hundred.
const CHANGE_MAX: f64 = 5.0;
/// The same where such changes go on: parts with large patches are written whole in turn (ADR 0010).
const LASTING_MAX: f64 = 25.0;
const CHECKPOINT_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(200);
const MIB: f64 = (1 << 20) as f64;

/// Measures it once for each run: all figures, and of each checkpoint behind a change of all parts its share of the state.
pub fn measure(setup: &Setup) -> Result<Vec<Table>> {
    let mut table = Table::new(format!(
        "{GROUPS} groups × {QUEUES} queues × {EACH} messages in flight"
    ))
    .with_goal(MEMORY, Goal::AtMost(1024.0))
    .with_goal(MEMORY_CHANGED, Goal::AtMost(1024.0))
    .with_goal(CHANGED, Goal::AtMost(CHANGE_MAX))
    .with_goal(&each_changed(FIRST, SHARE), Goal::AtMost(CHANGE_MAX))
    .with_goal(&each_changed(LARGEST, SHARE), Goal::AtMost(LASTING_MAX))
    .with_goal(HELD_UP, Goal::AtMost(10.0))
    .with_goal(READY_AFTER, Goal::AtMost(10.0));
    let mut shares = Table::new("a hundredth of each changed: % of the state that each checkpoint writes");
    let init = setup.dir.join("held.yaml");
    let topic = format!("topics:\n  - name: held\n    queues: {QUEUES}\n");
    fs::write(&init, topic).with_context(|| format!("cannot write {}", init.display()))?;
    let init = init.display().to_string();
    for _ in 0..setup.runs {
        let server = Server::empty_broker(setup, &["--init", &init])?;
        let (report, most) = with_peak_memory(&server, || fill(setup))?;
        table.add("received a second", number(&report, &["rates", "receive"])?);
        table.add("anonymous memory while they come, at most: MiB", most);
        let (all, most) = with_peak_memory(&server, || checkpoint(setup, &server))?;
        table.add(MEMORY, most);
        table.add("state: MiB", all.state);
        table.add("folder of checkpoints: MiB", server.disk_mib("checkpoint")?);
        let changes = change(setup, &server, &mut table)?;
        for (number, change) in (1..).zip(&changes) {
            shares.add(&format!("checkpoint {number}"), change.share());
        }
        // Of all checkpoints since the start, those in the load among them.
        let page = server.page()?;
        let pauses = page.histogram("sluice_checkpoint_apply_pause_seconds")?;
        table.add("checkpoints until then", page.sum("sluice_checkpoints_total")?);
        table.add(HELD_UP, pauses.slowest * 1000.0);
        hold(setup, &["--groups", MORE_GROUPS, "--group", "last"], EACH)?;
        let behind = server.metric("sluice_checkpoint_behind_bytes")?;
        ensure!(
            behind > 0.0,
            "a checkpoint came between: the start has nothing to replay"
        );
        table.add("then, behind the checkpoint: MiB of log", behind / MIB);
        drop(server);
        let again = Server::broker(setup, &[])?;
        let ready = again.ready_after.as_secs_f64();
        table.add(READY_AFTER, ready);
        table.add("started again, anonymous memory: MiB", again.anonymous_mib()?);
    }
    Ok(vec![table, shares])
}

fn each_changed(which: &str, what: &str) -> String {
    format!("a hundredth of each changed, {which} of {CHANGES}: {what}")
}

/// Changes one part in a hundred, and then a hundredth of every part over and over; answers the checkpoints behind the latter.
fn change(setup: &Setup, server: &Server, table: &mut Table) -> Result<Vec<Written>> {
    let mut repeated = 0;
    let ((one, mut each), most) = with_peak_memory(server, || {
        let one = changed(setup, server, &["--groups", MORE_GROUPS, "--group", "more"], EACH)?;
        let one = one.context("the checkpoint behind the first change is not the only one")?;
        Ok((one, each_changed_times(setup, server, 1, &mut repeated)?))
    })?;
    table.add(MEMORY_CHANGED, most);
    let (others, most) = with_peak_memory(server, || {
        each_changed_times(setup, server, CHANGES - 1, &mut repeated)
    })?;
    each.extend(others);
    let after = format!("while {} % more come after that, at most: MiB", CHANGES - 1);
    table.add(&after, most);
    table.add("folder of checkpoints then: MiB", server.disk_mib("checkpoint")?);
    table.add("one in a hundred changed: checkpoint MiB", one.written);
    table.add(CHANGED, one.share());
    add_each_changed(table, &each);
    Ok(each)
}

fn add_each_changed(table: &mut Table, each: &[Written]) {
    let state = each.last().map_or(f64::NAN, |written| written.state);
    table.add("state then: MiB", state);
    let mut add = |what: &str, figures: Vec<f64>| {
        let mean = figures.iter().sum::<f64>() / figures.len() as f64;
        table.add(
            &each_changed(FIRST, what),
            figures.first().copied().unwrap_or(f64::NAN),
        );
        table.add(&each_changed(MEAN, what), mean);
        // One that is no number is the largest.
        let largest = figures.into_iter().max_by(f64::total_cmp);
        table.add(&each_changed(LARGEST, what), largest.unwrap_or(f64::NAN));
    };
    add(
        "checkpoint MiB",
        each.iter().map(|written| written.written).collect(),
    );
    add(SHARE, each.iter().map(Written::share).collect());
}

/// A checkpoint, in MiB.
struct Written {
    /// How many have been written with it.
    number: f64,
    written: f64,
    /// All that it is made of.
    state: f64,
}

impl Written {
    fn share(&self) -> f64 {
        self.written / self.state * 100.0
    }
}

/// Has every group receive another hundredth, so many times.
fn each_changed_times(
    setup: &Setup,
    server: &Server,
    times: usize,
    repeated: &mut u64,
) -> Result<Vec<Written>> {
    let mut all = Vec::new();
    while all.len() < times {
        if let Some(written) = changed(setup, server, &["--groups", GROUPS], EACH_MORE)? {
            all.push(written);
            continue;
        }
        *repeated += 1;
        ensure!(
            *repeated <= REPEATED_MAX,
            "more than {REPEATED_MAX} changes had not one checkpoint behind them"
        );
        eprintln!("a change had another checkpoint than the one behind it: once more");
    }
    Ok(all)
}

/// Has some groups receive, with no checkpoint meanwhile; answers the one that was written of all of it then. None where it was not
/// the only one, so that it has a part of the change at most: a segment began, or something else changed.
fn changed(setup: &Setup, server: &Server, arguments: &[&str], each: u64) -> Result<Option<Written>> {
    let before = server.metric("sluice_checkpoints_total")?;
    hold(setup, arguments, each)?;
    let names = ["sluice_checkpoints_total", "sluice_checkpoint_behind_bytes"];
    let [held, behind] = server.metrics(names)?;
    ensure!(behind > 0.0, "nothing has changed");
    let written = checkpoint(setup, server)?;
    let is_only = held == before && written.number == before + 1.0;
    Ok(is_only.then_some(written))
}

fn fill(setup: &Setup) -> Result<serde_json::Value> {
    let each = EACH + EACH_MORE * (CHANGES as u64 + REPEATED_MAX);
    let messages = (QUEUES * each).to_string();
    hold(setup, &["--groups", GROUPS, "--prefill", &messages], EACH)
}

fn hold(setup: &Setup, arguments: &[&str], each: u64) -> Result<serde_json::Value> {
    let each = each.to_string();
    let hold = ["hold", "--topic", "held", "--size", "64", "--each", &each];
    load::run(setup, &[&hold, arguments].concat())
}

/// Has a checkpoint written that has everything, and none from then on; answers it.
fn checkpoint(setup: &Setup, server: &Server) -> Result<Written> {
    server.configure(setup, CHECKPOINTS_AT_ONCE)?;
    let begun = Instant::now();
    let names = [
        "sluice_checkpoint_behind_bytes",
        "sluice_checkpoints_total",
        "sluice_checkpoint_size_bytes",
        "sluice_checkpoint_state_bytes",
    ];
    let [number, written, state] = loop {
        let [behind, newest @ ..] = server.metrics(names)?;
        if behind == 0.0 {
            break newest;
        }
        ensure!(
            begun.elapsed() < CHECKPOINT_WITHIN,
            "no checkpoint has everything after {CHECKPOINT_WITHIN:?}"
        );
        std::thread::sleep(LOOK_EVERY);
    };
    server.configure(setup, NO_CHECKPOINTS)?;
    ensure!(state > 0.0, "the newest checkpoint is of nothing");
    Ok(Written {
        number,
        written: written / MIB,
        state: state / MIB,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_checkpoint_beyond_the_goal_misses_it_whatever_the_others_wrote() {
        let missed = |shares: &[f64]| {
            let mut table = Table::new("t")
                .with_goal(&each_changed(FIRST, SHARE), Goal::AtMost(5.0))
                .with_goal(&each_changed(LARGEST, SHARE), Goal::AtMost(25.0));
            let written = shares.iter().map(|share| Written {
                number: 1.0,
                written: *share,
                state: 100.0,
            });
            add_each_changed(&mut table, &written.collect::<Vec<_>>());
            table.missed().len()
        };
        assert_eq!(missed(&[5.0, 25.0, 2.0]), 0);
        assert_eq!(missed(&[5.1, 25.0, 2.0]), 1);
        assert_eq!(missed(&[1.0, 25.1, 2.0]), 1);
        assert_eq!(missed(&[1.0, f64::NAN, 2.0]), 1);
    }
}
