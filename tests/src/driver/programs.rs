//! How each client's driver is made and started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, ensure};
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use super::Language;
use crate::{binaries, python};

/// What is started.
pub(super) struct Program {
    /// The program and its arguments.
    pub words: Vec<OsString>,
    pub variables: Vec<(&'static str, OsString)>,
    /// What has to be there for it, for people.
    pub needs: &'static str,
}

/// Where what is built of the drivers is kept from run to run.
fn built() -> PathBuf {
    binaries::scratch().join("drivers")
}

fn sources(language: &str) -> PathBuf {
    binaries::workspace().join("tests").join(language)
}

impl Program {
    /// The driver of a language, built if nobody has; it may write into `folder`.
    pub fn of(language: Language, folder: &Path) -> Result<Self> {
        match language {
            Language::Java => java(folder),
            Language::Python => python(),
            Language::Node => node(),
            Language::Go => go(),
            Language::Rust => rust(),
        }
    }
}

fn java(folder: &Path) -> Result<Program> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = once(&BUILT, || {
        let built = built().join("java");
        let mut maven = Command::new("mvn");
        maven
            .args(["-q", "-B", "-Dstyle.color=never", "process-classes"])
            .arg(format!("-Ddriver.directory={}", built.display()))
            .current_dir(sources("java"));
        run(&mut maven, "Maven 3.8 or newer")?;
        Ok(built)
    })?;
    let mut class_path = built.join("classes").into_os_string();
    class_path.push(":");
    class_path.push(built.join("lib/*"));
    let mut logs = OsString::from("-Drocketmq.log.root=");
    logs.push(folder);
    // Starts quickly, and leaves the cores to the broker.
    let mut words: Vec<OsString> = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx1g"]
        .map(Into::into)
        .into();
    words.extend([logs, "-cp".into(), class_path, "dev.sluice.driver.Driver".into()]);
    Ok(Program {
        words,
        variables: Vec::new(),
        needs: "Java 17 or newer",
    })
}

fn python() -> Result<Program> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let sources = sources("python");
    let packages = once(&BUILT, || {
        let pinned = [sources.join("requirements.txt")];
        made_for(&pinned, "python", python::install_packages)
    })?;
    let mut path = packages.into_os_string();
    path.push(":");
    path.push(sources);
    Ok(Program {
        words: ["python3", "-m", "driver"].map(Into::into).into(),
        variables: vec![("PYTHONPATH", path), ("PYTHONDONTWRITEBYTECODE", "1".into())],
        needs: "Python 3.11 or newer",
    })
}

fn node() -> Result<Program> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let sources = sources("node");
    let built = once(&BUILT, || {
        let pinned = ["package.json", "package-lock.json", ".npmrc"].map(|name| sources.join(name));
        let built = made_for(&pinned, "node", |folder| {
            for file in &pinned {
                copy_into(file, folder)?;
            }
            let mut npm = Command::new("npm");
            npm.args([
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
            ])
            .current_dir(folder);
            run(&mut npm, "Node.js 20 or newer with npm")
        })?;
        // It finds packages beside its sources and above them only.
        let copied = built.join("src");
        std::fs::create_dir_all(&copied)?;
        for entry in std::fs::read_dir(sources.join("src")).context("cannot read tests/node/src")? {
            copy_into(&entry?.path(), &copied)?;
        }
        Ok(built)
    })?;
    Ok(Program {
        words: vec!["node".into(), built.join("src/main.js").into()],
        variables: Vec::new(),
        needs: "Node.js 20 or newer",
    })
}

fn go() -> Result<Program> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = once(&BUILT, || {
        let built = built().join("go/driver");
        let mut go = Command::new("go");
        go.args(["build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-o"])
            .arg(&built)
            .arg(".")
            .current_dir(sources("go"));
        run(&mut go, "Go 1.26 or newer")?;
        lint_go()?;
        Ok(built)
    })?;
    Ok(Program {
        words: vec![built.into()],
        variables: Vec::new(),
        needs: "Go 1.26 or newer",
    })
}

/// No step of continuous integration looks at this module but the one that builds it.
fn lint_go() -> Result<()> {
    let mut vet = Command::new("go");
    vet.args(["vet", "-mod=readonly", "."]).current_dir(sources("go"));
    run(&mut vet, "Go 1.26 or newer")?;
    let mut gofmt = Command::new("gofmt");
    gofmt.args(["-l", "."]).current_dir(sources("go"));
    let listed = gofmt
        .output()
        .context("cannot start gofmt: Go 1.26 or newer is needed")?;
    let files = String::from_utf8_lossy(&listed.stdout);
    ensure!(
        listed.status.success() && files.is_empty(),
        "`gofmt -w` would change these files of tests/go: {files}{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    Ok(())
}

fn rust() -> Result<Program> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = once(&BUILT, || {
        let built = built().join("rust");
        let mut cargo = Command::new("cargo");
        cargo
            .args(["build", "--quiet", "--locked", "--target-dir"])
            .arg(&built)
            .current_dir(sources("rust"));
        run(&mut cargo, "Rust")?;
        lint_rust(&built)?;
        Ok(built.join("debug/sluice-rust-driver"))
    })?;
    Ok(Program {
        words: vec![built.into()],
        variables: Vec::new(),
        needs: "Rust",
    })
}

/// As for Go: the workspace of this driver is one of its own.
fn lint_rust(built: &Path) -> Result<()> {
    let mut fmt = Command::new("cargo");
    fmt.args(["fmt", "--check"]).current_dir(sources("rust"));
    run(&mut fmt, "rustfmt")?;
    let mut clippy = Command::new("cargo");
    clippy
        .args(["clippy", "--quiet", "--locked", "--target-dir"])
        .arg(built)
        .args(["--", "-D", "warnings"])
        .current_dir(sources("rust"));
    run(&mut clippy, "clippy")
}

/// The folder that `make` fills from these files: made once for what they say, and kept.
fn made_for(files: &[PathBuf], name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let mut pinned = Vec::new();
    for file in files {
        pinned.extend(std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    let folder = built().join(format!("{name}-{:016x}", xxh3_64(&pinned)));
    if folder.is_dir() {
        return Ok(folder);
    }
    std::fs::create_dir_all(built())?;
    // What was begun and not ended is not taken for whole.
    let making = TempDir::new_in(built()).context("cannot make a folder")?;
    make(making.path())?;
    std::fs::rename(making.keep(), &folder)?;
    Ok(folder)
}

fn copy_into(file: &Path, folder: &Path) -> Result<()> {
    let name = file.file_name().context("a file has a name")?;
    std::fs::copy(file, folder.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
    Ok(())
}

fn once(
    built: &OnceLock<Result<PathBuf, String>>,
    build: impl FnOnce() -> Result<PathBuf>,
) -> Result<PathBuf> {
    let built = built.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.clone().map_err(|error| anyhow!(error))
}

fn run(command: &mut Command, needs: &str) -> Result<()> {
    let name = command.get_program().to_owned();
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}: {needs} is needed", name.display()))?;
    ensure!(status.success(), "{} ended with {status}", name.display());
    Ok(())
}
