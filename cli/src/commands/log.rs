//! `sluicectl log …`: the files of a stopped broker. They are read, and nothing else but by a repair.

mod repair;

use crate::args::LogCommand;
use crate::failure::{Failure, Kind};
use crate::output::Printer;
use crate::views::log::Inspection;
use crate::views::verdict::{Verdict, places_are_damaged};
use sluice_store::io::{DirLock, LogIo, RealIo, SkippingIo};
use sluice_store::repair::describe;
use sluice_store::survey::{Depth, Survey, survey};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Damaged places of the log of which it is told what is lost there.
const LOST_MAX: usize = 100;

/// Does what the command asks for.
///
/// # Errors
/// When the folder cannot be read, is damaged, or a broker uses it.
pub fn run(command: &LogCommand, printer: &Printer) -> Result<(), Failure> {
    match command {
        LogCommand::Inspect { dir } => inspect(&broker_folder(dir)?, printer),
        LogCommand::Repair(args) => repair::run(args, &broker_folder(&args.dir)?, printer),
        LogCommand::Verify { dir } => verify(&broker_folder(dir)?, printer),
    }
}

fn inspect(folder: &Path, printer: &Printer) -> Result<(), Failure> {
    let lock = lock(folder)?;
    if lock.is_none() {
        printer.note(&format!(
            "warning: a broker runs over {}: what is shown is out of date, and its last writes may look like damage",
            folder.display()
        ));
    }
    let found = look(folder, Depth::Overview)?;
    printer.show(&Inspection::new(folder, &found))?;
    let places = found.findings.damage.len() as u64 + found.findings.untold;
    if places > 0 {
        printer.note(&format!(
            "warning: {}: `sluicectl log verify {}` names what and where",
            places_are_damaged(places),
            folder.display()
        ));
    }
    Ok(())
}

fn verify(folder: &Path, printer: &Printer) -> Result<(), Failure> {
    let Some(_lock) = lock(folder)? else {
        return Err(Failure::new(
            Kind::Refused,
            "a broker runs over it: what it is writing would be taken for damage",
        )
        .about(folder.display().to_string())
        .hint("stop the broker, or verify a copy of the folder"));
    };
    let found = look(folder, Depth::Everything)?;
    let lost = lost(folder, &found)?;
    let verdict = Verdict::new(folder, found, lost);
    printer.show(&verdict)?;
    match verdict.advice() {
        None => Ok(()),
        Some((problem, advice)) => Err(Failure::new(Kind::Failed, problem)
            .about(folder.display().to_string())
            .hint(advice)),
    }
}

/// What is lost with the log's damage, in words, up to [`LOST_MAX`] places.
fn lost(folder: &Path, found: &Survey) -> Result<Vec<String>, Failure> {
    let real: Arc<dyn LogIo> = Arc::new(RealIo::new());
    let io = SkippingIo::over(&real);
    let bases: Vec<_> = found.log.segments.iter().map(|segment| segment.base).collect();
    let damage = found.log.damage.iter().take(LOST_MAX);
    let words = damage.map(|damage| describe(io.as_ref(), folder, damage, &bases));
    words
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(folder, &error))
}

/// Keeps brokers away while the folder is read; `None` if one is there.
fn lock(folder: &Path) -> Result<Option<Held>, Failure> {
    match RealIo::new().lock_for_reading(folder) {
        Ok(lock) => Ok(Some(Held(lock))),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(unreadable(folder, &error)),
    }
}

/// There is no lock to hold where no broker ever ran, as in a copy.
struct Held(#[expect(dead_code, reason = "it is held, not used")] Option<Box<dyn DirLock>>);

fn look(folder: &Path, depth: Depth) -> Result<Survey, Failure> {
    let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
    survey(&io, folder, depth).map_err(|error| unreadable(folder, &error))
}

fn unreadable(folder: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Kind::Failed, format!("it cannot be read: {error}"))
        .about(folder.display().to_string())
        .hint("run it as the user to whom the broker's files belong")
}

const WHICH_FOLDER: &str = "name the broker's --data-dir, or the folder with the broker's name in it";

/// The folder of the one broker that `dir` is or has.
fn broker_folder(dir: &Path) -> Result<PathBuf, Failure> {
    if is_brokers(dir) {
        return Ok(dir.to_owned());
    }
    let about = |failure: Failure| failure.about(dir.display().to_string());
    let entries = std::fs::read_dir(dir).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            about(Failure::new(Kind::NotFound, "there is no such folder")).hint(WHICH_FOLDER)
        }
        ErrorKind::NotADirectory => about(Failure::usage("it is no folder")).hint(WHICH_FOLDER),
        _ => unreadable(dir, &error),
    })?;
    let mut folders: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_brokers(path))
        .collect();
    folders.sort_unstable();
    match &folders[..] {
        [one] => Ok(one.clone()),
        [] => {
            Err(about(Failure::new(Kind::NotFound, "no broker has kept anything in it")).hint(WHICH_FOLDER))
        }
        several => {
            let names: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            Err(about(Failure::usage("several brokers keep their files in it"))
                .hint(format!("name one: {}", names.join(", "))))
        }
    }
}

fn is_brokers(folder: &Path) -> bool {
    ["meta.a", "meta.b", "log", "checkpoint"]
        .iter()
        .any(|name| folder.join(name).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_folder_with_one_broker_is_as_good_as_its_folder() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(broker_folder(data.path()).unwrap_err().kind, Kind::NotFound);
        assert_eq!(
            broker_folder(&data.path().join("no")).unwrap_err().kind,
            Kind::NotFound
        );
        let one = data.path().join("broker-a");
        std::fs::create_dir_all(one.join("log")).unwrap();
        std::fs::create_dir_all(data.path().join("tls")).unwrap();
        assert_eq!(broker_folder(data.path()).unwrap(), one);
        assert_eq!(broker_folder(&one).unwrap(), one);
        std::fs::create_dir_all(data.path().join("broker-b").join("log")).unwrap();
        let several = broker_folder(data.path()).unwrap_err();
        assert_eq!(several.kind, Kind::Usage);
        assert!(several.hint.unwrap().contains("broker-b"));
    }
}
