//! Checkpoints as they stand in their files. Nothing is written.

use super::parts::Parts;
use super::{
    CheckpointError, Checkpoints, DAMAGED_SUFFIX, Loaded, PACK_SUFFIX, Pick, ROOT_SUFFIX, position_in,
};
use crate::io::LogIo;
use crate::log::LogPosition;
use crate::survey::Findings;
use sluice_core::ids::PhysicalOffset;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A checkpoint.
#[derive(Clone, Debug)]
pub struct CheckpointSurvey {
    /// Its root.
    pub file: PathBuf,
    /// Where it stands.
    pub position: LogPosition,
    /// Its parts.
    pub parts: u64,
    /// The packs that these stand in.
    pub packs: u64,
    /// Bytes of its root and of the pack that it wrote.
    pub bytes: u64,
    /// Whether a start can use it, as far as was looked.
    pub whole: bool,
}

/// Where a checkpoint's root is.
pub(crate) fn root_path(folder: &Path, position: LogPosition) -> PathBuf {
    folder.join(format!("{:020}{ROOT_SUFFIX}", position.physical.0))
}

/// Reads the roots, and the parts of all or only of the newest one that is whole, which is answered too.
pub(crate) fn survey(
    io: &Arc<dyn LogIo>,
    folder: &Path,
    all_parts: bool,
    findings: &mut Findings,
) -> Result<(Vec<CheckpointSurvey>, Option<Loaded>), CheckpointError> {
    let checkpoints = looking(io, folder);
    for name in checkpoints
        .list()?
        .iter()
        .filter(|name| position_in(name, DAMAGED_SUFFIX).is_some())
    {
        findings.note(
            &folder.join(name),
            "a start has found this checkpoint damaged, and kept it for a look",
        );
    }
    let (mut surveyed, mut newest) = (Vec::new(), None);
    for at in checkpoints.positions()?.into_iter().rev() {
        let file = checkpoints.path(at, ROOT_SUFFIX);
        let root = match checkpoints.read(at, false) {
            Ok((root, _)) => root,
            Err(error) => {
                tell(&file, error, findings)?;
                continue;
            }
        };
        let mut survey = CheckpointSurvey {
            position: root.position,
            parts: root.parts.len() as u64,
            packs: root.packs().len() as u64,
            bytes: len(io, &file) + len(io, &checkpoints.path(at, PACK_SUFFIX)),
            whole: true,
            file,
        };
        if all_parts || newest.is_none() {
            match checkpoints.read(at, true) {
                Ok((root, parts)) if newest.is_none() => newest = Some(loaded(root, parts)),
                Ok(_) => {}
                Err(error) => {
                    survey.whole = false;
                    tell(&survey.file, error, findings)?;
                }
            }
        }
        surveyed.push(survey);
    }
    surveyed.reverse();
    Ok((surveyed, newest))
}

/// The checkpoints whose roots can be read, by rising position, and the caller's header of the newest; with `whole` without those behind
/// the newest whole one.
pub(crate) fn stands(
    io: &Arc<dyn LogIo>,
    folder: &Path,
    whole: bool,
) -> Result<(Vec<LogPosition>, Vec<u8>), CheckpointError> {
    let checkpoints = looking(io, folder);
    let (mut found, mut header) = (Vec::new(), Vec::new());
    for at in checkpoints.positions()?.into_iter().rev() {
        match checkpoints.read(at, whole && found.is_empty()) {
            Ok((root, _)) => {
                if found.is_empty() {
                    header = root.header;
                }
                found.push(root.position);
            }
            Err(error) => tell(folder, error, &mut Findings::default())?,
        }
    }
    found.reverse();
    Ok((found, header))
}

/// The checkpoint that [`Checkpoints::open_if`] would answer, with the same errors. Nothing is changed.
pub(crate) fn chosen(
    io: &Arc<dyn LogIo>,
    folder: &Path,
    pick: Pick,
    replays: &dyn Fn(PhysicalOffset, PhysicalOffset) -> Result<(), CheckpointError>,
) -> Result<Loaded, CheckpointError> {
    let chosen = looking(io, folder).choose(pick, replays)?;
    Ok(loaded(chosen.root, chosen.parts))
}

/// The checkpoint that stands there.
pub(crate) fn load(
    io: &Arc<dyn LogIo>,
    folder: &Path,
    at: PhysicalOffset,
) -> Result<Loaded, CheckpointError> {
    let (root, parts) = looking(io, folder).read(at.0, true)?;
    Ok(loaded(root, parts))
}

/// The parts of the checkpoint there that `wanted` names.
pub(crate) fn load_some(
    io: &Arc<dyn LogIo>,
    folder: &Path,
    at: PhysicalOffset,
    wanted: impl Fn(&super::PartKey) -> bool,
) -> Result<Loaded, CheckpointError> {
    let checkpoints = looking(io, folder);
    let (mut root, _) = checkpoints.read(at.0, false)?;
    root.parts.retain(|key, _| wanted(key));
    let parts = checkpoints.read_parts(&root)?;
    Ok(loaded(root, parts))
}

fn loaded(root: super::root::Root, parts: Parts) -> Loaded {
    Loaded {
        position: root.position,
        header: root.header,
        parts,
    }
}

pub(super) fn looking(io: &Arc<dyn LogIo>, folder: &Path) -> Checkpoints {
    Checkpoints::none(Arc::clone(io), folder)
}

/// Sizes are for people: a file that cannot be measured is told about when it is read.
fn len(io: &Arc<dyn LogIo>, path: &Path) -> u64 {
    io.open_read(path).and_then(|file| file.len()).unwrap_or(0)
}

fn tell(root: &Path, error: CheckpointError, findings: &mut Findings) -> Result<(), CheckpointError> {
    match error {
        CheckpointError::Damaged { path, offset, what } => {
            findings.derived(&path, offset, format!("wrong {what}"))
        }
        CheckpointError::Io { path, source, .. } if source.kind() == ErrorKind::NotFound => {
            findings.derived(
                &path,
                0,
                format!("it is missing, and {} needs it", root.display()),
            );
        }
        CheckpointError::Io { path, source, .. } if source.kind() == ErrorKind::UnexpectedEof => {
            findings.derived(&path, 0, "it is cut off");
        }
        error => return Err(error),
    }
    Ok(())
}
