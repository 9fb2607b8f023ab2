//! What is found in a data directory, before any frame is read: meta, and the first page of every segment.

use super::cut;
use super::error::{Fatal, LogError};
use super::meta::{Meta, MetaStore};
use super::options::LogOptions;
use super::present;
use super::rewrite::is_temporary;
use super::segment::{self, DurableSlot, PAGE_BYTES, RECYCLED, SPARE, Segment, SegmentHeader};
use crate::io::{LogIo, is_of_the_medium, read_exact_twice};
use sluice_core::ids::{LogIndex, PhysicalOffset};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files that are segments by name, and those that were to become some.
pub(super) fn segment_files(
    io: &dyn LogIo,
    log_dir: &Path,
) -> Result<(Vec<PathBuf>, Vec<PathBuf>), LogError> {
    let names = io.list(log_dir).map_err(LogError::io("list", log_dir))?;
    // A spare is prepared anew when it is needed: a crash may have left it half filled, or what it is made of half clean.
    let is_prepared = |name: &&PathBuf| {
        let names = [SPARE, RECYCLED].map(|name| Some(OsStr::new(name)));
        names.contains(&name.file_name()) || is_temporary(name)
    };
    let prepared = names.iter().filter(is_prepared).map(|name| log_dir.join(name));
    let prepared = prepared.collect();
    // A trait object may answer names or paths; a joined absolute path stays itself.
    let paths = names.into_iter().map(|name| log_dir.join(name));
    let segments = paths.filter(|path| segment::parse_name(path).is_some());
    Ok((segments.collect(), prepared))
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
    if store.meta().identity.cluster.is_empty() {
        // A repair has made it of what the log says, which does not say this.
        tracing::warn!(cluster = %wanted.cluster, broker = %wanted.shard, "the data directory belongs to this broker from now on: a repair has made its meta files again");
        store.adopt(wanted);
    }
    let found = &store.meta().identity;
    for (what, found, wanted, way_on) in [
        (
            "cluster",
            &found.cluster,
            &wanted.cluster,
            "start with --cluster-name",
        ),
        (
            "broker",
            &found.shard,
            &wanted.shard,
            "give the folder that name again, and start with --broker-name",
        ),
    ] {
        if found != wanted {
            let reason = format!(
                "the data directory belongs to the {what} {found}, not {wanted}: {way_on} {found}, or with another data directory (--data-dir)"
            );
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
        if empty && !present::was_used(store.meta()) {
            // Nothing was written yet: a crash came before the first segment.
            let meta = Meta {
                identity: wanted.clone(),
                ..store.meta().clone()
            };
            store.save(meta)?;
        } else if options.segment_bytes_given {
            tracing::warn!(
                kept = found.segment_bytes,
                asked = wanted.segment_bytes,
                "the segment size stays as it was made"
            );
        }
    }
    Ok(store)
}

/// The segments of a log, its durable slot, and the files of those that are none any more.
type Opened = (Vec<Arc<Segment>>, DurableSlot, Vec<PathBuf>);

/// Opens every segment by its first page and finds the durable slot of the highest generation; refuses a log of which
/// something is missing, or that ends below `reaches`. What is below the purge marker, and an unborn last segment, are no part of it.
pub(super) fn open_segments(
    io: &dyn LogIo,
    log_dir: &Path,
    meta: &Meta,
    files: Vec<PathBuf>,
    reaches: PhysicalOffset,
) -> Result<Opened, LogError> {
    let had_others = files
        .iter()
        .any(|path| segment::parse_name(path) != Some(PhysicalOffset(0)));
    let Pages {
        mut segments,
        durable,
        unborn,
    } = read_pages(io, meta, files)?;
    let Some(durable) = durable else {
        // The first segment is born before anything else happens, and later ones before the ones before them may go.
        if had_others || reaches.0 > 0 || present::was_used(meta) {
            let reason = "the log was in use, but no segment is there".to_owned();
            return Err(LogError::Corruption {
                file: log_dir.to_owned(),
                offset: 0,
                reason,
            });
        }
        return begin(io, log_dir, meta, unborn);
    };
    let purged = meta.purged.map_or(0, |purged| purged.index.0 + 1);
    let keep = segments
        .partition_point(|segment| segment.header.base_index.0 <= purged)
        .saturating_sub(1);
    let gone: Vec<_> = segments.drain(..keep).collect();
    present::check(io, log_dir, meta, &segments, durable)?;
    present::check_checkpoint(&segments, reaches)?;
    let gone = gone.iter().map(|gone| gone.path.clone()).chain(unborn);
    let gone = gone.collect();
    for pair in segments.windows(2) {
        let [before, after] = pair else { continue };
        // Until a replay says otherwise: what is not replayed ends where the next one begins.
        before.seal(after.base());
        before.sparse.lock().complete = false;
    }
    Ok((segments, durable, gone))
}

/// What the first pages say.
struct Pages {
    segments: Vec<Arc<Segment>>,
    durable: Option<DurableSlot>,
    /// A last segment that a crash has kept from being born.
    unborn: Option<PathBuf>,
}

fn read_pages(io: &dyn LogIo, meta: &Meta, files: Vec<PathBuf>) -> Result<Pages, LogError> {
    let mut pages = Pages {
        segments: Vec::new(),
        durable: None,
        unborn: None,
    };
    let count = files.len();
    for (at, path) in files.into_iter().enumerate() {
        match open_segment(io, meta, &path)? {
            Ok((segment, slot)) => {
                let newer = pages
                    .durable
                    .is_none_or(|before| slot.generation > before.generation);
                pages.durable = if newer { Some(slot) } else { pages.durable };
                pages.segments.push(Arc::new(segment));
            }
            // Born after everything before it was durable, and before any frame of it: there is none.
            Err(_) if at + 1 == count && is_unborn(io, meta, &path)? => {
                tracing::warn!(file = %path.display(), "leaving out a segment that a crash has kept from being born");
                pages.unborn = Some(path);
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
    Ok(pages)
}

/// The first segment of a new log.
fn begin(io: &dyn LogIo, log_dir: &Path, meta: &Meta, unborn: Option<PathBuf>) -> Result<Opened, LogError> {
    io.create_dir(log_dir)
        .map_err(LogError::io("create the folder", log_dir))?;
    if let Some(path) = unborn {
        remove_segment(io, log_dir, &path)?;
    }
    let slot = DurableSlot {
        offset: PhysicalOffset(0),
        generation: 1,
    };
    let header = SegmentHeader {
        uuid: meta.identity.uuid,
        segment_bytes: meta.identity.segment_bytes,
        base: slot.offset,
        base_index: LogIndex(0),
    };
    let first = segment::create(io, log_dir, header, slot.generation, None)?;
    Ok((vec![first], slot, Vec::new()))
}

/// The inner error says why the first page is not one.
type PageResult = Result<(Segment, DurableSlot), String>;

fn open_segment(io: &dyn LogIo, meta: &Meta, path: &Path) -> Result<PageResult, LogError> {
    let file = io.open(path).map_err(LogError::io("open", path))?;
    let len = file.len().map_err(LogError::io("measure", path))?;
    let mut page = vec![0; PAGE_BYTES.min(len) as usize];
    match read_exact_twice(file.as_ref(), &mut page, 0) {
        Err(error) if is_of_the_medium(&error) => {
            return Ok(Err(format!("the disk does not give its first page: {error}")));
        }
        read => read.map_err(LogError::io("read", path))?,
    }
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
        return Ok(Err(of_another_name(io, path, header.base)));
    }
    let zeroed = PhysicalOffset(header.base.0 + len.saturating_sub(PAGE_BYTES));
    Ok(Ok((Segment::new(header, path.to_owned(), file, zeroed), slot)))
}

/// What is wrong with a segment whose first page says that it begins there: it may have been given another name by hand.
pub(super) fn of_another_name(io: &dyn LogIo, path: &Path, base: PhysicalOffset) -> String {
    let name = segment::file_name(base);
    let says = format!("its first page says that it begins at offset {base}");
    let is_taken = |folder: &Path| {
        let names = io.list(folder);
        names.is_ok_and(|names| names.contains(&PathBuf::from(&name)))
    };
    match path.parent() {
        Some(folder) if !is_taken(folder) => {
            format!(
                "{says}: if somebody has renamed it, its name was {name}, and nothing is lost once it has that again"
            )
        }
        _ => says,
    }
}

/// Whether the segment never had a frame: meta does not know of it, and nothing stands behind the first page. Else a bad first
/// page is damage.
fn is_unborn(io: &dyn LogIo, meta: &Meta, path: &Path) -> Result<bool, LogError> {
    let is_known = match segment::parse_name(path) {
        Some(PhysicalOffset(0)) => present::was_used(meta),
        base => base.is_some_and(|base| base <= meta.newest_segment),
    };
    if is_known {
        return Ok(false);
    }
    let file = io.open(path).map_err(LogError::io("open", path))?;
    cut::is_zero_from(&file, PAGE_BYTES).map_err(LogError::io("read", path))
}

pub(super) fn remove_segment(io: &dyn LogIo, log_dir: &Path, path: &Path) -> Result<(), LogError> {
    let sparse = path.with_extension("sparse");
    io.remove(&sparse).map_err(LogError::io("remove", &sparse))?;
    io.remove(path).map_err(LogError::io("remove", path))?;
    io.sync_dir(log_dir)
        .map_err(Fatal::new("sync the folder", log_dir))?;
    Ok(())
}
