//! What idle connections cost: memory each, and how much slower sends are beside them.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::Setup;
use super::load;
use super::server::{ENDPOINT, Server};
use super::table::{Goal, Table};

/// Nearly as many as a broker takes whose process may open 20,000 files; some are left for the sends.
const CONNECTIONS: usize = 9900;
const KIB_A_MIB: f64 = 1024.0;

/// Measures sends with and without idle connections, in turns.
pub fn measure(setup: &Setup) -> Result<Table> {
    let mut table = Table::new(format!(
        "{CONNECTIONS} idle connections, h2load 8 × 32, 1 KiB, flush sync"
    ))
    .with_goal("a connection: KiB", Goal::AtMost(40.0))
    .with_goal_of_median("beside / alone", Goal::AtLeast(0.9));
    for _ in 0..setup.runs {
        let alone = {
            let _server = Server::empty_broker(setup, &[])?;
            load::h2load(setup)?
        };
        let server = Server::empty_broker(setup, &[])?;
        let before = server.anonymous_mib()?;
        let idle = Idle::open(setup)?;
        let each = (server.anonymous_mib()? - before) * KIB_A_MIB / CONNECTIONS as f64;
        let beside = load::h2load(setup)?;
        let open = server.metric("sluice_connections")?;
        ensure!(open >= CONNECTIONS as f64, "only {open} connections are left");
        drop(idle);
        table.add("a connection: KiB", each);
        table.add("sends a second alone", alone.rate);
        table.add("sends a second beside them", beside.rate);
        table.add("beside / alone", beside.rate / alone.rate);
        table.add("alone: p99 ms", alone.p99_ms);
        table.add("beside: p99 ms", beside.p99_ms);
    }
    Ok(table)
}

/// A process that holds connections until this is dropped.
struct Idle(Child);

impl Idle {
    /// Returns when all are open.
    fn open(setup: &Setup) -> Result<Self> {
        let mut command = load::bench(setup);
        let connections = CONNECTIONS.to_string();
        command.args(["idle", "--endpoint", ENDPOINT, "--connections", &connections]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut idle = Self(command.spawn().context("cannot start sluice-bench")?);
        let said = idle.0.stdout.take().context("sluice-bench has no output")?;
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        ensure!(
            line.starts_with("holding"),
            "the connections could not be opened: {line:?}"
        );
        Ok(idle)
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
