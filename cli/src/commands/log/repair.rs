//! `sluicectl log repair`: going on without what is damaged.

use crate::args::RepairLog;
use crate::failure::{Failure, Kind};
use crate::output::Printer;
use crate::views::repair::Repair;
use sluice_store::io::{DirLock, LogIo, RealIo};
use sluice_store::repair::{Accepted, RepairError, plan, told_apart};
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;
use std::sync::Arc;

/// Shows what is lost, and does it where that is agreed to.
pub(super) fn run(args: &RepairLog, folder: &Path, printer: &Printer) -> Result<(), Failure> {
    if args.accept_loss.is_empty() && !args.make_meta && !args.accept_lost_state {
        return Err(nothing_asked(folder));
    }
    let io: Arc<dyn LogIo> = Arc::new(RealIo::new());
    let _lock = lock(args, folder).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => Failure::new(Kind::Refused, "a broker runs over it")
            .about(folder.display().to_string())
            .hint("stop the broker: only a log that nobody writes can be repaired"),
        _ => super::unreadable(folder, &error),
    })?;
    let failed = |error| failure(folder, error);
    let (ranges, places) = told_apart(&args.accept_loss);
    let accepted = Accepted {
        ranges: &ranges,
        places: &places,
        wider: args.wider,
        new_meta: args.make_meta,
        lost_state: args.accept_lost_state,
    };
    let plan = plan(&io, folder, &accepted).map_err(failed)?;
    let mut report = Repair::new(folder, &plan);
    if plan.is_done && args.accept_loss.is_empty() {
        report.was_sound();
    }
    if plan.is_done || args.dry_run {
        return printer.show(&report);
    }
    if !args.yes {
        printer.show(&report)?;
        if !agrees(printer) {
            return Err(Failure::new(Kind::Refused, "nothing was changed")
                .about(folder.display().to_string())
                .hint("the same command with --yes repairs the log, and what is shown is lost"));
        }
    }
    let done = plan.run(&io).map_err(failed)?;
    give_to_owner(folder).map_err(|error| {
        Failure::new(Kind::Failed, format!("it is repaired, but its new files belong to you: {error}"))
            .about(folder.display().to_string())
            .hint("give them to the user to whom the broker's files belong, with chown -R, before the broker starts")
    })?;
    report.is_done(folder, &done);
    printer.show(&report)
}

/// What is needed depends on what is damaged, which a look says.
fn nothing_asked(folder: &Path) -> Failure {
    Failure::usage("it is not said what is to be repaired")
        .about(folder.display().to_string())
        .hint(format!(
            "`sluicectl log verify {}` says what is damaged, and prints the command that repairs it",
            folder.display()
        ))
}

/// Keeps brokers away. A look needs no right to write: where no broker ever ran, as in a copy, there may be nothing to hold.
fn lock(args: &RepairLog, folder: &Path) -> std::io::Result<Option<Box<dyn DirLock>>> {
    let io = RealIo::new();
    if args.dry_run {
        return io.lock_for_reading(folder);
    }
    io.lock(folder).map(Some)
}

/// The superuser's new files would stop a broker that runs as another user: they go to whom the folder belongs.
fn give_to_owner(folder: &Path) -> std::io::Result<()> {
    let owner = std::fs::metadata(folder)?;
    let within = ["log", "checkpoint", "queue"].map(|name| folder.join(name));
    let mut folders = vec![folder.to_owned()];
    // No more than there are: links are not followed.
    while let Some(looked_at) = folders.pop() {
        for name in std::fs::read_dir(&looked_at)? {
            let path = name?.path();
            let found = std::fs::symlink_metadata(&path)?;
            let is_ours = found.is_dir() && within.iter().any(|ours| path.starts_with(ours));
            if (found.is_file() || is_ours) && found.uid() != owner.uid() {
                chown(&path, Some(owner.uid()), Some(owner.gid()))?;
            }
            if is_ours {
                folders.push(path);
            }
        }
    }
    Ok(())
}

/// Asks whoever sits there; nobody there does not agree.
fn agrees(printer: &Printer) -> bool {
    if printer.format().is_for_programs() || !std::io::stdin().is_terminal() {
        return false;
    }
    let _ = write!(
        std::io::stderr(),
        "This is lost for good. Type yes to repair the log: "
    );
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && answer.trim() == "yes"
}

fn failure(folder: &Path, error: RepairError) -> Failure {
    let failure = match error {
        RepairError::Refused { what, hint } => Failure::new(Kind::Refused, what).hint(hint),
        error => Failure::new(Kind::Failed, error.to_string())
            .hint("run it as the user to whom the broker's files belong, with room for one more copy of a segment; then the same command again"),
    };
    failure.about(folder.display().to_string())
}
