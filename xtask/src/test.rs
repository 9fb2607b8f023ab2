//! `cargo xtask test`: everything, in the order in which it is cheapest to learn what is wrong.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Result, bail};
use cargo_metadata::Metadata;

use crate::process::{cargo, check};
use crate::run::{Expected, Run};
use crate::workspace::SYSTEM_TESTS;
use crate::{apt, deny, fuzz, kube, room, suites, tools, verify, workspace};

/// Tells the suites where the executables under test are.
pub const BINARIES: &str = "SLUICE_BIN_DIR";
/// Tells the suites to take their long form.
const LONG: &str = "SLUICE_LONG";
/// How long a test may say nothing in its long form.
const LONGEST_SILENCE: Duration = Duration::from_secs(2 * 3600);

#[derive(clap::Args)]
pub struct TestArgs {
    /// Run only this system suite (may be repeated)
    #[arg(long, value_name = "NAME")]
    suite: Vec<String>,
    /// Let suites that have a long form take it: some of them run for an hour then
    #[arg(long, conflicts_with = "list")]
    long: bool,
    /// List the system suites and run nothing
    #[arg(long, conflicts_with = "suite")]
    list: bool,
}

/// Runs what the arguments ask for; without any, everything there is.
pub fn test(args: &TestArgs) -> Result<ExitCode> {
    let metadata = workspace::metadata()?;
    let all = suites::of_system(&metadata);
    if args.list {
        all.iter().for_each(|suite| println!("{suite}"));
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = suites::choose("suite", &all, &args.suite)?;
    let mut run = Run::start();
    let long = [(LONG, "1".to_owned())];
    let environment = if args.long { &long[..] } else { &[] };
    if args.long {
        run.bear_silence(LONGEST_SILENCE);
    }
    if args.suite.is_empty() {
        if !args.long {
            run.keep_budget();
        }
        everything(&mut run, &metadata, &chosen, environment)?;
    } else {
        chosen_by_name(&mut run, &metadata, &chosen, environment)?;
    }
    Ok(run.finish())
}

/// All there is. The programs of Kubernetes are built beside what is built with cargo.
fn everything(
    run: &mut Run,
    metadata: &Metadata,
    chosen: &[String],
    environment: &[(&str, String)],
) -> Result<()> {
    if !prepare(run, false) {
        return Ok(());
    }
    let programs = kube::Building::begin()?;
    install_packages(run, chosen, &apt::OF_NODES);
    verify::steps(run);
    deny::step(run);
    integration_tests(run, metadata, environment);
    fuzz::step(run);
    system_suites(run, metadata, chosen, Some(programs), environment);
    Ok(())
}

/// These suites alone, with these variables in their environment.
pub fn chosen_by_name(
    run: &mut Run,
    metadata: &Metadata,
    chosen: &[String],
    environment: &[(&str, String)],
) -> Result<()> {
    if !prepare(run, true) {
        return Ok(());
    }
    let wanted = chosen.iter().any(|suite| needs_kubernetes(suite));
    let programs = wanted.then(kube::Building::begin).transpose()?;
    let is_foreign = environment.iter().any(|(name, _)| *name == kube::CONTEXT);
    let of_nodes = if is_foreign {
        // Images are made here all the same.
        &[apt::BUILDAH][..]
    } else {
        &apt::OF_NODES
    };
    install_packages(run, chosen, of_nodes);
    system_suites(run, metadata, chosen, programs, environment);
    Ok(())
}

/// Checks the tools. Tells whether to go on: something missing ends the run, since a suite left out would look like a
/// suite passed. The one exception is a suite called by name outside continuous integration, which may not need what
/// is missing, and fails by itself if it does.
fn prepare(run: &mut Run, chosen_by_name: bool) -> bool {
    let tools = run.step("tools", || {
        let missing = tools::missing();
        if missing.is_empty() {
            return Ok(());
        }
        bail!("{}", missing.join("; "))
    });
    let may_go_on = chosen_by_name && env::var_os("CI").is_none();
    if !tools {
        println!(
            "{}",
            if may_go_on {
                "going on without, as a suite was named"
            } else {
                "not going on without"
            }
        );
    }
    tools || may_go_on
}

/// Programs that single suites need, from Debian's packages.
const PACKAGED: &[(&str, &[apt::Packaged])] = &[
    ("disk_faults", &[apt::STRACE]),
    ("docs_commands", &apt::OF_PAGES),
    ("image", &[apt::BUILDAH, apt::RUNC]),
    ("operator_end_to_end", &[apt::PROMETHEUS]),
    ("autoscale_prometheus", &[apt::PROMETHEUS]),
    ("operator_alerts", &[apt::ALERTMANAGER]),
    ("operator_scaling", &[apt::PROMETHEUS]),
    ("prometheus", &[apt::PROMETHEUS]),
];

/// The suites that need a node, or a cluster of somebody's in its place.
const ON_NODES: &[&str] = &["docs_on_kubernetes", "kube_harness", "operator_end_to_end"];

/// The suites that start a Kubernetes, or only its API server.
const KUBERNETES: &[&str] = &[
    "chart",
    "docs_on_kubernetes",
    "kube_harness",
    "kube_resources",
    "operator_alerts",
    "operator_cluster",
    "operator_end_to_end",
    "operator_scaling",
    "operator_topics",
];

/// Tells whether a suite needs the programs of Kubernetes.
pub fn needs_kubernetes(suite: &str) -> bool {
    KUBERNETES.contains(&suite)
}

/// Installs what the chosen suites need and is missing: what a node needs only where one is started. Whatever cannot be installed fails here and in its suite.
fn install_packages(run: &mut Run, chosen: &[String], of_nodes: &[apt::Packaged]) {
    let of_nodes = ON_NODES.iter().map(|suite| (suite, of_nodes));
    let packaged = PACKAGED.iter().map(|(suite, packages)| (suite, *packages));
    for (suite, packages) in of_nodes.chain(packaged) {
        if chosen.iter().any(|name| name == suite) {
            run.step(&format!("what the suite {suite} needs"), || {
                packages.iter().try_for_each(|packaged| packaged.install())
            });
        }
    }
}

/// The integration tests of all packages but the system tests.
fn integration_tests(run: &mut Run, metadata: &Metadata, environment: &[(&str, String)]) {
    let elsewhere = suites::elsewhere(metadata);
    if !elsewhere.is_empty() {
        let mut tests = of_workspace(&elsewhere);
        tests
            .arg("--no-fail-fast")
            .envs(environment.iter().map(|(name, value)| (name, value)));
        run.tests("integration tests of the packages", Expected::AtLeastOne, tests);
    }
}

/// `cargo test` of these integration tests. It names the whole workspace, as the unit tests do: chosen by package they
/// would be built with other features of the dependencies, that is, everything a second time.
pub fn of_workspace(tests: &[String]) -> Command {
    let mut command = cargo(&["test", "--locked", "--workspace"]);
    for test in tests {
        command.args(["--test", test]);
    }
    command
}

/// Suites that make a load of their own, which must not be what is slow: they are optimised.
const LOADING: &[&str] = &["kill_loop"];

/// Suites whose tests wait most of the time, and measure nothing: so many of them run at one time.
const WAITING: &[(&str, u32)] = &[("official_clients", 4)];

/// How many tests of a suite run at one time: one, but where they bear company.
fn threads(suite: &str) -> u32 {
    let waiting = WAITING.iter().find(|(name, _)| *name == suite);
    waiting.map_or(1, |(_, threads)| *threads)
}

/// `cargo test` of one system suite.
fn of_suite(suite: &String) -> Command {
    if LOADING.contains(&suite.as_str()) {
        return cargo(&[
            "test",
            "--locked",
            "--release",
            "-p",
            SYSTEM_TESTS,
            "--no-default-features",
            "--test",
            suite,
        ]);
    }
    of_workspace(std::slice::from_ref(suite))
}

/// Builds all of these suites: those that are not optimised at one go.
fn build_suites(chosen: &[String]) -> Result<()> {
    let (loading, others): (Vec<_>, Vec<_>) =
        (chosen.iter().cloned()).partition(|suite| LOADING.contains(&suite.as_str()));
    if !others.is_empty() {
        check(of_workspace(&others).arg("--no-run"))?;
    }
    loading
        .iter()
        .try_for_each(|suite| check(of_suite(suite).arg("--no-run")))
}

/// Builds what is tested the way it is shipped: these packages alone, so that no feature of the tests leaks into it.
pub fn build_executables() -> Result<()> {
    check(&mut cargo(&[
        "build",
        "--locked",
        "--release",
        "-p",
        "sluice-broker",
        "-p",
        "sluice-bench",
        "-p",
        "sluice-cli",
        "-p",
        "sluice-operator",
    ]))
}

/// Builds what is tested, then runs suite after suite, most tests of it alone: they start processes, measure and share two
/// cores. Most suites are not optimised: what counts runs in the executables.
///
/// The programs of Kubernetes are waited for before the first of them, so that no suite measures beside a build.
fn system_suites(
    run: &mut Run,
    metadata: &Metadata,
    chosen: &[String],
    programs: Option<kube::Building>,
    environment: &[(&str, String)],
) {
    let built = run.build("build the executables", build_executables);
    let compiled = run.build("build the suites", || build_suites(chosen));
    let programs: Option<PathBuf> = programs.and_then(|building| building.finish(run));
    let fits = run.step("room on the disk", || {
        room::check(metadata.target_directory.as_std_path())
    });
    if !(built && compiled && fits) {
        return;
    }
    let binaries = metadata.target_directory.join("release");
    for (index, suite) in chosen.iter().enumerate() {
        let mut tests = of_suite(suite);
        tests
            .args(["--", "--nocapture"])
            .arg(format!("--test-threads={}", threads(suite)))
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env(BINARIES, &binaries);
        if let Some(programs) = &programs {
            tests.env(kube::PROGRAMS, programs);
        }
        let title = format!("suite {suite} ({} of {})", index + 1, chosen.len());
        run.tests(&title, Expected::AtLeastOne, tests);
    }
}
