//! From an image's configuration to what runc is told, under Kubernetes' restricted profile.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::seccomp;

/// What a container is run with.
#[derive(Debug, Default)]
pub struct Run {
    /// Behind the entry point.
    pub arguments: Vec<String>,
    /// Beside the image's own.
    pub environment: Vec<(String, String)>,
    /// What stands for the image's one volume; without it the place stays as it is in the image, which is read-only.
    pub volume: Option<PathBuf>,
}

/// runc's `config.json`: no capability, no new privileges, the default system calls, a root that is read-only, and the
/// machine's network, on whose loopback interface the test reaches it.
pub(super) fn specification(image: &Value, root: &Path, run: &Run) -> Result<Value> {
    let (user, group) = user(image)?;
    let mut arguments = texts(&image["Entrypoint"]);
    arguments.extend(texts(&image["Cmd"]));
    arguments.extend(run.arguments.clone());
    let mut environment = texts(&image["Env"]);
    environment.extend(
        run.environment
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    let mut mounts = usual_mounts();
    if let Some(volume) = &run.volume {
        let options = ["bind", "rw", "nosuid", "nodev", "noexec"];
        mounts.push(json!({
            "destination": only_volume(image)?, "type": "bind", "source": volume, "options": options,
        }));
    }
    let namespaces = ["pid", "ipc", "uts", "mount"].map(|kind| json!({"type": kind}));
    Ok(json!({
        "ociVersion": "1.0.2",
        "hostname": "broker",
        "root": {"path": root, "readonly": true},
        "process": {
            "user": {"uid": user, "gid": group},
            "args": arguments,
            "env": environment,
            "cwd": image["WorkingDir"].as_str().filter(|folder| !folder.is_empty()).unwrap_or("/"),
            "capabilities": {"bounding": [], "effective": [], "inheritable": [], "permitted": [], "ambient": []},
            "noNewPrivileges": true,
        },
        "mounts": mounts,
        "linux": {
            "namespaces": namespaces,
            "seccomp": seccomp::profile()?,
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }))
}

/// Kubernetes refuses an image whose user is a name where it must not be root, for a name could be root's.
fn user(image: &Value) -> Result<(u32, u32)> {
    let user = image["User"].as_str().unwrap_or_default();
    let (user, group) = user.split_once(':').unwrap_or((user, "0"));
    let user = user
        .parse()
        .with_context(|| format!("the image's user is no number: {user:?}"))?;
    let group = group
        .parse()
        .with_context(|| format!("the image's group is no number: {group:?}"))?;
    ensure!(user != 0, "the image's user is root");
    Ok((user, group))
}

fn only_volume(image: &Value) -> Result<String> {
    let volumes: Vec<_> = image["Volumes"]
        .as_object()
        .into_iter()
        .flat_map(|all| all.keys())
        .collect();
    match volumes.as_slice() {
        [volume] => Ok((*volume).clone()),
        others => bail!("the image has not one volume but {others:?}"),
    }
}

fn usual_mounts() -> Vec<Value> {
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    let quiet = ["nosuid", "noexec", "nodev"];
    vec![
        mount("/proc", "proc", &quiet),
        mount(
            "/dev",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        mount(
            "/dev/pts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        ),
        mount(
            "/dev/shm",
            "tmpfs",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
        ),
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ]
}

fn texts(list: &Value) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten();
    texts.filter_map(Value::as_str).map(str::to_owned).collect()
}
