//! What is left of a cluster: nothing, however it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sluice_tests::kube::kubectl::Kubectl;
use sluice_tests::{binaries, wait};

const WITHIN: Duration = Duration::from_secs(30);

/// What `cargo xtask kube` starts.
fn harness(arguments: &[&str], folder: &Path) -> Output {
    let mut harness = Command::new(env!("CARGO_BIN_EXE_sluice-kube"));
    harness.args(arguments).arg(folder).output().unwrap()
}

fn succeeds(arguments: &[&str], folder: &Path) -> String {
    let output = harness(arguments, folder);
    let printed = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {printed}{error}");
    printed
}

/// Everything on this machine that names the folder: processes, mounts, control groups, and the folder.
fn left_of(folder: &Path) -> Vec<String> {
    let name = folder.display().to_string();
    let mut left = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let arguments = std::fs::read(path.join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&arguments).contains(&name) {
            left.push(format!("process {}", path.display()));
        }
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    left.extend(
        mounts
            .lines()
            .filter(|mount| mount.contains(&name))
            .map(|mount| format!("mount {mount}")),
    );
    left.extend(
        control_groups(folder)
            .iter()
            .map(|group| format!("group {}", group.display())),
    );
    if folder.exists() {
        left.push(format!("folder {name}"));
    }
    left
}

fn control_groups(folder: &Path) -> Vec<PathBuf> {
    let begins = format!("{}-", folder.file_name().unwrap().to_str().unwrap());
    let root = Path::new("/sys/fs/cgroup");
    let trees = std::fs::read_dir(root).unwrap().map(|tree| tree.unwrap().path());
    let groups = trees.chain([root.to_owned()]).map(|tree| tree.join("sluice"));
    groups
        .filter_map(|groups| std::fs::read_dir(groups).ok())
        .flatten()
        .map(|group| group.unwrap().path())
        .filter(|group| group.file_name().unwrap().to_string_lossy().starts_with(&begins))
        .collect()
}

fn wait_until_nothing_is_left(folder: &Path) {
    wait::until("nothing is left", WITHIN, || {
        let left = left_of(folder);
        anyhow::ensure!(left.is_empty(), "there are still {left:#?}");
        Ok(Some(()))
    })
    .unwrap();
}

#[test]
fn a_cluster_that_is_killed_leaves_nothing_and_another_starts_in_its_place() {
    let base = binaries::scratch().join("system-tests");
    let above = tempfile::TempDir::with_prefix_in("leaving-", base).unwrap();
    let folder = above.path().join("cluster");

    let told = succeeds(&["up"], &folder);
    let kubeconfig = folder.join("kubeconfig");
    assert!(
        told.contains(&format!("export KUBECONFIG={}", kubeconfig.display())),
        "{told}"
    );
    let run = [
        "run",
        "sleeper",
        "--image=localhost/pause:1",
        "--image-pull-policy=Never",
    ];
    Kubectl::of(&kubeconfig).run(&run).unwrap();
    let ready = ["wait", "--for=condition=Ready", "--timeout=60s", "pod/sleeper"];
    Kubectl::of(&kubeconfig).run(&ready).unwrap();
    assert!(
        !control_groups(&folder).is_empty(),
        "pods run in a group of the cluster"
    );
    // As a newcomer has them after `cargo xtask kube images`.
    let images = succeeds(&["images"], &folder);
    let operator = images.lines().find(|name| name.starts_with("sluice-operator:"));
    let operator = format!("--image={}", operator.unwrap());
    let run = [
        "run",
        "operator",
        &operator,
        "--image-pull-policy=Never",
        "--restart=Never",
        "--",
        "--version",
    ];
    Kubectl::of(&kubeconfig).run(&run).unwrap();
    let done = [
        "wait",
        "--for=jsonpath={.status.phase}=Succeeded",
        "--timeout=60s",
        "pod/operator",
    ];
    Kubectl::of(&kubeconfig).run(&done).unwrap();
    let again = harness(&["up"], &folder);
    let error = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && error.contains("is running"), "{error}");

    let owner = std::fs::read_to_string(folder.with_extension("pid")).unwrap();
    kill_process(Pid::from_raw(owner.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    wait_until_nothing_is_left(&folder);

    succeeds(&["up"], &folder);
    let nodes = Kubectl::of(&kubeconfig)
        .run(&["get", "nodes", "--no-headers"])
        .unwrap();
    assert_eq!(nodes.lines().count(), 1, "{nodes}");
    succeeds(&["down"], &folder);
    wait_until_nothing_is_left(&folder);
    assert_eq!(std::fs::read_dir(above.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_that_is_no_clusters_is_left_alone() {
    let above = tempfile::tempdir().unwrap();
    std::fs::write(above.path().join("precious"), "file").unwrap();
    for command in ["up", "down"] {
        let output = harness(&[command], above.path());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{command}");
        assert!(error.contains("is no folder of a cluster"), "{command}: {error}");
    }
    assert!(above.path().join("precious").exists());
}

#[test]
fn programs_that_are_missing_are_named_with_what_to_do() {
    let above = tempfile::tempdir_in(binaries::scratch()).unwrap();
    let mut harness = Command::new(env!("CARGO_BIN_EXE_sluice-kube"));
    let output = harness
        .arg("up")
        .arg(above.path().join("cluster"))
        .env("SLUICE_KUBE_PROGRAMS", above.path())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        error.contains("/etcd") && error.contains("cargo xtask kube programs"),
        "{error}"
    );
}
