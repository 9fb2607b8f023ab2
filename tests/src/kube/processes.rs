//! The processes of a pod, as the machine sees them that its node runs on: the control group that one is in has the pod's uid in
//! its name.

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// Kills the processes of a program in a pod, as `kill -9` does.
///
/// # Errors
/// When there is none.
pub fn kill(pod_uid: &str, program: &str) -> Result<()> {
    // A driver for control groups may write the uid with underscores.
    let names = [pod_uid.to_owned(), pod_uid.replace('-', "_")];
    let mut killed = 0;
    for entry in std::fs::read_dir("/proc").context("cannot read /proc")? {
        let Some(process) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        // It may have ended meanwhile.
        let read =
            |file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
        let groups = read("cgroup");
        let is_in_pod = names.iter().any(|name| groups.contains(name));
        let arguments = read("cmdline");
        let name = arguments.split('\0').next().unwrap_or_default();
        if !is_in_pod || name.rsplit('/').next() != Some(program) {
            continue;
        }
        if let Some(number) = Pid::from_raw(process)
            && kill_process(number, Signal::KILL).is_ok()
        {
            killed += 1;
        }
    }
    ensure!(
        killed > 0,
        "no {program} of the pod {pod_uid} runs on this machine"
    );
    Ok(())
}
