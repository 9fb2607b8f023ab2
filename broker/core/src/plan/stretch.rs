//! Choosing messages from one queue for one pull: in the order of the queue, from an offset on. Nothing is reserved.

use super::EntrySource;
use super::filter::TagFilter;
use crate::entry::QueueEntry;
use crate::ids::QueueOffset;

/// Entries read at once.
const CHUNK: usize = 64;

/// How far a pull may go.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// The first offset to look at.
    pub from: QueueOffset,
    /// The offset behind the queue's last message.
    pub tail: QueueOffset,
    /// At most this many messages are chosen.
    pub messages: usize,
    /// At most this many entries are looked at.
    pub entries: u64,
    /// At most this many bytes are chosen, unless the first message alone has more.
    pub bytes: usize,
}

/// What one queue has for a pull.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// What the filter may take, in rising order.
    pub chosen: Vec<(QueueOffset, QueueEntry)>,
    /// Behind the last entry that was looked at, and did fit: where the next stretch begins.
    pub next: QueueOffset,
}

impl Stretch {
    /// Looks through one queue as far as `reach` goes.
    pub fn select<S: EntrySource>(entries: &S, filter: &TagFilter, reach: Reach) -> Result<Self, S::Error> {
        let mut stretch = Self {
            chosen: Vec::new(),
            next: reach.from,
        };
        let stop = reach.tail.0.min(reach.from.0.saturating_add(reach.entries));
        let (mut chunk, mut bytes) = (Vec::with_capacity(CHUNK), 0_usize);
        while stretch.next.0 < stop && stretch.chosen.len() < reach.messages {
            chunk.clear();
            let most = CHUNK.min((stop - stretch.next.0) as usize);
            entries.entries(stretch.next, most, &mut chunk)?;
            if chunk.is_empty() {
                break;
            }
            for entry in &chunk {
                if filter.may_take(entry) {
                    let with_it = bytes.saturating_add(entry.size as usize);
                    let is_first = stretch.chosen.is_empty();
                    if stretch.chosen.len() == reach.messages || with_it > reach.bytes && !is_first {
                        return Ok(stretch);
                    }
                    bytes = with_it;
                    stretch.chosen.push((stretch.next, *entry));
                }
                stretch.next.0 += 1;
            }
        }
        Ok(stretch)
    }
}
