//! The official Python client with a producer and a consumer (`tests/python`), in an image for pods.
//!
//! The machine's own interpreter goes into it, with its library, and what pip installs from the pinned requirements.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::binaries;
use crate::image::Image;

/// Sends `COUNT` messages and tells of each that was acknowledged; its variables stand at its top.
pub const PRODUCER: &str = "/opt/workload/producer.py";
/// Receives, takes a while over each message, acknowledges it and tells of it.
pub const CONSUMER: &str = "/opt/workload/consumer.py";

/// Of the library, what no program here imports: 100 megabytes of tests, and what is for people at screens.
const LEFT_OUT: [&str; 9] = [
    "site-packages",
    "dist-packages",
    "test",
    "idlelib",
    "tkinter",
    "turtledemo",
    "ensurepip",
    "lib2to3",
    "config-",
];

const ASK: &str = "import json, os, sys, sysconfig; print(json.dumps({\
    'executable': os.path.realpath(sys.executable), \
    'library': sysconfig.get_path('stdlib'), \
    'version': sysconfig.get_python_version()}))";

/// Where the interpreter has what it is made of.
#[derive(Debug, Deserialize)]
struct Interpreter {
    executable: PathBuf,
    library: PathBuf,
    version: String,
}

/// Makes the image under this name, in this folder, which is the caller's.
///
/// # Errors
/// When Python, pip or buildah are missing or fail.
pub fn image(folder: &Path, name: &str) -> Result<Image> {
    let interpreter = Interpreter::find()?;
    let instructions = "ENV PYTHONPATH=/opt/workload/packages HOME=/tmp\n\
                        ENTRYPOINT [\"/usr/local/bin/python3\"]\n";
    Image::of_files(folder, name, instructions, |root| {
        // It looks for its library beside the folder that it is in.
        let programs = root.join("usr/local/bin");
        std::fs::create_dir_all(&programs)?;
        let program = programs.join("python3");
        std::fs::copy(&interpreter.executable, &program)
            .with_context(|| format!("cannot copy {}", interpreter.executable.display()))?;
        let library = root.join(format!("usr/local/lib/python{}", interpreter.version));
        interpreter.copy_library(&library)?;
        let workload = root.join("opt/workload");
        let packages = workload.join("packages");
        install_packages(&packages)?;
        for script in ["producer.py", "consumer.py"] {
            std::fs::copy(sources().join(script), workload.join(script))?;
        }
        let mut linked = vec![interpreter.executable.clone()];
        collect_libraries(&library, &mut linked)?;
        collect_libraries(&packages, &mut linked)?;
        Ok(linked)
    })
}

fn sources() -> PathBuf {
    binaries::workspace().join("tests/python")
}

impl Interpreter {
    fn find() -> Result<Self> {
        let output = Command::new("python3")
            .args(["-c", ASK])
            .stdin(Stdio::null())
            .output()
            .context("cannot start python3: Python 3.11 or newer is needed")?;
        ensure!(
            output.status.success(),
            "python3 does not say where its library is: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).context("python3's answer is no JSON")
    }

    /// With times as they are: what is compiled already counts only for a source of its time.
    fn copy_library(&self, to: &Path) -> Result<()> {
        std::fs::create_dir_all(to)?;
        let mut copy = Command::new("cp");
        copy.args(["--archive", "--target-directory"]).arg(to);
        for entry in std::fs::read_dir(&self.library)
            .with_context(|| format!("cannot read {}", self.library.display()))?
        {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !LEFT_OUT.iter().any(|left_out| name.starts_with(left_out)) {
                copy.arg(entry.path());
            }
        }
        let status = copy.status().context("cannot start cp")?;
        ensure!(status.success(), "cp ended with {status}");
        Ok(())
    }
}

/// Fetched by pip, or taken from its cache.
pub(crate) fn install_packages(to: &Path) -> Result<()> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args([
            "--no-deps",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--root-user-action",
            "ignore",
        ])
        .arg("--target")
        .arg(to)
        .arg("--requirement")
        .arg(sources().join("requirements.txt"))
        .stdin(Stdio::null());
    let status = pip.status().context("cannot start python3")?;
    ensure!(
        status.success(),
        "pip ended with {status}: Python's packages are fetched by it, once; is Python installed with pip, and is there a \
         network?"
    );
    Ok(())
}

/// Every shared library in a folder: what they are linked to is needed too.
fn collect_libraries(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect_libraries(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "so") {
            found.push(path);
        }
    }
    Ok(())
}
