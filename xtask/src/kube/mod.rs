//! `cargo xtask kube`: a real Kubernetes on this machine, and the suites that need one.

mod background;
mod modules;
mod programs;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;

use anyhow::{Context as _, Result, anyhow};
use clap::Subcommand;

use crate::process::check;
use crate::run::Run;
use crate::{apt, suites, test, workspace};

pub use background::Building;

/// Tells the harness where the programs are.
pub const PROGRAMS: &str = "SLUICE_KUBE_PROGRAMS";
/// Tells the suites that need a node to use a cluster of somebody's own: a context of the kubeconfig.
pub const CONTEXT: &str = "SLUICE_KUBE_CONTEXT";
/// Tells them how an image gets into that cluster: a command, which is given an archive.
const LOAD_IMAGE: &str = "SLUICE_KUBE_LOAD_IMAGE";
/// Tells all programs of Kubernetes where contexts are.
const KUBECONFIG: &str = "KUBECONFIG";
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
    /// Remove from the cluster of a context what a killed run of the suites has left in it
    Clear(Named),
    /// Build the programs of Kubernetes if they are not there, and print the folder that has them
    Programs,
}

#[derive(clap::Args)]
pub struct Place {
    /// The cluster's folder [default: kube in cargo's target folder]
    folder: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct Named {
    /// A context of your kubeconfig
    #[arg(long, value_name = "NAME")]
    context: String,
}

#[derive(clap::Args)]
pub struct TestArgs {
    /// For what needs a node, use the cluster of this context of your kubeconfig, and start none; the suites remove from it
    /// what they make, and do not begin if it has Sluice already
    #[arg(long, value_name = "NAME", requires = "load")]
    context: Option<String>,
    /// The command that loads an image into that cluster; the archive's path is put behind it, as
    /// in "kind load image-archive"
    #[arg(long, value_name = "COMMAND", requires = "context")]
    load: Option<String>,
    /// Run only this suite of them (may be repeated)
    #[arg(long, value_name = "NAME")]
    suite: Vec<String>,
}

/// Does what the arguments ask for.
pub fn kube(command: &KubeCommand) -> Result<ExitCode> {
    match command {
        KubeCommand::Up(place) => {
            apt::OF_NODES.iter().try_for_each(|packaged| packaged.install())?;
            let programs = programs::built(&Mutex::new(std::io::stderr()))?;
            in_folder("up", place, Some(&programs))
        }
        KubeCommand::Images(place) => images(place),
        KubeCommand::Down(place) => in_folder("down", place, None),
        KubeCommand::Test(args) => run_suites(args),
        KubeCommand::Clear(named) => {
            of_context("clear", &named.context)?;
            Ok(ExitCode::SUCCESS)
        }
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
    in_folder("images", place, None)
}

/// Runs the suites by name, with the cluster that was named for them. Such a cluster is looked at before anything is built for
/// the suites, and left as it was found.
fn run_suites(args: &TestArgs) -> Result<ExitCode> {
    let metadata = workspace::metadata()?;
    let all: Vec<_> = suites::of_system(&metadata)
        .into_iter()
        .filter(|suite| test::needs_kubernetes(suite) && is_for(args.context.as_deref(), suite))
        .collect();
    let chosen = suites::choose("suite for this", &all, &args.suite)?;
    let mut run = Run::start();
    let Some(context) = &args.context else {
        test::chosen_by_name(&mut run, &metadata, &chosen, &[])?;
        return Ok(run.finish());
    };
    println!(
        "the suite {SUITE_OF_HARNESS} is left out: it proves the node that this cluster takes the place of"
    );
    let title = format!("the cluster of the context {context}");
    if run.step(&title, || of_context("prepare", context)) {
        let here = std::env::current_dir().context("the current folder is gone")?;
        let load = in_folder_of_caller(&here, args.load.as_deref().unwrap_or_default());
        let mut environment = vec![(CONTEXT, context.clone()), (LOAD_IMAGE, load)];
        if let Some(files) = std::env::var_os(KUBECONFIG) {
            environment.push((KUBECONFIG, absolute(&here, &files)?));
        }
        let ran = test::chosen_by_name(&mut run, &metadata, &chosen, &environment);
        run.step("nothing is left in it", || of_context("clear", context));
        ran?;
    }
    Ok(run.finish())
}

/// The command, as it is meant where it was typed: suites run in a folder of their own.
fn in_folder_of_caller(here: &Path, command: &str) -> String {
    format!(
        "cd '{}' && {command}",
        here.display().to_string().replace('\'', r"'\''")
    )
}

/// Paths, as they are meant there too.
fn absolute(here: &Path, paths: &OsStr) -> Result<String> {
    let paths = std::env::split_paths(paths).filter(|path| !path.as_os_str().is_empty());
    let joined = std::env::join_paths(paths.map(|path| here.join(path)));
    let joined = joined.with_context(|| format!("{KUBECONFIG} cannot be made of absolute paths"))?;
    let joined = joined.into_string();
    joined.map_err(|joined| anyhow!("{KUBECONFIG} is not UTF-8: {}", joined.display()))
}

/// Whether a suite says anything about a cluster of this context, or of none: the harness itself is proven on nodes that it starts.
fn is_for(context: Option<&str>, suite: &str) -> bool {
    context.is_none() || suite != SUITE_OF_HARNESS
}

/// Has the harness do this to somebody's cluster.
fn of_context(command: &str, context: &str) -> Result<()> {
    let programs = programs::built(&Mutex::new(std::io::stderr()))?;
    check(harness(Some(&programs))?.args([command, context]))
}

/// Has the harness do this to a cluster in a folder.
fn in_folder(command: &str, place: &Place, programs: Option<&Path>) -> Result<ExitCode> {
    let folder = match &place.folder {
        Some(folder) => std::path::absolute(folder).context("the folder has no path")?,
        None => workspace::target()?.join("kube"),
    };
    check(harness(programs)?.arg(command).arg(folder))?;
    Ok(ExitCode::SUCCESS)
}

/// The harness. It is built with a suite, as cargo builds the executables of a suite's package beside it: built by its
/// own name, it and all that it uses would be compiled a second time, with other features.
fn harness(programs: Option<&Path>) -> Result<Command> {
    check(test::of_workspace(&[SUITE_OF_HARNESS.to_owned()]).args(["--quiet", "--no-run"]))?;
    let target = workspace::target()?;
    let mut harness = Command::new(target.join("debug").join(HARNESS));
    harness.env(test::BINARIES, target.join("release"));
    if let Some(programs) = programs {
        harness.env(PROGRAMS, programs);
    }
    Ok(harness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_in_one_folder_is_meant_there_by_suites_in_another() {
        let here = Path::new("/home/o'brien");
        let command = in_folder_of_caller(here, "./load.sh");
        assert_eq!(command, r"cd '/home/o'\''brien' && ./load.sh");
        for (given, expected) in [
            ("config", "/home/o'brien/config"),
            ("/etc/one:two", "/etc/one:/home/o'brien/two"),
            ("/etc/one:", "/etc/one"),
        ] {
            assert_eq!(absolute(here, OsStr::new(given)).unwrap(), expected, "{given}");
        }
    }

    #[test]
    fn the_harness_is_proven_on_nodes_of_its_own_alone() {
        for (context, suite, expected) in [
            (None, SUITE_OF_HARNESS, true),
            (Some("kind-kind"), SUITE_OF_HARNESS, false),
            (Some("kind-kind"), "operator_end_to_end", true),
        ] {
            assert_eq!(is_for(context, suite), expected, "{suite} on {context:?}");
        }
    }
}
