//! Queue files as they stand. Nothing is written.

use super::files::{FileKey, Files};
use super::restore::needed;
use super::{QueueError, QueueSpan, stored};
use crate::io::{LogIo, read_exact_at};
use crate::survey::Findings;
use sluice_core::entry::{ENTRY_BYTES, QueueEntry};
use sluice_core::ids::{QueueOffset, TopicId, TopicQueue};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// Entries read at a time.
const PIECE_ENTRIES: u64 = 6554;

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSurvey {
    /// Which one.
    pub at: TopicQueue,
    /// The offset behind its last message, as the newest checkpoint counts; where there is none as the log does, and if that was not
    /// read to its end as its files do.
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
    /// Where queues begin that retention has cut, as the log says: files may lack what is before, though an older checkpoint counts
    /// on it.
    firsts: HashMap<TopicQueue, u64>,
    /// Topics that the log has deleted since.
    gone: HashSet<TopicId>,
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

    /// Retention has taken what stands before `first`.
    pub(crate) fn trimmed(&mut self, at: TopicQueue, first: QueueOffset) {
        self.firsts.insert(at, first.0);
    }

    /// The topic is deleted.
    pub(crate) fn gone(&mut self, topic: TopicId) {
        self.gone.insert(topic);
    }

    fn first(&self, at: TopicQueue) -> u64 {
        if self.gone.contains(&at.topic) {
            return u64::MAX;
        }
        self.firsts.get(&at).copied().unwrap_or(0)
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
            let expected = Expected {
                first,
                trimmed: sums.map_or(0, |sums| sums.first(key.at)),
                sum,
            };
            check(&files, *key, bytes, &expected, findings)?;
        }
    }
    let missing = counted
        .iter()
        .flatten()
        .filter(|(key, _)| found.binary_search(key).is_err());
    tell_missing(&files, missing, sums, findings);
    Ok(queues.into_values().collect())
}

/// Adds the queues that the log makes, where no checkpoint tells of them: those without messages have no files.
pub(crate) fn add_those_of_the_log(queues: &mut Vec<QueueSurvey>, spans: &[QueueSpan]) {
    for span in spans {
        match queues.binary_search_by_key(&span.at, |queue| queue.at) {
            Ok(found) => queues[found].end = span.end,
            Err(before) => queues.insert(before, empty(span.at, span.end)),
        }
    }
}

/// Tells which files are not there that a checkpoint counts on. Those that the log has given up since are no damage.
fn tell_missing<'a>(
    files: &Files,
    missing: impl Iterator<Item = (&'a FileKey, &'a u64)>,
    sums: Option<&QueueSums>,
    findings: &mut Findings,
) {
    let mut taken = 0_u64;
    for (key, bytes) in missing {
        let end = key.first + bytes / ENTRY_BYTES as u64;
        if sums.is_some_and(|sums| end <= sums.first(key.at)) {
            taken += 1;
        } else {
            let what = "it is missing, and the newest checkpoint counts on it";
            findings.derived(&files.path(*key), 0, what);
        }
    }
    if taken > 0 {
        let what = format!(
            "{taken} files have gone with retention or with their topics since the newest checkpoint that is whole; the next start makes all queue files again"
        );
        findings.note(&files.dir, what);
    }
}

/// Gives `visit` every entry of queues that a checkpoint counts; those that are damaged or missing are left out.
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
        let file = match files.io.open_read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            file => file.map_err(failed)?,
        };
        let len = file.len().map_err(failed)?;
        let (mut at, bytes) = (0, bytes.min(len - len % ENTRY_BYTES as u64));
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

/// Every queue that has a folder, in no order.
pub(crate) fn named(io: &Arc<dyn LogIo>, dir: &Path) -> Result<Vec<TopicQueue>, QueueError> {
    Files::new(Arc::clone(io), dir).queues()
}

/// Gives `visit` every whole entry in the files of the topics that are `wanted`, whatever checkpoints count.
pub(crate) fn whole_entries(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    wanted: &dyn Fn(TopicId) -> bool,
    visit: &mut dyn FnMut(TopicQueue, QueueOffset, &QueueEntry),
) -> Result<(), QueueError> {
    let files = Files::new(Arc::clone(io), dir);
    for key in files.all()?.into_iter().filter(|key| wanted(key.at.topic)) {
        let path = files.path(key);
        let file = files.io.open_read(&path);
        let len = file.and_then(|file| file.len());
        let entries = len.map_err(|source| QueueError::io("read", &path, source))? / ENTRY_BYTES as u64;
        let span = QueueSpan {
            at: key.at,
            first: QueueOffset(key.first),
            end: QueueOffset(key.first + entries),
        };
        each_entry(io, dir, &[span], visit)?;
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

/// What the entries of a file are compared with.
struct Expected {
    /// Where the queue begins as the newest checkpoint counts.
    first: Option<u64>,
    /// Where it begins as the log says; 0 if that is not known.
    trimmed: u64,
    /// The checksum of all entries.
    sum: Option<u32>,
}

/// Entries one behind the other that are damaged, told as one.
struct Run {
    from: u64,
    count: u64,
}

impl Run {
    /// Adds the entry of this queue offset, or tells of the run before and begins another.
    fn add(run: &mut Option<Self>, key: FileKey, offset: u64, path: &Path, findings: &mut Findings) {
        match run {
            Some(Self { from, count }) if *from + *count == offset => *count += 1,
            _ => {
                let before = run.replace(Self {
                    from: offset,
                    count: 1,
                });
                Self::tell(before, key, path, findings);
            }
        }
    }

    fn tell(run: Option<Self>, key: FileKey, path: &Path, findings: &mut Findings) {
        let Some(Self { from, count }) = run else { return };
        let what = match count {
            1 => format!("the entry of queue offset {from} is damaged"),
            count => format!(
                "{count} entries are damaged, those of queue offsets {from} to {}",
                from + count - 1
            ),
        };
        findings.derived(path, (from - key.first) * ENTRY_BYTES as u64, what);
    }
}

/// Checks the entries in the first `bytes` of a file, each by its checksum, and all together by what the log gives. Those before
/// the queue's first mean nothing; where that is not known, zeros at the file's start mean nothing, and so do zeros in what the log
/// says that retention has taken since.
fn check(
    files: &Files,
    key: FileKey,
    bytes: u64,
    expected: &Expected,
    findings: &mut Findings,
) -> Result<(), QueueError> {
    let path = files.path(key);
    let failed = |source| QueueError::io("read", &path, source);
    let file = files.io.open_read(&path).map_err(failed)?;
    let entries = bytes / ENTRY_BYTES as u64;
    let (mut crc, mut at) = (0, 0);
    let (mut begun, mut comparable) = (false, true);
    let mut damaged = None;
    while at < entries {
        let some = PIECE_ENTRIES.min(entries - at);
        let mut piece = vec![0; some as usize * ENTRY_BYTES];
        read_exact_at(&*file, &mut piece, at * ENTRY_BYTES as u64).map_err(failed)?;
        crc = crc32c::crc32c_append(crc, &piece);
        for (offset, entry) in (key.first + at..).zip(piece.chunks(ENTRY_BYTES)) {
            let is_empty = || entry.iter().all(|byte| *byte == 0);
            begun |= match expected.first {
                Some(first) => offset >= first,
                None => !is_empty(),
            };
            if !begun || stored::decode(key.at, offset, entry).is_some() {
                continue;
            }
            comparable = false;
            if offset >= expected.trimmed || !is_empty() {
                Run::add(&mut damaged, key, offset, &path, findings);
            }
        }
        at += some;
    }
    Run::tell(damaged, key, &path, findings);
    if comparable && expected.sum.is_some_and(|sum| sum != crc) {
        findings.derived(
            &path,
            0,
            "its entries are whole, but not those that the log gives",
        );
    }
    Ok(())
}
