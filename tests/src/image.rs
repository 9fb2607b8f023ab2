//! The broker's image, made by buildah from the Dockerfile, the executables under test and a base of a few libraries:
//! no registry is asked for anything.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::binaries;

const BASE: &str = "localhost/sluice-test-base";
/// In the loader's path of every executable here.
const KERNELS_OWN: &str = "linux-vdso";
/// What ldd says of a program that is linked statically.
const NEEDS_NONE: &str = "not a dynamic executable";

/// An image, in a storage of its own, which the next one of the same target takes over.
#[derive(Debug)]
pub struct Image {
    storage: PathBuf,
    name: String,
    root: OnceLock<PathBuf>,
}

impl Image {
    /// Builds a target of the Dockerfile around executables that are there already.
    ///
    /// # Errors
    /// When buildah is missing or fails; the error has what it wrote.
    pub fn build(target: &str, executables: &[PathBuf], build_arguments: &[(&str, &str)]) -> Result<Self> {
        let storage = binaries::scratch()
            .join("system-tests")
            .join(format!("image-{target}"));
        // Of an earlier run: a few hundred megabytes, of which only the newest are of use to anyone.
        if storage.exists() {
            std::fs::remove_dir_all(&storage)
                .with_context(|| format!("cannot remove {}", storage.display()))?;
        }
        let image = Self {
            storage,
            name: format!("localhost/sluice-test-{target}"),
            root: OnceLock::new(),
        };
        image.build_base(BASE, executables, "")?;

        let context = image.folder("context")?;
        std::fs::create_dir_all(context.join("data"))?;
        for executable in executables {
            copy_into(executable, &context.join("bin"))?;
        }
        let base = format!("RUNTIME_IMAGE={BASE}");
        let mut options = vec!["--target", target, "--build-arg", &base];
        let more: Vec<_> = build_arguments
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        more.iter().for_each(|more| options.extend(["--build-arg", more]));
        let dockerfile = binaries::workspace().join("Dockerfile");
        image.bud(&context, &dockerfile, &image.name, &options)?;
        Ok(image)
    }

    /// An image of one executable and what it needs to run, made in this folder, which is the caller's.
    ///
    /// # Errors
    /// When buildah is missing or fails.
    pub fn of_executable(folder: &Path, name: &str, executable: &Path) -> Result<Self> {
        let program = executable.file_name().and_then(|name| name.to_str());
        let program = program.context("an executable has no name")?;
        let entry = format!("ENTRYPOINT [\"/usr/local/bin/{program}\"]\n");
        Self::of_files(folder, name, &entry, |root| {
            copy_into(executable, &root.join("usr/local/bin"))?;
            Ok(vec![executable.to_owned()])
        })
    }

    /// An image of files that are laid out under the root that is given, made in this folder, which is the caller's. What the
    /// programs and libraries that `lay_out` returns are linked to is added; `instructions` are a Dockerfile's.
    ///
    /// # Errors
    /// When buildah is missing or fails, or the files cannot be laid out.
    pub fn of_files(
        folder: &Path,
        name: &str,
        instructions: &str,
        lay_out: impl FnOnce(&Path) -> Result<Vec<PathBuf>>,
    ) -> Result<Self> {
        let image = Self {
            storage: folder.to_owned(),
            name: name.to_owned(),
            root: OnceLock::new(),
        };
        let linked = lay_out(&image.folder("base/root")?)?;
        image.build_base(name, &linked, instructions)?;
        Ok(image)
    }

    fn build_base(&self, name: &str, executables: &[PathBuf], instructions: &str) -> Result<()> {
        let base = self.folder("base")?;
        lay_out_base(&base, executables)?;
        let recipe = base.join("Dockerfile");
        std::fs::write(&recipe, format!("FROM scratch\nCOPY root/ /\n{instructions}"))?;
        self.bud(&base, &recipe, name, &[])?;
        Ok(())
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes it as an archive that container engines read, under the name that it is to have there.
    ///
    /// # Errors
    /// When buildah fails.
    pub fn write_archive(&self, file: &Path, name: &str) -> Result<()> {
        // An archive that is there would be added to, which is refused.
        if file.exists() {
            std::fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
        let archive = format!("docker-archive:{}:{name}", file.display());
        self.buildah(&["push", "--quiet", &self.name, &archive])?;
        Ok(())
    }

    /// What the image says about itself: the `config` of the OCI format.
    ///
    /// # Errors
    /// When buildah fails.
    pub fn config(&self) -> Result<Value> {
        let output = self.buildah(&["inspect", "--type", "image", &self.name])?;
        let mut inspected: Value =
            serde_json::from_slice(&output.stdout).context("buildah's answer is no JSON")?;
        Ok(inspected["OCIv1"]["config"].take())
    }

    /// A folder with the image's files: one for all containers, since none may write to it.
    ///
    /// # Errors
    /// When buildah fails.
    pub fn root(&self) -> Result<&Path> {
        if let Some(root) = self.root.get() {
            return Ok(root);
        }
        let container = self.buildah(&["from", "--pull-never", &self.name])?;
        let mounted = self.buildah(&["mount", &first_line(&container)])?;
        Ok(self.root.get_or_init(|| PathBuf::from(first_line(&mounted))))
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.storage.join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    fn bud(&self, context: &Path, recipe: &Path, name: &str, options: &[&str]) -> Result<Output> {
        let (context, recipe) = (context.display().to_string(), recipe.display().to_string());
        let mut arguments = vec![
            "bud",
            "--isolation",
            "chroot",
            "--pull-never",
            "--tag",
            name,
            "--file",
            &recipe,
        ];
        arguments.extend(options);
        arguments.push(&context);
        self.buildah(&arguments)
    }

    fn buildah(&self, arguments: &[&str]) -> Result<Output> {
        let output = Command::new("buildah")
            .args(["--storage-driver", "vfs", "--root"])
            .arg(self.storage.join("storage"))
            .arg("--runroot")
            .arg(self.storage.join("run"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .context("cannot start buildah: as root, run `apt-get install buildah runc`")?;
        if !output.status.success() {
            bail!(
                "buildah {} ended with {}: {}",
                arguments.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(output)
    }
}

/// A root folder with what the executables need to run, and no more: no shell, no users, no other program.
fn lay_out_base(folder: &Path, executables: &[PathBuf]) -> Result<()> {
    let root = folder.join("root");
    for folder in ["tmp", "etc", "proc", "sys", "dev", "usr/local/bin", "var/lib"] {
        std::fs::create_dir_all(root.join(folder))?;
    }
    for executable in executables {
        for library in libraries(executable)? {
            if library.starts_with(&root) {
                continue;
            }
            let at = library.strip_prefix("/").unwrap_or(&library);
            if let Some(folder) = at.parent() {
                copy_into(&library, &root.join(folder))?;
            }
        }
    }
    Ok(())
}

/// What `ldd` lists, the loader among it.
fn libraries(executable: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(executable)
        .output()
        .context("cannot start ldd")?;
    let listed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if listed.contains(NEEDS_NONE) {
        return Ok(Vec::new());
    }
    ensure!(output.status.success(), "ldd fails on {}", executable.display());
    let lines = listed.lines().filter(|line| !line.contains(KERNELS_OWN));
    Ok(lines
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect())
}

fn copy_into(file: &Path, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let name = file.file_name().context("a file has no name")?;
    std::fs::copy(file, folder.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
    Ok(())
}

fn first_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().unwrap_or_default().trim().to_owned()
}
