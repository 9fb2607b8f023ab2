//! What the rules look at: the packages, and the text of every file that is or would be under version
//! control.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata};

use crate::workspace;

/// The workspace as plain values.
#[derive(Debug, Default)]
pub struct Tree {
    /// Sorted by path.
    pub files: Vec<File>,
    /// Every path, those of files that are not text among them.
    pub paths: Vec<String>,
    pub packages: Vec<Package>,
}

/// A text file.
#[derive(Debug)]
pub struct File {
    /// From the root, with `/`.
    pub path: String,
    pub text: String,
}

/// A package of the workspace.
#[derive(Debug)]
pub struct Package {
    /// From the root; what identifies the package in the rules, since its name may differ (`sluicectl` lives
    /// in `cli`).
    pub folder: String,
    pub dependencies: Vec<Dependency>,
}

/// An edge from one package to another.
#[derive(Debug)]
pub struct Dependency {
    pub name: String,
    /// The folder of a dependency inside the workspace.
    pub folder: Option<String>,
    /// Used by the tests alone.
    pub in_tests_only: bool,
}

impl Tree {
    /// Reads the workspace; takes no decision about what it finds.
    pub fn load() -> Result<Self> {
        let mut tree = Self {
            packages: packages(&workspace::metadata()?),
            ..Self::default()
        };
        for path in versioned_paths()? {
            // A tracked file may be deleted and not yet committed so, and a tracked link may lead nowhere.
            let Ok(bytes) = fs::read(workspace::root().join(&path)) else {
                continue;
            };
            tree.paths.push(path.clone());
            if let Ok(text) = String::from_utf8(bytes) {
                tree.files.push(File { path, text });
            }
        }
        Ok(tree)
    }

    /// The Rust sources.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// The Markdown pages.
    pub fn markdown(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".md"))
    }

    /// The text of one file.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// A tree of these files and no packages.
    #[cfg(test)]
    pub fn of_files(files: &[(&str, &str)]) -> Self {
        let files: Vec<_> = files
            .iter()
            .map(|&(path, text)| File {
                path: path.to_owned(),
                text: text.to_owned(),
            })
            .collect();
        Self {
            paths: files.iter().map(|file| file.path.clone()).collect(),
            files,
            packages: Vec::new(),
        }
    }
}

/// Tracked files and those that are neither tracked nor ignored, so that a rule is broken before the commit,
/// not after.
fn versioned_paths() -> Result<Vec<String>> {
    let mut command = Command::new("git");
    command
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(workspace::root());
    let output = command
        .output()
        .context("cannot start git, which lists the files to check")?;
    if !output.status.success() {
        bail!(
            "`git ls-files` cannot list the files to check: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let listed = String::from_utf8(output.stdout).context("a file's name is not UTF-8; rename it")?;
    let mut paths: Vec<_> = listed.split_terminator('\0').map(str::to_owned).collect();
    paths.sort_unstable();
    paths.dedup();
    Ok(paths)
}

fn packages(metadata: &Metadata) -> Vec<Package> {
    let folder_of = |path: &cargo_metadata::camino::Utf8Path| {
        path.strip_prefix(&metadata.workspace_root)
            .map(ToString::to_string)
            .ok()
    };
    let of_package = |package: &cargo_metadata::Package| Package {
        folder: package
            .manifest_path
            .parent()
            .and_then(folder_of)
            .unwrap_or_default(),
        dependencies: package
            .dependencies
            .iter()
            .map(|dependency| Dependency {
                name: dependency.name.clone(),
                folder: dependency.path.as_deref().and_then(folder_of),
                in_tests_only: dependency.kind == DependencyKind::Development,
            })
            .collect(),
    };
    metadata
        .workspace_packages()
        .into_iter()
        .map(of_package)
        .collect()
}
