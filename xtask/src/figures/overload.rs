//! More than the broker bears. The disk is what gives out here, made slow on purpose: on one machine a load cannot be twice
//! what the processor bears, since it needs the processor too.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Setup;
use super::load::{self, number};
use super::sections::with_peak_memory;
use super::server::Server;
use super::table::Table;

/// Each sync takes so long, which is that of a busy network disk. The log writes 1 MiB a sync at most.
const SLOW_SYNCS: &str = "slow-syncs=50";
const BODY: &str = "4KiB";
/// What is promised of accepted sends, and of memory.
const P99_MS_MAX: f64 = 1000.0;
const MEMORY_MIB_MAX: f64 = 256.0;
/// So much of the capacity must have been offered, or it was no such load.
const OFFERED_MIN: f64 = 1.8;
/// Enough of them under way that twice the load can be offered while many wait.
const IN_FLIGHT: &str = "1000";
/// Enough to keep the disk busy, and no more than it does in a quarter of a second.
const IN_FLIGHT_AT_CAPACITY: &str = "128";
const CAPACITY_FOR: &str = "15s";
const OVERLOAD_FOR: &str = "60s";
const AFTER_FOR: &str = "10s";
/// From the end of the overload to the sends that are measured after it.
const AFTER: Duration = Duration::from_secs(1);
const REFUSED: &str = "send: TOO_MANY_REQUESTS 42900";

/// Measures what the disk takes, twice as much, and half as much a second after that.
pub fn measure(setup: &Setup) -> Result<Table> {
    let mut table = Table::new("twice the load, 4 KiB, flush sync, syncs of 50 ms and more");
    for _ in 0..setup.runs {
        let server = Server::faulty_broker(setup, SLOW_SYNCS)?;
        let closed = ["--in-flight", IN_FLIGHT_AT_CAPACITY, "--duration", CAPACITY_FOR];
        let report = produce(setup, &closed)?;
        let capacity = number(&report, &["rates", "send"])?;
        table.add("what the broker bears: sends a second", capacity);
        table.add("then: anonymous memory, MiB", server.anonymous_mib()?);

        let twice = (2.0 * capacity).round().to_string();
        let open = [
            "--in-flight",
            IN_FLIGHT,
            "--duration",
            OVERLOAD_FOR,
            "--rate",
            &twice,
        ];
        let (report, memory) = with_peak_memory(&server, || produce(setup, &open))?;
        let accepted = number(&report, &["rates", "send"])?;
        let turned_away = refused(&report)? / number(&report, &["seconds"])?;
        table.add("twice the load: accepted a second", accepted);
        table.add("twice the load: refused a second", turned_away);
        ensure!(
            accepted + turned_away > OFFERED_MIN * capacity,
            "only {accepted} and {turned_away} a second were offered, and the broker bears {capacity}"
        );
        let p99 = number(&report, &["latencies", "send", "p99_us"])? / 1000.0;
        ensure!(p99 < P99_MS_MAX, "accepted sends have a p99 of {p99} ms");
        ensure!(memory < MEMORY_MIB_MAX, "the broker took {memory} MiB");
        for (name, quantile) in [("p50", "p50_us"), ("p99", "p99_us"), ("p999", "p999_us")] {
            let millis = number(&report, &["latencies", "send", quantile])? / 1000.0;
            table.add(&format!("twice the load: {name} ms of the accepted"), millis);
        }
        table.add("twice the load: anonymous memory at most, MiB", memory);

        std::thread::sleep(AFTER);
        let half = (capacity / 2.0).round().to_string();
        let after = [
            "--in-flight",
            IN_FLIGHT,
            "--duration",
            AFTER_FOR,
            "--rate",
            &half,
            "--warmup",
            "0s",
        ];
        let report = produce(setup, &after)?;
        let turned_away = refused(&report)?;
        ensure!(turned_away == 0.0, "{turned_away} sends were refused after it");
        table.add("half the load a second later: refused", turned_away);
        let millis = number(&report, &["latencies", "send", "p99_us"])? / 1000.0;
        table.add("half the load a second later: p99 ms", millis);
    }
    Ok(table)
}

fn produce(setup: &Setup, arguments: &[&str]) -> Result<Value> {
    let arguments = [&["produce", "--size", BODY], arguments].concat();
    load::run_with_failures(setup, &arguments)
}

/// How many sends the broker refused; nothing else may have failed.
fn refused(report: &Value) -> Result<f64> {
    let errors = report.get("errors").and_then(Value::as_object);
    let errors = errors.context("the report has no errors")?;
    let others: Vec<_> = errors.keys().filter(|error| *error != REFUSED).collect();
    ensure!(others.is_empty(), "sends failed in another way: {others:?}");
    Ok(errors.get(REFUSED).and_then(Value::as_f64).unwrap_or(0.0))
}
