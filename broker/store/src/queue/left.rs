//! Entries that a start could not find again, and what can be done for them.

use super::QueueError;
use sluice_core::ids::TopicQueue;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Entries that are damaged, and that no restart makes again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Left {
    /// By queue, the first offset of each span, and its end.
    spans: HashMap<TopicQueue, BTreeMap<u64, u64>>,
    /// What can be done instead, in words.
    way_on: String,
}

impl Left {
    pub(super) fn new(spans: HashMap<TopicQueue, BTreeMap<u64, u64>>) -> Self {
        Self {
            spans,
            way_on: String::new(),
        }
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        let spans = self.spans.values().flatten();
        spans.map(|(from, to)| to - from).sum()
    }

    /// The same, with what can be done for them.
    pub(crate) fn with_way_on(self, way_on: String) -> Self {
        Self { way_on, ..self }
    }

    /// What can be done for an entry, if it is one of them.
    pub(super) fn way_on(&self, at: TopicQueue, offset: u64) -> Option<&str> {
        let (_, end) = self.spans.get(&at)?.range(..=offset).next_back()?;
        (offset < *end).then_some(self.way_on.as_str())
    }
}

/// What helps a file that is damaged or gone. `dir` is the `queue` folder.
pub(super) fn restart(dir: &Path) -> String {
    let folder = dir.parent().unwrap_or(dir).display();
    format!(
        "restart the broker, and it is made again from the log, as far as that is whole; if it is not, `sluicectl log verify {folder}` prints the command that repairs the log"
    )
}

/// Why a file in the `queue` folder `dir` could not be read.
pub(super) fn unread(dir: &Path, path: &Path, source: io::Error) -> QueueError {
    match source.kind() {
        ErrorKind::NotFound => QueueError::Gone {
            path: path.to_owned(),
            way_on: restart(dir),
        },
        _ => QueueError::io("read", path, source),
    }
}
