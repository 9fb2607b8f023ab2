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
const MEMORY: &str = "while a checkpoint of them is written, at most: MiB";
const MEMORY_CHANGED: &str = "while 2 % more come, with checkpoints, at most: MiB";
const CHANGED: &str = "one in a hundred changed: % of the state";
const EACH_CHANGED: &str = "a hundredth of each changed: % of the state";
const HELD_UP: &str = "apply held up by a checkpoint, at most: ms";
const READY_AFTER: &str = "killed: ready again after s";
const CHECKPOINT_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(200);
const MIB: f64 = (1 << 20) as f64;

/// Measures it once for each run.
pub fn measure(setup: &Setup) -> Result<Table> {
    let mut table = Table::new(format!(
        "{GROUPS} groups × {QUEUES} queues × {EACH} messages in flight"
    ))
    .with_goal(MEMORY, Goal::AtMost(1024.0))
    .with_goal(MEMORY_CHANGED, Goal::AtMost(1024.0))
    .with_goal(CHANGED, Goal::AtMost(5.0))
    .with_goal(EACH_CHANGED, Goal::AtMost(5.0))
    .with_goal(HELD_UP, Goal::AtMost(10.0))
    .with_goal(READY_AFTER, Goal::AtMost(10.0));
    let init = setup.dir.join("held.yaml");
    let topic = format!("topics:\n  - name: held\n    queues: {QUEUES}\n");
    fs::write(&init, topic).with_context(|| format!("cannot write {}", init.display()))?;
    let init = init.display().to_string();
    for _ in 0..setup.runs {
        let server = Server::empty_broker(setup, &["--init", &init])?;
        let (report, most) = with_peak_memory(&server, || fill(setup))?;
        table.add("received a second", number(&report, &["rates", "receive"])?);
        table.add("anonymous memory while they come, at most: MiB", most);
        let (_, most) = with_peak_memory(&server, || checkpoint(&server))?;
        table.add(MEMORY, most);
        table.add("folder of checkpoints: MiB", server.disk_mib("checkpoint")?);
        let ((one, each), most) = with_peak_memory(&server, || change(setup, &server))?;
        table.add("state: MiB", each.state);
        table.add("one in a hundred changed: checkpoint MiB", one.written);
        table.add("a hundredth of each changed: checkpoint MiB", each.written);
        table.add(CHANGED, one.share());
        table.add(EACH_CHANGED, each.share());
        table.add(MEMORY_CHANGED, most);
        table.add(HELD_UP, slowest_pause(&server)?);
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
    Ok(table)
}

/// A checkpoint, in MiB.
struct Written {
    written: f64,
    /// All that it is made of.
    state: f64,
}

impl Written {
    fn share(&self) -> f64 {
        self.written / self.state * 100.0
    }
}

/// Changes one part in a hundred, and then a hundredth of every part: the newest checkpoint after each.
fn change(setup: &Setup, server: &Server) -> Result<(Written, Written)> {
    hold(setup, &["--groups", MORE_GROUPS, "--group", "more"], EACH)?;
    let one = checkpoint(server)?;
    hold(setup, &["--groups", GROUPS], EACH_MORE)?;
    Ok((one, checkpoint(server)?))
}

fn fill(setup: &Setup) -> Result<serde_json::Value> {
    let messages = (QUEUES * (EACH + EACH_MORE)).to_string();
    hold(setup, &["--groups", GROUPS, "--prefill", &messages], EACH)
}

fn hold(setup: &Setup, arguments: &[&str], each: u64) -> Result<serde_json::Value> {
    let each = each.to_string();
    let hold = ["hold", "--topic", "held", "--size", "64", "--each", &each];
    load::run(setup, &[&hold, arguments].concat())
}

/// Waits until a checkpoint has everything; answers the newest one.
fn checkpoint(server: &Server) -> Result<Written> {
    let begun = Instant::now();
    while server.metric("sluice_checkpoint_behind_bytes")? > 0.0 {
        ensure!(
            begun.elapsed() < CHECKPOINT_WITHIN,
            "no checkpoint has everything after {CHECKPOINT_WITHIN:?}"
        );
        std::thread::sleep(LOOK_EVERY);
    }
    let names = ["sluice_checkpoint_size_bytes", "sluice_checkpoint_state_bytes"];
    let [written, state] = server.metrics(names)?.map(|bytes| bytes / MIB);
    Ok(Written { written, state })
}

/// The upper bound, in milliseconds, of the histogram's slowest pause.
fn slowest_pause(server: &Server) -> Result<f64> {
    let name = "sluice_checkpoint_apply_pause_seconds";
    Ok(server.histogram(name)?.slowest * 1000.0)
}
