//! Sends to many queues against sends to few, and what checkpoints take then.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::Setup;
use super::load::{self, number};
use super::server::Server;
use super::table::{Goal, Table};

const TOPICS: u64 = 2;
const FEW: u64 = 8;
const MANY: u64 = 8000;
const MANY_SLOWEST: &str = "8000 queues: a checkpoint, at most ms";
const MANY_TO_FEW: &str = "sends: many / few";

/// Measures both in turns.
pub fn measure(setup: &Setup) -> Result<Table> {
    let mut table = Table::new("sluice-bench 8 × 32, 1 KiB, flush sync")
        .with_goal(MANY_SLOWEST, Goal::AtMost(1000.0))
        .with_goal_of_median(MANY_TO_FEW, Goal::AtLeast(0.8));
    for run in 0..setup.runs {
        // In turns, and each of them first as often.
        let order = if run % 2 == 0 { [FEW, MANY] } else { [MANY, FEW] };
        let mut rates = [0.0; 2];
        for queues in order {
            let server = Server::empty_broker(setup, &["--init", &init(setup, queues)?])?;
            let produce = ["produce", "--topics", "2", "--warmup", "5s", "--duration", "60s"];
            let report = load::run(setup, &produce)?;
            let rate = number(&report, &["rates", "send"])?;
            rates[usize::from(queues == MANY)] = rate;
            let name = format!("{queues} queues");
            table.add(&format!("{name}: sends a second"), rate);
            let p99 = number(&report, &["latencies", "send", "p99_us"])? / 1000.0;
            table.add(&format!("{name}: p99 ms"), p99);
            let checkpoints = server.page()?.histogram("sluice_checkpoint_duration_seconds")?;
            ensure!(checkpoints.count > 1.0, "only {} checkpoints", checkpoints.count);
            table.add(
                &format!("{name}: a checkpoint, mean ms"),
                checkpoints.mean * 1000.0,
            );
            table.add(
                &format!("{name}: a checkpoint, at most ms"),
                checkpoints.slowest * 1000.0,
            );
        }
        table.add(MANY_TO_FEW, rates[1] / rates[0]);
    }
    Ok(table)
}

/// A file that asks for so many queues.
fn init(setup: &Setup, queues: u64) -> Result<String> {
    let path = setup.dir.join("queues.yaml");
    let topics: String = (0..TOPICS)
        .map(|number| format!("  - name: bench-{number}\n    queues: {}\n", queues / TOPICS))
        .collect();
    fs::write(&path, format!("topics:\n{topics}"))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path.display().to_string())
}
