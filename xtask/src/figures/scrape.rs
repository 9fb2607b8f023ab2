//! What a look at the metrics of a broker with much to tell costs: its time, and what it does to sends meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::Setup;
use super::load::{self, number};
use super::page::Page;
use super::server::Server;
use super::table::{Goal, Table, median};

const TOPICS: &str = "1000";
const GROUPS: &str = "3";
/// Subscriptions that the page must tell of.
const SUBSCRIPTIONS: usize = 3000;
/// Looks whose median is shown.
const LOOKS: usize = 20;
/// Much oftener than Prometheus, so that some of the slowest sends are sure to meet a look.
const EVERY: Duration = Duration::from_secs(1);
const MIB: f64 = (1 << 20) as f64;

/// Measures looks, and sends with and without them in turns.
pub fn measure(setup: &Setup) -> Result<Table> {
    let mut table = Table::new(format!("{TOPICS} topics × {GROUPS} groups, flush sync"))
        .with_goal("the first look: ms", Goal::AtMost(100.0))
        .with_goal("a look: ms", Goal::AtMost(100.0));
    for run in 0..setup.runs {
        let server = Server::empty_broker(setup, &[])?;
        load::run(setup, &["spread", "--topics", TOPICS, "--groups", GROUPS])?;
        let (page, first) = look(&server)?;
        ensure!(
            page.series("rocketmq_consumer_lag_messages").count() == SUBSCRIPTIONS,
            "the page does not tell of all subscriptions"
        );
        let looks: Result<Vec<f64>> = (0..LOOKS).map(|_| Ok(look(&server)?.1)).collect();
        table.add("the first look: ms", first);
        table.add("a look: ms", median(&looks?));
        table.add("the page: MiB", page.bytes() as f64 / MIB);
        // In turns, and each of them first as often.
        let order = if run % 2 == 0 {
            [false, true]
        } else {
            [true, false]
        };
        for looked_at in order {
            let report = sends(setup, &server, looked_at)?;
            let name = if looked_at {
                "with a look a second"
            } else {
                "alone"
            };
            for quantile in ["p50_us", "p99_us"] {
                let millis = number(&report, &["latencies", "send", quantile])? / 1000.0;
                let quantile = quantile.trim_end_matches("_us");
                table.add(&format!("10,000 sends a second {name}: {quantile} ms"), millis);
            }
        }
    }
    Ok(table)
}

/// A page, and how many milliseconds it took.
fn look(server: &Server) -> Result<(Page, f64)> {
    let began = Instant::now();
    let page = server.page()?;
    Ok((page, began.elapsed().as_secs_f64() * 1000.0))
}

/// Sends at a steady rate to a topic of their own.
fn sends(setup: &Setup, server: &Server, looked_at: bool) -> Result<serde_json::Value> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looking = looked_at.then(|| {
            scope.spawn(|| -> Result<()> {
                while !done.load(Ordering::Acquire) {
                    let began = Instant::now();
                    server.page()?;
                    std::thread::park_timeout(EVERY.saturating_sub(began.elapsed()));
                }
                Ok(())
            })
        });
        let produce = [
            "produce",
            "--rate",
            "10000",
            "--warmup",
            "5s",
            "--duration",
            "30s",
        ];
        let report = load::run(setup, &produce);
        done.store(true, Ordering::Release);
        if let Some(looking) = looking {
            looking.thread().unpark();
            looking.join().ok().context("the looks panicked")??;
        }
        report
    })
}
