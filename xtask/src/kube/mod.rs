//! `cargo xtask kube`: a real Kubernetes on this machine, and the suites that need one.

mod background;
mod modules;
mod programs;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;

use anyhow::{Context as _, Result};
use clap::Subcommand;

use crate::process::check;
use crate::run::Run;
use crate::{apt, suites, test, workspace};

pub use background::Building;

/// Tells the harness where the programs are.
pub const PROGRAMS: &str = "SLUICE_KUBE_PROGRAMS";
/// Tells the suites that need a node to use a cluster of somebody's own: a context of the kubeconfig.
const CONTEXT: &str = "SLUICE_KUBE_CONTEXT";
/// Tells them how an image gets into that cluster: a command, which is given an archive.
const LOAD_IMAGE: &str = "SLUICE_KUBE_LOAD_IMAGE";
/// The executable of the harness, and the suite that proves it.
const HARNESS: &str = "sluice-kube";
const SUITE_OF_HARNESS: &str = "kube_harness";

#[derive(Subcommand)]
pub enum KubeCommand {
    /// Start a cluster of one node, and tell how to use it (needs root)
    Up(Place),
    /// Build the images of the broker and the operator, and hand them to the running cluster (needs root)
    Images(Place),
    /// End the cluster and remove everything of it
    Down(Place),
    /// Run the suites that need Kubernetes
    Test(TestArgs),
    /// Build the programs of Kubernetes if they are not there, and print the folder that has them
    Programs,
}

#[derive(clap::Args)]
pub struct Place {
    /// The cluster's folder [default: kube in cargo's target folder]
    folder: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct TestArgs {
    /// For what needs a node, use the cluster of this context of your kubeconfig, and start none
    #[arg(long, value_name = "NAME", requires = "load")]
    context: Option<String>,
    /// The command that loads an image into that cluster; the archive's path is put behind it, as
    /// in "kind load image-archive"
    #[arg(long, value_name = "COMMAND", requires = "context")]
    load: Option<String>,
}

/// Does what the arguments ask for.
pub fn kube(command: &KubeCommand) -> Result<ExitCode> {
    match command {
        KubeCommand::Up(place) => {
            apt::OF_NODES.iter().try_for_each(|packaged| packaged.install())?;
            let programs = programs::built(&Mutex::new(std::io::stderr()))?;
            harness("up", place, Some(&programs))
        }
        KubeCommand::Images(place) => images(place),
        KubeCommand::Down(place) => harness("down", place, None),
        KubeCommand::Test(args) => run_suites(args),
        KubeCommand::Programs => {
            let folder = programs::built(&Mutex::new(std::io::stderr()))?;
            println!("{}", folder.display());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The executables are built as they are released.
fn images(place: &Place) -> Result<ExitCode> {
    [apt::BUILDAH, apt::RUNC]
        .iter()
        .try_for_each(|packaged| packaged.install())?;
    test::build_executables()?;
    harness("images", place, None)
}

/// Runs the suites by name, with the cluster that was named for them.
fn run_suites(args: &TestArgs) -> Result<ExitCode> {
    let metadata = workspace::metadata()?;
    let chosen: Vec<_> = suites::of_system(&metadata)
        .into_iter()
        .filter(|suite| test::needs_kubernetes(suite))
        .collect();
    let named = [(CONTEXT, &args.context), (LOAD_IMAGE, &args.load)];
    let environment: Vec<_> = named
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.clone()?)))
        .collect();
    let mut run = Run::start();
    test::chosen_by_name(&mut run, &metadata, &chosen, &environment)?;
    Ok(run.finish())
}

/// Runs the harness. It is built with a suite, as cargo builds the executables of a suite's package beside it: built by its
/// own name, it and all that it uses would be compiled a second time, with other features.
fn harness(command: &str, place: &Place, programs: Option<&Path>) -> Result<ExitCode> {
    check(test::of_workspace(&[SUITE_OF_HARNESS.to_owned()]).args(["--quiet", "--no-run"]))?;
    let target = workspace::target()?;
    let folder = match &place.folder {
        Some(folder) => std::path::absolute(folder).context("the folder has no path")?,
        None => target.join("kube"),
    };
    let mut harness = Command::new(target.join("debug").join(HARNESS));
    harness.arg(command).arg(folder);
    harness.env(test::BINARIES, target.join("release"));
    if let Some(programs) = programs {
        harness.env(PROGRAMS, programs);
    }
    check(&mut harness)?;
    Ok(ExitCode::SUCCESS)
}
