//! State, queues and index as a checkpoint left them: what a start replays the log onto.
//!
//! Usually the newest checkpoint that holds. Where queue or index files are missing that it counts on, the base, which
//! counts on none; and where the log still begins at its first frame the base is the empty state, whatever became of
//! its file. Where the log has lost what only a newer checkpoint counts in, or the base is lost, nothing can be made again: then
//! the index begins anew, and queue files are read as far as they can be.

mod behind;
mod mend;
mod rebuild;
pub(crate) mod trial;

use crate::applier::spans;
use crate::checkpoint::{CheckpointError, Checkpoints, Loaded, Pick};
use crate::checkpointer::Header;
use crate::index::{self, Begin, IndexPosition, IndexStore, RUN_ITEMS};
use crate::io::LogIo;
use crate::log::{Ahead, LogPosition};
use crate::queue::{QueueError, QueueStore};
use crate::repair::{self, Diagnosis};
use crate::store::StoreError;
use crate::survey::Known;
use rebuild::Impossible;
use sluice_core::ids::TimeMs;
use sluice_core::state::{RestoreError, ShardKey, State};
use std::path::Path;
use std::sync::Arc;

/// Everything as of one checkpoint.
pub(crate) struct Restored {
    pub(crate) state: State,
    pub(crate) position: LogPosition,
    pub(crate) unsettled: Unsettled,
}

/// Files as they were found, with what is not gone on from. A start that is refused leaves them so.
pub(crate) struct Unsettled {
    pub(crate) checkpoints: Checkpoints,
    pub(crate) queues: QueueStore,
    pub(crate) index: IndexStore,
    /// Where the log begins.
    first: LogPosition,
}

impl Unsettled {
    /// Takes away, or puts aside, what is not gone on from, once nothing stops the start any more and before anything is written.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        // First of all, durably: newer checkpoints count on what goes then.
        self.checkpoints.settle()?;
        self.queues.settle()?;
        self.index.settle()?;
        if self.first == LogPosition::default() {
            put_base_back(&mut self.checkpoints)?;
        }
        // A stop may have come between the log's purge and this; what stays below would be taken for the base.
        Ok(self.checkpoints.remove_below(self.first.physical)?)
    }
}

/// As of the newest checkpoint that holds; of the base when queue files or index files are missing that it counts on, and can be
/// made again from there. `first` is where the log begins. A new log gets its base.
///
/// What is there changes by [`Unsettled::settle`], once nothing stops the start any more; only where something is mended before that,
/// `ahead` is asked first.
pub(crate) fn newest(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    first: LogPosition,
    ahead: &Ahead,
) -> Result<Restored, StoreError> {
    let from_the_first_frame = first == LogPosition::default();
    let folder = dir.join("checkpoint");
    let replays = |from, newest| rebuild::replays(io, dir, from, newest);
    let (checkpoints, loaded) = match Checkpoints::look_if(Arc::clone(io), &folder, Pick::Newest, &replays) {
        Err(CheckpointError::None { .. }) if from_the_first_frame => {
            if let Some(newest) = Checkpoints::newest_named(&**io, &folder)? {
                replays(first.physical, newest)?;
            }
            return fresh(io, dir, &folder);
        }
        opened => opened?,
    };
    let from = From {
        io,
        dir,
        first,
        ahead,
        lacking: Lacking::IsAnError,
    };
    let lacking = match from.of(checkpoints, &loaded) {
        Err(error) if is_missing(&error) => error,
        Ok(restored) => {
            if !from_the_first_frame {
                tell_of_lost_base(&restored.unsettled.checkpoints, first);
            }
            return Ok(restored);
        }
        error => return error,
    };
    // Newer checkpoints go when the base is taken, and may be all that is known of state.
    if let Some(impossible) = rebuild::impossible(io, dir, first.physical, loaded.position.physical)? {
        return from.as_they_are(lacking, impossible);
    }
    tracing::warn!(error = %lacking, "rebuilding all queue and index files from the log");
    if from_the_first_frame {
        return fresh(io, dir, &folder);
    }
    let any = |_, _| Ok(());
    match Checkpoints::look_if(Arc::clone(io), &folder, Pick::Base(first.physical), &any) {
        Ok((checkpoints, loaded)) => from.of(checkpoints, &loaded),
        Err(error @ CheckpointError::None { .. }) => {
            let impossible = Impossible {
                why: error.to_string(),
                damage: None,
            };
            from.as_they_are(lacking, impossible)
        }
        Err(error) => Err(error.into()),
    }
}

/// What becomes of an index and of queue files that lack what the checkpoint counts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lacking {
    IsAnError,
    /// An index begins anew at the checkpoint: it serves look-ups alone. What queue files lack after they were mended is damaged, and
    /// stops the groups that come to it.
    StopsNothing,
}

/// Where a start goes on from.
struct From<'a> {
    io: &'a Arc<dyn LogIo>,
    dir: &'a Path,
    /// Where the log begins.
    first: LogPosition,
    ahead: &'a Ahead,
    lacking: Lacking,
}

impl From<'_> {
    /// As of the newest checkpoint, where files are missing or damaged that nothing can make again as a whole, for this reason: the
    /// index begins anew, and queue files are mended.
    fn as_they_are(&self, lacking: StoreError, impossible: Impossible) -> Result<Restored, StoreError> {
        let Impossible { why, damage } = impossible;
        let folder = self.dir.join("checkpoint");
        let any = |_, _| Ok(());
        let (checkpoints, loaded) = Checkpoints::look_if(Arc::clone(self.io), &folder, Pick::Newest, &any)?;
        let known = Known::of(&loaded)?;
        // What follows changes files.
        self.ahead.look(loaded.position)?;
        if matches!(lacking, StoreError::Queue(_)) {
            tracing::error!(
                error = %lacking, %why,
                "queue files are damaged, and cannot be made again as a whole: what can be read or found again of them goes on; copy the folder now"
            );
            mend_queues(self.io, self.dir, &known)?;
        }
        let from = Self {
            lacking: Lacking::StopsNothing,
            ..*self
        };
        match from.of(checkpoints, &loaded) {
            // A repair of the log gives up with it what is lacking of queue files.
            Err(error) if is_missing(&error) => Err(match damage {
                Some(damage) => StoreError::Log(damage),
                None => StoreError::cannot_be_made_again(error, why),
            }),
            restored => restored,
        }
    }

    fn of(&self, mut checkpoints: Checkpoints, loaded: &Loaded) -> Result<Restored, StoreError> {
        let first = self.first;
        let header = Header::decode(&loaded.header).map_err(RestoreError::Header)?;
        let mut parts = Vec::new();
        for (key, bytes) in loaded.parts() {
            parts.push((
                ShardKey::from_numbers(key.kind, key.ids).map_err(RestoreError::Header)?,
                bytes,
            ));
        }
        let state = State::restore(header.state, parts)?;
        let is_base = loaded.position.physical == first.physical;
        let queues = queues(self.io, self.dir, &state, is_base, self.lacking)?;
        if first.physical < state.tables().bounds().start {
            // A stop has come before the log's first segments went.
            queues.trim_again();
        }
        let first_run = first_run(&checkpoints, first);
        let place = Place {
            io: self.io,
            folder: &self.dir.join("index"),
            at: loaded.position,
            time: state.tables().now(),
            position: header.index,
            first,
            ahead: self.ahead,
        };
        let index = place.index(first_run, self.lacking)?;
        if first != LogPosition::default() && !has_base(&checkpoints, first) {
            checkpoints.keep_what_is_left_of(first.physical);
        }
        Ok(Restored {
            state,
            position: loaded.position,
            unsettled: Unsettled {
                checkpoints,
                queues,
                index,
                first,
            },
        })
    }
}

/// Finds again what queue files lack that the newest checkpoint counts on.
fn mend_queues(io: &Arc<dyn LogIo>, dir: &Path, newest: &Known) -> Result<(), StoreError> {
    let mended = mend::mend(io, dir, newest)?;
    if mended.lost > 0 {
        tracing::error!(
            messages = mended.lost,
            "nobody knows where these messages of damaged queue files stand: they count as lost with what the repair gave up, and groups go on past them"
        );
    }
    if mended.left > 0 {
        let way_on = match repair::diagnosis(io, dir) {
            Ok(Some(Diagnosis { damage, way_on })) => format!(
                "the log itself is damaged ({damage}), and groups go on once it is repaired: stop the broker, {way_on}"
            ),
            Ok(None) => "move groups past them".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::error!(
            messages = mended.left,
            "the entries of these messages cannot be found again, and groups stop before them: {way_on}"
        );
    }
    Ok(())
}

/// Nothing needs the checkpoint at the log's start until queue or index files are lost: then it is too late to hear of it.
fn tell_of_lost_base(checkpoints: &Checkpoints, first: LogPosition) {
    if !has_base(checkpoints, first) {
        tracing::error!(
            start = first.physical.0,
            "the checkpoint at the log's start is lost: until retention moves the log's start, queue files and index cannot be made again, so copy the folder now, and delete nothing of it"
        );
    }
}

fn has_base(checkpoints: &Checkpoints, first: LogPosition) -> bool {
    let mut kept = checkpoints.kept();
    kept.any(|position| position.physical == first.physical)
}

/// Whether files are not there that a checkpoint counts on.
fn is_missing(error: &StoreError) -> bool {
    match error {
        StoreError::Queue(error) => matches!(error, QueueError::Missing { .. }),
        StoreError::Index(error) => error.is_missing(),
        _ => false,
    }
}

/// Where a checkpoint has the index.
struct Place<'a> {
    io: &'a Arc<dyn LogIo>,
    folder: &'a Path,
    /// Where the checkpoint stands.
    at: LogPosition,
    /// What the time had come to there.
    time: TimeMs,
    position: IndexPosition,
    /// Where the log begins.
    first: LogPosition,
    ahead: &'a Ahead,
}

impl Place<'_> {
    /// The index there, which knows where it begins.
    fn index(&self, first_run: Option<u64>, lacking: Lacking) -> Result<IndexStore, StoreError> {
        let index = self.opened(first_run, lacking)?;
        if let Some(begin) = self.begin()? {
            index.begins_at(begin);
        }
        Ok(index)
    }

    /// Where it was begun anew, if the log begins before that.
    fn begin(&self) -> Result<Option<Begin>, StoreError> {
        let begin = index::begin(self.io, self.folder)?;
        Ok(begin.filter(|begin| begin.physical > self.first.physical))
    }

    /// Its first run is that of the log's start, where that is known, or that with which it was begun anew.
    fn opened(&self, first_run: Option<u64>, lacking: Lacking) -> Result<IndexStore, StoreError> {
        let (at, first, begin) = (self.at.physical, self.first, self.begin()?);
        if at == first.physical {
            // All of it is made again, with the runs that the log has.
            let position = match first == LogPosition::default() {
                true => self.position,
                false => self.position.at_segment_start(),
            };
            if begin.is_none() {
                return self.restore_without_begin(&position, first_run);
            }
            let io = Arc::clone(self.io);
            return Ok(IndexStore::look_at_nothing(io, self.folder, &position)?);
        }
        let restored = match begin {
            None => self.restore_without_begin(&self.position, first_run),
            Some(begin) if at == begin.physical => {
                self.restore(&self.position.at_segment_start(), Some(begin.run))
            }
            Some(begin) if at > begin.physical => self.restore(&self.position, Some(begin.run)),
            // It counts on runs that are gone.
            Some(_) => return self.begin_anew(),
        };
        match restored {
            Err(StoreError::Index(error)) if error.is_missing() && lacking == Lacking::StopsNothing => {
                self.begin_anew()
            }
            restored => restored,
        }
    }

    fn restore(&self, position: &IndexPosition, first_run: Option<u64>) -> Result<IndexStore, StoreError> {
        let io = Arc::clone(self.io);
        Ok(IndexStore::look_from(io, self.folder, position, first_run)?)
    }

    fn restore_without_begin(
        &self,
        position: &IndexPosition,
        first_run: Option<u64>,
    ) -> Result<IndexStore, StoreError> {
        let index = self.restore(position, first_run)?;
        index.forget_begin();
        Ok(index)
    }

    fn begin_anew(&self) -> Result<IndexStore, StoreError> {
        self.ahead.look(self.at)?;
        tracing::error!(
            folder = %self.folder.display(),
            begins_at = self.at.physical.0,
            "the index is damaged, and cannot be made again: it begins anew here. Messages that stand before this place of the log are not found by key or message id any more; everything else works as before, and there is nothing to do"
        );
        let io = Arc::clone(self.io);
        Ok(IndexStore::begin_anew(
            io,
            self.folder,
            &self.position,
            (self.at.physical, self.time),
            RUN_ITEMS,
        )?)
    }
}

/// The queues as of a checkpoint. Of those before the log's start all that is left stands behind it, carried or not: as of
/// the base they have nothing.
fn queues(
    io: &Arc<dyn LogIo>,
    dir: &Path,
    state: &State,
    is_base: bool,
    lacking: Lacking,
) -> Result<QueueStore, StoreError> {
    let mut spans = spans(state);
    if is_base {
        spans.iter_mut().for_each(|span| span.first = span.end);
    }
    let (io, dir) = (Arc::clone(io), dir.join("queue"));
    let queues = match lacking {
        Lacking::IsAnError => QueueStore::look_at(io, &dir, &spans)?,
        Lacking::StopsNothing => QueueStore::look_at_mended(io, &dir, &spans)?,
    };
    for at in state.tables().carried_queues() {
        for (offset, entry) in state.tables().carried_of(at) {
            queues.carry(at, offset, entry);
        }
    }
    Ok(queues)
}

/// The index's first run, where it is known: what the checkpoint at the log's start says.
fn first_run(checkpoints: &Checkpoints, first: LogPosition) -> Option<u64> {
    if first == LogPosition::default() {
        return Some(0);
    }
    let mut headers = checkpoints.headers();
    let (_, header) = headers.find(|(position, _)| position.physical == first.physical)?;
    let header = Header::decode(header).ok()?;
    Some(header.index.at_segment_start().run)
}

/// Before the log's first frame: the base is the empty state, and no other checkpoint is left once it is settled, for they count on
/// files which are made again.
fn fresh(io: &Arc<dyn LogIo>, dir: &Path, folder: &Path) -> Result<Restored, StoreError> {
    let (state, _) = empty();
    let unsettled = Unsettled {
        checkpoints: Checkpoints::look_at_nothing(Arc::clone(io), folder)?,
        queues: QueueStore::look_at(Arc::clone(io), &dir.join("queue"), &[])?,
        index: IndexStore::look_at_nothing(Arc::clone(io), &dir.join("index"), &IndexPosition::default())?,
        first: LogPosition::default(),
    };
    Ok(Restored {
        state,
        position: LogPosition::default(),
        unsettled,
    })
}

/// A base that was damaged is put aside when the checkpoints are settled; it is needed when queue or index files are lost.
fn put_base_back(checkpoints: &mut Checkpoints) -> Result<(), StoreError> {
    let position = LogPosition::default();
    if checkpoints.kept().next() == Some(position) {
        return Ok(());
    }
    let header = empty().1;
    if checkpoints.kept().next().is_none() {
        checkpoints.write(position, &header, &|_| true, std::iter::empty())?;
        return Ok(());
    }
    match checkpoints.put_base_back(position, &header) {
        Err(error) if error.is_full_disk() => {
            tracing::warn!(%error, "the checkpoint at the log's start is lost; the next start puts it back");
            Ok(())
        }
        other => Ok(other?),
    }
}

/// The state before the first frame, and what a checkpoint of it says.
fn empty() -> (State, Vec<u8>) {
    let mut state = State::new();
    let header = Header {
        state: &state.snapshot().header,
        index: IndexPosition::default(),
    }
    .encode();
    (state, header)
}
