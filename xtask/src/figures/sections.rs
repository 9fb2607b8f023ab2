//! What is measured, section by section.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::load::{self, number};
use super::server::Server;
use super::table::{Goal, Table};
use super::{Section, Setup, idle, operator, overload, queues, scrape, soak, state};

/// Three checkpoints and more in each run of [`Section::Sync`] and [`Section::Async`].
const CHECKPOINT_BYTES: &str = "256MiB";
const CHECKPOINTS_MIN: f64 = 3.0;
/// A run of 1,200,000 messages of 1 KiB fills more than one segment of the default size.
const SEGMENT_BYTES: f64 = (1_u64 << 30) as f64;
/// After its start, until a broker's memory is that of an idle one.
const IDLE_AFTER: Duration = Duration::from_secs(5);
/// How long the load runs before its broker is killed.
const LOADED_FOR: Duration = Duration::from_secs(10);
const LOOK_AT_MEMORY_EVERY: Duration = Duration::from_millis(100);
const CONSUMED: &str = "500000";

/// Measures a section.
pub fn measure(section: Section, setup: &Setup) -> Result<Vec<Table>> {
    match section {
        Section::Sync => Ok(vec![sends(setup, "sync")?]),
        Section::Async => Ok(vec![sends(setup, "async")?]),
        Section::Index => Ok(vec![index(setup)?]),
        Section::Consume => Ok(vec![consume(setup)?]),
        Section::Paced => Ok(vec![paced(setup)?]),
        Section::Scrape => Ok(vec![scrape::measure(setup)?]),
        Section::Idle => Ok(vec![idle::measure(setup)?]),
        Section::Overload => Ok(vec![overload::measure(setup)?]),
        Section::Operator => Ok(vec![operator::measure(setup)?]),
        Section::Starts => Ok(vec![starts(setup)?]),
        Section::Kept => Ok(vec![kept(setup)?]),
        Section::State => state::measure(setup),
        Section::Queues => Ok(vec![queues::measure(setup)?]),
        Section::Soak => Ok(vec![soak::measure(setup)?]),
    }
}

fn sends(setup: &Setup, flush: &str) -> Result<Table> {
    let mut table = Table::new(format!("h2load 8 × 32, 1 KiB, flush {flush}"))
        .with_goal_of_median("broker / bare", Goal::AtLeast(0.8))
        .with_goal_of_median("p99: broker / bare", Goal::AtMost(3.0));
    for _ in 0..setup.runs {
        let broker = {
            let server =
                Server::empty_broker(setup, &["--flush", flush, "--checkpoint-bytes", CHECKPOINT_BYTES])?;
            let (sent, memory) = with_peak_memory(&server, || load::h2load(setup))?;
            // The first message is the one that h2load-data sent to see whether it is taken.
            let taken = server.metric("rocketmq_messages_in_total")?;
            ensure!(
                taken >= setup.requests as f64,
                "the broker took only {taken} messages"
            );
            let written = server.metric("sluice_log_written_bytes")?;
            ensure!(
                written > SEGMENT_BYTES,
                "only {written} bytes: no segment was rolled"
            );
            let checkpoints = server.metric("sluice_checkpoints_total")?;
            ensure!(checkpoints >= CHECKPOINTS_MIN, "only {checkpoints} checkpoints");
            table.add("broker: anonymous memory at most, MiB", memory);
            sent
        };
        let bare = {
            let _server = Server::bare(setup, flush)?;
            load::h2load(setup)?
        };
        table.add("broker: sends a second", broker.rate);
        table.add("bare: sends a second", bare.rate);
        table.add("broker / bare", broker.rate / bare.rate);
        table.add("broker: p50 ms", broker.p50_ms);
        table.add("bare: p50 ms", bare.p50_ms);
        table.add("broker: p99 ms", broker.p99_ms);
        table.add("bare: p99 ms", bare.p99_ms);
        table.add("p99: broker / bare", broker.p99_ms / bare.p99_ms);
    }
    Ok(table)
}

/// Does some work, and tells how much memory the server had at most meanwhile, in MiB.
pub fn with_peak_memory<T: Send>(
    server: &Server,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<(T, f64)> {
    std::thread::scope(|scope| {
        let working = scope.spawn(work);
        let mut most = 0.0_f64;
        while !working.is_finished() {
            most = most.max(server.anonymous_mib()?);
            std::thread::sleep(LOOK_AT_MEMORY_EVERY);
        }
        let done = working.join().ok().context("the load panicked")?;
        Ok((done?, most))
    })
}

fn index(setup: &Setup) -> Result<Table> {
    let mut table = Table::new("a million messages, 1 KiB, flush sync");
    for _ in 0..setup.runs {
        for (name, shape, keys) in [
            (
                "a million ids and keys",
                ["--keys", "1000000"].as_slice(),
                "1000000",
            ),
            ("one id and key", &["--same-id-and-key"], "1"),
        ] {
            let mut server = Server::empty_broker(setup, &[])?;
            let produce = [
                "produce",
                "--count",
                "1000000",
                "--warmup",
                "0s",
                "--connections",
                "8",
            ];
            let report = load::run(setup, &[&produce, shape].concat())?;
            table.add(
                &format!("{name}: sends a second"),
                number(&report, &["rates", "send"])?,
            );
            server.stop()?;
            let dir = setup.dir.join("broker/broker-a").display().to_string();
            let look_up = ["look-up", "--json", "--keys", keys, "--data-dir", &dir];
            let report = load::json(load::bench(setup).args(look_up))?;
            for quantile in ["p50_us", "p99_us"] {
                let figure = number(&report, &["latencies", "look-up", quantile])?;
                let quantile = quantile.trim_end_matches("_us");
                table.add(
                    &format!("{name}: look-up of the newest 32, {quantile} µs"),
                    figure,
                );
            }
        }
    }
    Ok(table)
}

fn consume(setup: &Setup) -> Result<Table> {
    let mut table = Table::new("messages received and acknowledged a second, 1 KiB, flush sync");
    for _ in 0..setup.runs {
        for (name, batch) in [
            ("receive 32, acknowledge one by one", "1"),
            ("receive 32, acknowledge 32 at once", "32"),
        ] {
            let _server = Server::empty_broker(setup, &[])?;
            let consume = [
                "consume",
                "--prefill",
                CONSUMED,
                "--count",
                CONSUMED,
                "--warmup",
                "0s",
                "--ack-batch",
                batch,
            ];
            let report = load::run(setup, &consume)?;
            table.add(name, number(&report, &["rates", "ack"])?);
        }
    }
    Ok(table)
}

fn paced(setup: &Setup) -> Result<Table> {
    let mut table =
        Table::new("10,000 a second sent, received and acknowledged one by one, 1 KiB, flush sync");
    for _ in 0..setup.runs {
        let _server = Server::empty_broker(setup, &[])?;
        let report = load::run(
            setup,
            &[
                "latency",
                "--rate",
                "10000",
                "--warmup",
                "5s",
                "--duration",
                "30s",
            ],
        )?;
        for (what, name) in [("send", "send"), ("delivery", "send to delivery")] {
            for quantile in ["p50_us", "p99_us", "p999_us"] {
                let millis = number(&report, &["latencies", what, quantile])? / 1000.0;
                table.add(
                    &format!("{name}: {} ms", quantile.trim_end_matches("_us")),
                    millis,
                );
            }
        }
    }
    Ok(table)
}

fn starts(setup: &Setup) -> Result<Table> {
    let mut table = Table::new("starts, memory and disk");
    for _ in 0..setup.runs {
        let server = Server::empty_broker(setup, &[])?;
        table.add("empty: ready after ms", millis(server.ready_after));
        std::thread::sleep(IDLE_AFTER);
        table.add("empty: anonymous memory, MiB", server.anonymous_mib()?);
        table.add("empty: data folder, MiB", server.disk_mib("")?);
        let mut load = load::bench(setup);
        load.args([
            "produce",
            "--endpoint",
            super::server::ENDPOINT,
            "--duration",
            "60s",
        ])
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null());
        let mut load = load.spawn().context("cannot start the load")?;
        std::thread::sleep(LOADED_FOR);
        drop(server);
        load.kill()?;
        load.wait()?;
        let again = Server::broker(setup, &[])?;
        table.add(
            "killed under full load: ready again after ms",
            millis(again.ready_after),
        );
    }
    Ok(table)
}

fn kept(setup: &Setup) -> Result<Table> {
    let mut table = Table::new(format!("start with {} messages kept", setup.messages));
    let mut server = Server::empty_broker(setup, &[])?;
    let count = setup.messages.to_string();
    let produce = [
        "produce",
        "--size",
        "128",
        "--count",
        &count,
        "--warmup",
        "0s",
        "--connections",
        "8",
    ];
    load::run(setup, &produce)?;
    server.stop()?;
    for _ in 0..setup.runs {
        let mut server = Server::broker(setup, &[])?;
        table.add("messages kept: ready after ms", millis(server.ready_after));
        server.stop()?;
    }
    for _ in 0..setup.runs {
        let server = Server::empty_broker(setup, &[])?;
        table.add("none kept: ready after ms", millis(server.ready_after));
    }
    Ok(table)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
