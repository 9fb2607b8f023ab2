//! Queue files as they stand. Nothing is written.

use super::files::{FileKey, Files};
use super::restore::needed;
use super::{QueueError, QueueSpan, stored};
use crate::io::{LogIo, read_exact_at};
use crate::survey::Findings;
use sluice_core::entry::{ENTRY_BYTES, QueueEntry};
use sluice_core::ids::{QueueOffset, TopicQueue};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// Entries read at a time.
const PIECE_ENTRIES: u64 = 6554;

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSurvey {
    /// Which one.
    pub at: TopicQueue,
    /// The offset behind its last message, as the newest checkpoint counts; where there is none, as its files do.
    pub end: QueueOffset,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What queue files must hold, as checksums: made entry by entry while the log is folded.
#[derive(Default)]
pub(crate) struct QueueSums {
    /// Where queues end that a checkpoint counts; entries from there on are no business of the files yet.
    ends: HashMap<TopicQueue, u64>,
    /// By queue: the next offset, and the checksum of the file's entries before it.
    open: HashMap<TopicQueue, (u64, u32)>,
    files: HashMap<FileKey, u32>,
}

impl QueueSums {
    pub(crate) fn new(spans: &[QueueSpan]) -> Self {
        Self {
            ends: spans.iter().map(|span| (span.at, span.end.0)).collect(),
            ..Self::default()
        }
    }

    /// Adds an entry; a file whose first entries were not seen has no sum.
    pub(crate) fn entry(&mut self, at: TopicQueue, offset: QueueOffset, entry: &QueueEntry) {
        let Some(end) = self.ends.get(&at).copied().filter(|end| offset.0 < *end) else {
            return;
        };
        let key = FileKey::holding(at, offset.0);
        let before = match self.open.get(&at) {
            _ if offset.0 == key.first => Some(0),
            Some((next, crc)) if *next == offset.0 => Some(*crc),
            _ => None,
        };
        let Some(before) = before else { return };
        let crc = crc32c::crc32c_append(before, &stored::encode(at, offset.0, entry));
        self.open.insert(at, (offset.0 + 1, crc));
        if offset.0 + 1 == key.end().min(end) {
            self.files.insert(key, crc);
        }
    }
}

/// Looks at the `queue` folder. `spans` are where all queues begin and end as the newest checkpoint counts them, `sums` what the log
/// gives up to there.
pub(crate) fn survey(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    spans: Option<&[QueueSpan]>,
    sums: Option<&QueueSums>,
    everything: bool,
    findings: &mut Findings,
) -> Result<Vec<QueueSurvey>, QueueError> {
    let files = Files::new(Arc::clone(io), dir);
    let note = files.rebuild_note();
    if files.list(dir)?.iter().any(|name| note.ends_with(name)) {
        findings.note(
            &note,
            "damage was found in use: the next start makes all queue files again",
        );
    }
    let counted = spans.map(needed);
    let firsts: HashMap<_, _> = spans
        .unwrap_or_default()
        .iter()
        .map(|span| (span.at, span.first.0))
        .collect();
    let mut found = files.all()?;
    found.sort_unstable();
    let mut queues: BTreeMap<TopicQueue, QueueSurvey> = BTreeMap::new();
    for span in spans.unwrap_or_default() {
        queues.insert(span.at, empty(span.at, span.end));
    }
    for key in &found {
        let counts = |counted: &BTreeMap<FileKey, u64>| counted.get(key).copied().unwrap_or(0);
        let wanted = counted.as_ref().map(counts);
        if wanted == Some(0) {
            findings.note(
                &files.path(*key),
                "no queue of the newest checkpoint has it; the next start removes it",
            );
            continue;
        }
        let queue = queues
            .entry(key.at)
            .or_insert_with(|| empty(key.at, QueueOffset(0)));
        let bytes = measure(&files, *key, wanted, queue, findings)?;
        if everything {
            let first = firsts.get(&key.at).copied();
            let is_trimmed = first.is_some_and(|first| first > key.first);
            let sum = sums.and_then(|sums| sums.files.get(key));
            let sum = sum.filter(|_| wanted == Some(bytes) && !is_trimmed).copied();
            check(&files, *key, bytes, first, sum, findings)?;
        }
    }
    let all = counted.iter().flat_map(BTreeMap::keys);
    for missing in all.filter(|key| found.binary_search(key).is_err()) {
        let what = "it is missing, and the newest checkpoint counts on it";
        findings.derived(&files.path(*missing), 0, what);
    }
    Ok(queues.into_values().collect())
}

/// Gives `visit` every entry of queues that a checkpoint counts; those that are damaged are left out.
pub(crate) fn each_entry(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    spans: &[QueueSpan],
    visit: &mut dyn FnMut(TopicQueue, QueueOffset, &QueueEntry),
) -> Result<(), QueueError> {
    let files = Files::new(Arc::clone(io), dir);
    let firsts: HashMap<_, _> = spans.iter().map(|span| (span.at, span.first.0)).collect();
    for (key, bytes) in needed(spans) {
        let path = files.path(key);
        let failed = |source| QueueError::io("read", &path, source);
        let file = files.io.open_read(&path).map_err(failed)?;
        let mut at = 0;
        while at < bytes {
            let piece = (bytes - at).min(PIECE_ENTRIES * ENTRY_BYTES as u64);
            let mut entries = vec![0; piece as usize];
            read_exact_at(&*file, &mut entries, at).map_err(failed)?;
            let offsets = key.first + at / ENTRY_BYTES as u64..;
            for (offset, entry) in offsets.zip(entries.chunks(ENTRY_BYTES)) {
                let counts = firsts.get(&key.at).is_some_and(|first| offset >= *first);
                if counts && let Some(entry) = stored::decode(key.at, offset, entry) {
                    visit(key.at, QueueOffset(offset), &entry);
                }
            }
            at += piece;
        }
    }
    Ok(())
}

/// Adds a file to its queue, and answers how many bytes of it are to be checked: as many as a checkpoint counts, or without
/// one all whole entries.
fn measure(
    files: &Files,
    key: FileKey,
    wanted: Option<u64>,
    queue: &mut QueueSurvey,
    findings: &mut Findings,
) -> Result<u64, QueueError> {
    let path = files.path(key);
    let failed = |source| QueueError::io("read", &path, source);
    let len = files
        .io
        .open_read(&path)
        .and_then(|file| file.len())
        .map_err(failed)?;
    queue.files += 1;
    queue.bytes += len;
    let Some(wanted) = wanted else {
        let entries = len / ENTRY_BYTES as u64;
        queue.end = queue.end.max(QueueOffset(key.first + entries));
        return Ok(entries * ENTRY_BYTES as u64);
    };
    if len < wanted {
        let what = format!("it ends there, and the newest checkpoint counts {wanted} bytes");
        findings.derived(&path, len, what);
    } else if len > wanted {
        let what = format!(
            "it goes on behind the {wanted} bytes that the newest checkpoint counts; the next start writes that again"
        );
        findings.note(&path, what);
    }
    Ok(wanted.min(len))
}

fn empty(at: TopicQueue, end: QueueOffset) -> QueueSurvey {
    QueueSurvey {
        at,
        end,
        files: 0,
        bytes: 0,
    }
}

/// Checks the entries in the first `bytes` of a file, each by its checksum, and all together by what the log gives. Those before
/// the queue's `first` mean nothing; where that is not known, zeros at the file's start mean nothing.
fn check(
    files: &Files,
    key: FileKey,
    bytes: u64,
    first: Option<u64>,
    sum: Option<u32>,
    findings: &mut Findings,
) -> Result<(), QueueError> {
    let path = files.path(key);
    let failed = |source| QueueError::io("read", &path, source);
    let file = files.io.open_read(&path).map_err(failed)?;
    let entries = bytes / ENTRY_BYTES as u64;
    let (mut crc, mut sound, mut at) = (0, true, 0);
    let mut begun = false;
    while at < entries {
        let some = PIECE_ENTRIES.min(entries - at);
        let mut piece = vec![0; some as usize * ENTRY_BYTES];
        read_exact_at(&*file, &mut piece, at * ENTRY_BYTES as u64).map_err(failed)?;
        crc = crc32c::crc32c_append(crc, &piece);
        for (offset, entry) in (at..).zip(piece.chunks(ENTRY_BYTES)) {
            begun |= match first {
                Some(first) => key.first + offset >= first,
                None => entry.iter().any(|byte| *byte != 0),
            };
            if begun && stored::decode(key.at, key.first + offset, entry).is_none() {
                sound = false;
                let what = format!("the entry of queue offset {} is damaged", key.first + offset);
                findings.derived(&path, offset * ENTRY_BYTES as u64, what);
            }
        }
        at += some;
    }
    if sound && sum.is_some_and(|sum| sum != crc) {
        findings.derived(
            &path,
            0,
            "its entries are whole, but not those that the log gives",
        );
    }
    Ok(())
}
