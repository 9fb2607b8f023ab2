//! `sluice-operator crds`: the definitions of the custom resources.

mod manual;
mod yaml;

use anyhow::{Context, Result};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What to do with the definitions.
#[derive(clap::Args)]
#[command(after_long_help = "\
Examples:
  sluice-operator crds | kubectl apply --server-side -f -
  sluice-operator crds --to crds")]
pub struct CrdsArgs {
    /// Write one file a resource into this folder instead of printing them
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Write the fields and conditions of each resource into its page in this folder
    #[arg(long, value_name = "DIR", hide = true, conflicts_with = "to")]
    manual: Option<PathBuf>,
}

/// Prints or writes them.
pub fn crds(args: &CrdsArgs) -> Result<()> {
    if let Some(folder) = &args.manual {
        return write_manual(folder);
    }
    let files = yaml::files()?;
    let Some(folder) = &args.to else {
        return print(&files, &mut std::io::stdout().lock());
    };
    for (name, text) in files {
        write(&folder.join(name), &text)?;
    }
    Ok(())
}

fn print(files: &[(String, String)], to: &mut impl Write) -> Result<()> {
    let printed = files
        .iter()
        .try_for_each(|(_, text)| write!(to, "---\n{text}"))
        .and_then(|()| to.flush());
    match printed {
        // As with `| head`: whoever read has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed.context("cannot write to standard output"),
    }
}

fn write_manual(folder: &Path) -> Result<()> {
    for page in manual::PAGES {
        let path = folder.join(page.name);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = page
            .with_reference(&text)
            .with_context(|| format!("cannot use {}", path.display()))?;
        write(&path, &text)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

    fn files_in(folder: &Path) -> BTreeMap<String, String> {
        let entries = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let files = entries.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
        let named = files.map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        });
        named.collect()
    }

    fn mend(folder: &str) -> String {
        format!("cargo run -p sluice-operator -- crds --to {folder}")
    }

    #[test]
    fn the_definitions_in_the_repository_are_what_the_command_writes() {
        let written = BTreeMap::from_iter(yaml::files().unwrap());
        let folder = "crds";
        let there = files_in(&Path::new(ROOT).join(folder));
        let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            names(&there),
            names(&written),
            "write {folder} anew: {}",
            mend(folder)
        );
        for (name, text) in &written {
            assert!(
                there[name] == *text,
                "{folder}/{name} is out of date: {}",
                mend(folder)
            );
        }
    }

    #[test]
    fn the_pages_of_the_manual_have_the_fields_and_conditions_that_there_are() {
        for page in manual::PAGES {
            let path = Path::new(ROOT).join("docs").join(page.name);
            let text = std::fs::read_to_string(path).unwrap();
            let mended = page.with_reference(&text).unwrap();
            assert!(
                mended == text,
                "docs/{} is out of date: cargo run -p sluice-operator -- crds --manual docs",
                page.name
            );
        }
    }

    /// Takes nothing, for this reason.
    struct Closed(ErrorKind);

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_has_read_enough_may_close_the_pipe() {
        let files = [("a.yaml".to_owned(), "a: 1\n".to_owned())];
        let mut whole = Vec::new();
        print(&files, &mut whole).unwrap();
        assert_eq!(whole, b"---\na: 1\n");
        print(&files, &mut Closed(ErrorKind::BrokenPipe)).unwrap();
        let full = print(&files, &mut Closed(ErrorKind::StorageFull)).unwrap_err();
        assert_eq!(full.to_string(), "cannot write to standard output");
    }

    #[test]
    fn a_folder_gets_a_file_for_each_resource() {
        let folder = tempfile::tempdir().unwrap();
        let args = CrdsArgs {
            to: Some(folder.path().to_owned()),
            manual: None,
        };
        crds(&args).unwrap();
        let names: Vec<_> = files_in(folder.path()).into_keys().collect();
        folder.close().unwrap();
        assert_eq!(
            names,
            ["brokerclusters.yaml", "consumergroups.yaml", "topics.yaml"]
        );
        let gone = crds(&args).unwrap_err().to_string();
        assert!(
            gone.starts_with("cannot write ") && gone.ends_with("brokerclusters.yaml"),
            "{gone}"
        );
    }
}
