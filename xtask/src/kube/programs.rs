//! Builds the programs once into a folder outside the repository; later runs take them from there.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::modules::{
    self, DEFINITION_FILES, DEFINITIONS, DEFINITIONS_MODULE, DEFINITIONS_WITHIN, MODULES, Module,
};
use crate::run::in_seconds;

/// Held by whoever builds into the folder.
const LOCK: &str = "lock";

/// Where messages and what Go prints go: the terminal, or a file while something else has the terminal.
pub type Log<'a> = &'a Mutex<dyn std::io::Write + Send>;

/// The folder for what the `go.mod` files of today say.
pub fn folder() -> Result<PathBuf> {
    Ok(cache()?
        .join("sluice")
        .join(format!("kube-{}", modules::fingerprint()?)))
}

/// The folder with all of it, built if it is not there. Two that want it at once build it once.
pub fn built(log: Log<'_>) -> Result<PathBuf> {
    let folder = folder()?;
    if complete(&folder) {
        return Ok(folder);
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let lock = File::create(folder.join(LOCK)).context("cannot make a file to lock")?;
    if lock.try_lock().is_err() {
        say(
            log,
            "somebody else builds the programs of Kubernetes; waiting for that",
        );
        lock.lock()
            .context("cannot lock the folder of Kubernetes's programs")?;
    }
    if complete(&folder) {
        return Ok(folder);
    }
    let started = Instant::now();
    say(
        log,
        &format!(
            "building the programs of Kubernetes into {}, once (on 2 cores about 12 minutes)",
            folder.display()
        ),
    );
    for module in MODULES {
        build(module, &folder, log)?;
    }
    fetch_definitions(&folder, log)?;
    say(
        log,
        &format!(
            "the programs of Kubernetes are built, in {}",
            in_seconds(started.elapsed())
        ),
    );
    Ok(folder)
}

fn complete(folder: &Path) -> bool {
    modules::files().all(|name| folder.join(name).is_file())
}

/// `$XDG_CACHE_HOME`, or `~/.cache`.
fn cache() -> Result<PathBuf> {
    let named = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    if let Some(cache) = named.filter(|cache| cache.is_absolute()) {
        return Ok(cache);
    }
    let home =
        env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set: where to keep programs?")?;
    Ok(PathBuf::from(home).join(".cache"))
}

/// Builds what a module lacks; a program is there whole or not at all.
fn build(module: &Module, folder: &Path, log: Log<'_>) -> Result<()> {
    let missing: Vec<_> = module
        .programs
        .iter()
        .filter(|program| !folder.join(program.name).is_file())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let started = Instant::now();
    let names: Vec<_> = missing.iter().map(|program| program.name).collect();
    say(log, &format!("building {}", names.join(", ")));
    // Beside the folder's files, so that a rename moves them.
    let staging = folder.join(format!("building-{}", module.folder));
    fs::create_dir_all(&staging)?;
    let mut go = go(module.folder);
    go.args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false"])
        .args(["-ldflags", &format!("-s -w {}", module.link)])
        // The linker leaves what debuggers want out: not to make it saves an eighth of the time.
        .args(["-gcflags", "all=-dwarf=false"])
        .args(["-tags", module.tags])
        .arg("-o")
        .arg(format!("{}/", staging.display()))
        .args(missing.iter().map(|program| program.package));
    run(&mut go, log)?;
    for program in missing {
        let built = staging.join(named_by_go(program.package));
        fs::rename(&built, folder.join(program.name))
            .with_context(|| format!("go has built no {}", built.display()))?;
    }
    fs::remove_dir_all(&staging)?;
    say(
        log,
        &format!("built {} in {}", names.join(", "), in_seconds(started.elapsed())),
    );
    Ok(())
}

/// What `go build` calls a package's executable: the last element of its path that is not a major version.
fn named_by_go(package: &str) -> &str {
    let is_version = |element: &str| {
        element
            .strip_prefix('v')
            .is_some_and(|number| number.parse::<u32>().is_ok())
    };
    package
        .rsplit('/')
        .find(|element| !is_version(element))
        .unwrap_or(package)
}

fn fetch_definitions(folder: &Path, log: Log<'_>) -> Result<()> {
    say(
        log,
        "fetching the definitions of ServiceMonitor, PodMonitor and PrometheusRule",
    );
    let output = go(DEFINITIONS)
        .args(["mod", "download", "-json", DEFINITIONS_MODULE])
        .stderr(Stdio::piped())
        .output()
        .context("cannot start go")?;
    ensure!(
        output.status.success(),
        "go cannot fetch {DEFINITIONS_MODULE}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let answer: Value = serde_json::from_slice(&output.stdout).context("go's answer is no JSON")?;
    let module = answer["Dir"]
        .as_str()
        .context("go does not say where the module is")?;
    for name in DEFINITION_FILES {
        let from = Path::new(module).join(DEFINITIONS_WITHIN).join(name);
        // Read and written, not copied: files in Go's cache are read-only, and ours can be removed.
        let text = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        let (staged, to) = (folder.join(format!("{name}.new")), folder.join(name));
        fs::write(&staged, text)
            .and_then(|()| fs::rename(&staged, &to))
            .with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

/// Go in the folder of a module, giving way to whoever else works on this machine, and undisturbed by settings that are
/// meant for somebody's own modules.
fn go(module: &str) -> Command {
    let mut command = Command::new("nice");
    command
        .args(["-n", "10", "go"])
        .current_dir(modules::folder_of(module))
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .env_remove("GOFLAGS")
        .stdin(Stdio::null());
    command
}

fn run(command: &mut Command, log: Log<'_>) -> Result<()> {
    let output = command
        .output()
        .context("cannot start go: install it, in the version that README.md names")?;
    let printed = [output.stdout, output.stderr].concat();
    if !output.status.success() {
        bail!(
            "go build ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&printed)
        );
    }
    let printed = String::from_utf8_lossy(&printed);
    // Hundreds of modules are fetched; which, the pinned versions tell.
    let lines = printed
        .lines()
        .filter(|line| !line.starts_with("go: downloading "));
    lines.for_each(|line| say(log, line));
    Ok(())
}

fn say(log: Log<'_>, text: &str) {
    if !text.is_empty()
        && let Ok(mut log) = log.lock()
    {
        // Whoever closes the log does not want to hear more.
        let _ = writeln!(log, "{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_under_the_names_that_go_gives_them() {
        for (package, name) in [
            ("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
            ("go.etcd.io/etcd/server/v3", "server"),
            ("helm.sh/helm/v4/cmd/helm", "helm"),
            ("github.com/coredns/coredns", "coredns"),
        ] {
            assert_eq!(named_by_go(package), name, "{package}");
        }
    }

    #[test]
    fn a_folder_that_lacks_anything_is_not_complete() {
        assert!(!complete(Path::new("/nowhere")));
    }
}
