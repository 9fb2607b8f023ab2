//! The loads: h2load for sends as fast as they go, sluice-bench for everything else.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Setup;
use super::server::ENDPOINT;

/// The exit code of `sluice-bench` after a run in which requests failed.
const RAN_WITH_FAILURES: i32 = 3;

/// What a run of h2load found.
pub struct Sends {
    pub rate: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// Sends the same message of 1 KiB over and over, with 8 connections of 32 streams each.
pub fn h2load(setup: &Setup) -> Result<Sends> {
    let request = setup.dir.join("request");
    let (requests, out) = (setup.requests.to_string(), request.display().to_string());
    let prepare = [
        "h2load-data",
        "--endpoint",
        ENDPOINT,
        "--out",
        &out,
        "--requests",
        &requests,
    ];
    let command_line = stdout(bench(setup).args(prepare))?;
    let said = stdout(Command::new("sh").args(["-c", &command_line]))?;
    ensure!(
        said.contains(&format!(" {requests} succeeded, 0 failed, 0 errored, 0 timeout")),
        "h2load had failures:\n{said}"
    );
    let finished = said.lines().find(|line| line.starts_with("finished in"));
    let rate = finished
        .and_then(|line| line.split(", ").nth(1)?.split(' ').next()?.parse().ok())
        .with_context(|| format!("h2load tells no rate:\n{said}"))?;
    let log = format!("{out}.log");
    let report = json(bench(setup).args(["h2load-report", "--json", &log]))?;
    let millis = |quantile: &str| number(&report, &["latencies", "send", quantile]).map(|us| us / 1000.0);
    let sends = Sends {
        rate,
        p50_ms: millis("p50_us")?,
        p99_ms: millis("p99_us")?,
    };
    std::fs::remove_file(log)?;
    Ok(sends)
}

/// Runs `sluice-bench` against the server and returns its report.
pub fn run(setup: &Setup, arguments: &[&str]) -> Result<Value> {
    let mut command = bench(setup);
    command.args(arguments).args(["--endpoint", ENDPOINT, "--json"]);
    json(&mut command)
}

/// As [`run`], of a load that is refused in part.
pub fn run_with_failures(setup: &Setup, arguments: &[&str]) -> Result<Value> {
    let mut command = bench(setup);
    command.args(arguments).args(["--endpoint", ENDPOINT, "--json"]);
    let shown = crate::process::shown(&command);
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start `{shown}`"))?;
    ensure!(
        matches!(output.status.code(), Some(0 | RAN_WITH_FAILURES)),
        "`{shown}` ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    report(&String::from_utf8_lossy(&output.stdout))
}

/// `sluice-bench` without arguments.
pub fn bench(setup: &Setup) -> Command {
    Command::new(setup.programs.join("sluice-bench"))
}

/// A number deep in a report.
pub fn number(report: &Value, path: &[&str]) -> Result<f64> {
    path.iter()
        .try_fold(report, |value, name| value.get(name))
        .and_then(Value::as_f64)
        .with_context(|| format!("the report has no {}: {report}", path.join(".")))
}

/// Runs a command to its end and reads the report that it prints.
pub fn json(command: &mut Command) -> Result<Value> {
    report(&stdout(command)?)
}

fn report(text: &str) -> Result<Value> {
    serde_json::from_str(text).with_context(|| format!("not a report: {text:?}"))
}

/// Runs a command to its end and answers what it printed.
pub fn stdout(command: &mut Command) -> Result<String> {
    let shown = crate::process::shown(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{shown}`"))?;
    ensure!(
        output.status.success(),
        "`{shown}` ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
