//! What is found in a data directory, before any frame is read: meta, and the first page of every segment.

use super::cut;
use super::error::{Fatal, LogError};
use super::meta::{Meta, MetaStore};
use super::options::LogOptions;
use super::segment::{self, DurableSlot, PAGE_BYTES, SPARE, Segment, SegmentHeader};
use crate::io::LogIo;
use sluice_core::ids::{LogIndex, PhysicalOffset, Term};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) fn segment_files(io: &dyn LogIo, log_dir: &Path) -> Result<Vec<PathBuf>, LogError> {
    // A spare is prepared anew when it is needed: a crash may have left it half filled.
    let spare = log_dir.join(SPARE);
    io.remove(&spare).map_err(LogError::io("remove", &spare))?;
    let names = io.list(log_dir).map_err(LogError::io("list", log_dir))?;
    // A trait object may answer names or paths; a joined absolute path stays itself.
    let paths = names.into_iter().map(|name| log_dir.join(name));
    Ok(paths.filter(|path| segment::parse_name(path).is_some()).collect())
}

pub(super) fn open_meta(
    io: &Arc<dyn LogIo>,
    options: &LogOptions,
    empty: bool,
) -> Result<MetaStore, LogError> {
    let wanted = &options.identity;
    let Some(mut store) = MetaStore::open(io, &options.dir)? else {
        if !empty {
            let reason = "there are segments, but neither meta.a nor meta.b is valid".to_owned();
            return Err(LogError::Corruption {
                file: options.dir.join("meta.a"),
                offset: 0,
                reason,
            });
        }
        return MetaStore::create(io, &options.dir, wanted.clone());
    };
    let found = &store.meta().identity;
    for (what, found, wanted) in [
        ("cluster", &found.cluster, &wanted.cluster),
        ("broker", &found.shard, &wanted.shard),
    ] {
        if found != wanted {
            let reason = format!("the data directory belongs to the {what} {found}, not {wanted}");
            return Err(LogError::Mismatch {
                path: options.dir.join("meta.a"),
                reason,
            });
        }
    }
    if found.node != wanted.node {
        let reason = format!(
            "the data directory belongs to node {}, not {}",
            found.node, wanted.node
        );
        return Err(LogError::Mismatch {
            path: options.dir.join("meta.a"),
            reason,
        });
    }
    if found.segment_bytes != wanted.segment_bytes {
        if empty && store.meta().purged.is_none() {
            // Nothing was written yet: a crash came before the first segment.
            let meta = Meta {
                identity: wanted.clone(),
                ..store.meta().clone()
            };
            store.save(meta)?;
        } else {
            tracing::warn!(
                kept = found.segment_bytes,
                asked = wanted.segment_bytes,
                "the segment size stays as it was made"
            );
        }
    }
    Ok(store)
}

/// Opens every segment by its first page, drops those below the purge marker and an unborn last one, and finds the durable
/// slot of the highest generation.
pub(super) fn open_segments(
    io: &dyn LogIo,
    log_dir: &Path,
    meta: &Meta,
    files: Vec<PathBuf>,
) -> Result<(Vec<Arc<Segment>>, DurableSlot), LogError> {
    let mut segments: Vec<Arc<Segment>> = Vec::new();
    let mut durable: Option<DurableSlot> = None;
    let count = files.len();
    let had_others = files
        .iter()
        .any(|path| segment::parse_name(path) != Some(PhysicalOffset(0)));
    for (at, path) in files.into_iter().enumerate() {
        match open_segment(io, meta, &path)? {
            Ok((segment, slot)) => {
                let newer = durable.is_none_or(|before| slot.generation > before.generation);
                durable = if newer { Some(slot) } else { durable };
                segments.push(Arc::new(segment));
            }
            // Born after everything before it was durable, and before any frame of it: there is none.
            Err(_) if at + 1 == count && is_unborn(io, &path)? => {
                tracing::warn!(file = %path.display(), "removing a segment that a crash has kept from being born");
                remove_segment(io, log_dir, &path)?;
            }
            Err(reason) => {
                return Err(LogError::Corruption {
                    file: path,
                    offset: 0,
                    reason,
                });
            }
        }
    }
    let purged = meta.purged.map_or(0, |purged| purged.index.0 + 1);
    let keep = segments
        .partition_point(|segment| segment.header.base_index.0 <= purged)
        .saturating_sub(1);
    for gone in segments.drain(..keep) {
        remove_segment(io, log_dir, &gone.path)?;
    }
    check_order(&segments)?;
    if let Some(durable) = durable {
        return Ok((segments, durable));
    }
    // The first segment is born before anything else happens, and later ones before the ones before them may go.
    if had_others || meta.term != Term(0) || meta.vote.is_some() || meta.purged.is_some() {
        let reason = "the log was in use, but no segment is there".to_owned();
        return Err(LogError::Corruption {
            file: log_dir.to_owned(),
            offset: 0,
            reason,
        });
    }
    let header = SegmentHeader {
        uuid: meta.identity.uuid,
        segment_bytes: meta.identity.segment_bytes,
        base: PhysicalOffset(0),
        base_index: LogIndex(0),
    };
    let first = segment::create(io, log_dir, header, 1, None)?;
    Ok((
        vec![first],
        DurableSlot {
            offset: PhysicalOffset(0),
            generation: 1,
        },
    ))
}

/// The inner error says why the first page is not one.
type PageResult = Result<(Segment, DurableSlot), String>;

fn open_segment(io: &dyn LogIo, meta: &Meta, path: &Path) -> Result<PageResult, LogError> {
    let file = io.open(path).map_err(LogError::io("open", path))?;
    let len = file.len().map_err(LogError::io("measure", path))?;
    let mut page = vec![0; PAGE_BYTES.min(len) as usize];
    crate::io::read_exact_at(file.as_ref(), &mut page, 0).map_err(LogError::io("read", path))?;
    let (header, slot) = match segment::decode_page(&page) {
        Ok(page) => page,
        Err(error) => return Ok(Err(format!("its first page is not valid: {error}"))),
    };
    let identity = &meta.identity;
    if header.uuid != identity.uuid || header.segment_bytes != identity.segment_bytes {
        let reason = format!(
            "it belongs to shard {} with segments of {} bytes",
            header.uuid, header.segment_bytes
        );
        return Err(LogError::Mismatch {
            path: path.to_owned(),
            reason,
        });
    }
    if Some(header.base) != segment::parse_name(path) {
        return Ok(Err(format!(
            "its first page says that it begins at offset {}",
            header.base
        )));
    }
    let zeroed = PhysicalOffset(header.base.0 + len.saturating_sub(PAGE_BYTES));
    Ok(Ok((Segment::new(header, path.to_owned(), file, zeroed), slot)))
}

/// Whether nothing was ever written behind the first page. With frames there, a bad first page is damage.
fn is_unborn(io: &dyn LogIo, path: &Path) -> Result<bool, LogError> {
    let file = io.open(path).map_err(LogError::io("open", path))?;
    cut::is_zero_from(&file, PAGE_BYTES).map_err(LogError::io("read", path))
}

fn check_order(segments: &[Arc<Segment>]) -> Result<(), LogError> {
    for pair in segments.windows(2) {
        let [before, after] = pair else { continue };
        let fits = after.base() <= before.limit() && after.header.base_index >= before.header.base_index;
        if !fits {
            let reason = format!(
                "a segment is missing between offset {} and {}",
                before.base(),
                after.base()
            );
            return Err(LogError::Corruption {
                file: after.path.clone(),
                offset: 0,
                reason,
            });
        }
        // Until a replay says otherwise: what is not replayed ends where the next one begins.
        before.seal(after.base());
    }
    for sealed in segments.iter().rev().skip(1) {
        sealed.sparse.lock().complete = false;
    }
    Ok(())
}

pub(super) fn remove_segment(io: &dyn LogIo, log_dir: &Path, path: &Path) -> Result<(), LogError> {
    let sparse = path.with_extension("sparse");
    io.remove(&sparse).map_err(LogError::io("remove", &sparse))?;
    io.remove(path).map_err(LogError::io("remove", path))?;
    io.sync_dir(log_dir)
        .map_err(Fatal::new("sync the folder", log_dir))?;
    Ok(())
}
