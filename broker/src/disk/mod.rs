//! Watches how full the data folder's disk is, and has something done about it before it is full: see [`marks`](Marks).
//!
//! A look is a call of the system and costs next to nothing. What it finds acts at once on sends, and with the next look of
//! retention, which a mark that is reached calls for, on the log.

mod marks;
mod refusals;

pub use marks::{Bounds, Holding, Marks, Share, Usage};
pub use refusals::{REFUSALS, word};

use crate::engine::Engine;
use parking_lot::Mutex;
use sluice_store::Store;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks,
const EVERY: Duration = Duration::from_secs(1);
/// or between those at a disk that the log has grown on since the one before.
const EVERY_GROWING: Duration = Duration::from_millis(100);

/// Who knows the disk's figures.
pub trait Figures: Send + Sync {
    /// They as they are now. May block.
    fn usage(&self) -> io::Result<Usage>;
}

/// A real file system's.
#[derive(Debug)]
pub struct FileSystem(PathBuf);

impl FileSystem {
    /// Of the one that `path` is on.
    pub fn of(path: &Path) -> Self {
        Self(path.to_path_buf())
    }
}

impl Figures for FileSystem {
    fn usage(&self) -> io::Result<Usage> {
        let system = rustix::fs::statvfs(&self.0)?;
        let bytes = |blocks: u64| blocks.saturating_mul(system.f_frsize);
        let used = bytes(system.f_blocks.saturating_sub(system.f_bfree));
        Ok(Usage {
            used,
            size: used.saturating_add(bytes(system.f_bavail)),
        })
    }
}

/// What is known of the disk.
pub struct Disk {
    figures: Box<dyn Figures>,
    seen: Mutex<(Holding, Usage)>,
    /// How often each mark was reached.
    reached: [AtomicU64; 3],
    changed: watch::Sender<Holding>,
    /// The last look has found nothing out.
    is_blind: AtomicBool,
}

/// The marks as metrics name them.
pub const MARKS: [&str; 3] = ["early", "forced", "refuse"];

impl Disk {
    /// Nothing is known before the first look.
    pub fn new(figures: impl Figures + 'static) -> Arc<Self> {
        Arc::new(Self {
            figures: Box::new(figures),
            seen: Mutex::default(),
            reached: Default::default(),
            changed: watch::Sender::new(Holding::default()),
            is_blind: AtomicBool::new(false),
        })
    }

    /// What the last look has found.
    pub fn seen(&self) -> (Holding, Usage) {
        *self.seen.lock()
    }

    /// Tells whenever a mark is reached, or holds no more.
    pub fn subscribe(&self) -> watch::Receiver<Holding> {
        self.changed.subscribe()
    }

    /// How often each mark was reached.
    pub fn reached(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.reached.iter().map(|count| count.load(Ordering::Relaxed));
        MARKS.into_iter().zip(counts)
    }

    /// Looks, tells the log whether it takes messages, and answers what holds. A disk that tells nothing is as it was. May
    /// block.
    pub fn look(&self, marks: &Marks, store: &Store) -> Holding {
        let mut seen = self.seen.lock();
        let (before, usage) = *seen;
        let found = self.figures.usage();
        if let Err(error) = &found
            && !self.is_blind.load(Ordering::Relaxed)
        {
            tracing::warn!(%error, "the system does not say how full the disk of the data folder is: its marks stay as they were");
        }
        self.is_blind.store(found.is_err(), Ordering::Relaxed);
        let usage = found.unwrap_or(usage);
        let holding = before.after(usage, marks);
        *seen = (holding, usage);
        store.log().set_nearly_full(holding.refuse);
        drop(seen);
        if holding != before {
            self.tell(before, holding, usage, marks);
            self.changed.send_replace(holding);
        }
        holding
    }

    fn tell(&self, before: Holding, now: Holding, usage: Usage, marks: &Marks) {
        let words = words(marks);
        let marks = [
            (before.early, now.early, marks.early),
            (before.forced, now.forced, marks.forced),
            (before.refuse, now.refuse, marks.refuse),
        ];
        let used = format!("{:.1} %", usage.ratio() * 100.0);
        for ((before, now, mark), (what, reached)) in
            marks.into_iter().zip(words.into_iter().zip(&self.reached))
        {
            let mark = mark.unwrap_or(100);
            match (before, now) {
                (false, true) => {
                    reached.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(used, mark, "the disk fills: {}", what.reached);
                }
                (true, false) => tracing::info!(used, mark, "the disk has room again: {}", what.left),
                _ => {}
            }
        }
    }
}

/// What is said of a mark.
struct Words {
    reached: String,
    left: &'static str,
}

/// What comes next where nobody makes room depends on which marks are on.
fn words(marks: &Marks) -> [Words; 3] {
    let refused = match marks.refuse {
        Some(mark) => format!("sends are refused, at {mark} % (refuseSendsPercent)"),
        None => "the disk is full and sends are refused".to_owned(),
    };
    let next = match marks.forced {
        Some(mark) => format!("unread messages go too, at {mark} % (forcedRetentionPercent)"),
        None => refused.clone(),
    };
    [
        Words {
            reached: format!(
                "from now on what all groups have read is given up before its time (earlyRetentionPercent); enlarge the disk or lower retentionHours before {next}"
            ),
            left: "messages are kept for their time",
        },
        Words {
            reached: format!(
                "from now on the oldest messages are given up, unread ones too (forcedRetentionPercent); make room on the disk, or turn this off with 0: then they stay until {refused}"
            ),
            left: "unread messages are kept for their time",
        },
        Words {
            reached: "from now on no messages are taken (refuseSendsPercent), while deliveries and acknowledgements go on; make room on the disk".to_owned(),
            left: "messages are taken",
        },
    ]
}

/// One look.
pub async fn look(engine: &Arc<Engine>) {
    let (looker, marks) = (Arc::clone(engine), engine.live().values().marks);
    let looked = tokio::task::spawn_blocking(move || looker.disk().look(&marks, looker.store()));
    if let Err(error) = looked.await {
        // Only a panic, or the runtime's end.
        tracing::error!(%error, "the look at the disk has failed");
    }
}

/// Watches for as long as the process lives.
pub async fn follow(engine: Arc<Engine>) {
    let live = Arc::clone(engine.live());
    let mut changes = live.subscribe();
    let written = || engine.store().log().positions().written();
    let mut before = written();
    loop {
        look(&engine).await;
        let now = written();
        let wait = if now > before { EVERY_GROWING } else { EVERY };
        before = now;
        if let Ok(Err(_)) = tokio::time::timeout(wait, changes.changed()).await {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_come_next_is_what_the_marks_have_come_next() {
        for (forced, refuse, early_says, forced_says) in [
            (
                0,
                90,
                "before sends are refused, at 90 %",
                "until sends are refused, at 90 %",
            ),
            (
                85,
                90,
                "before unread messages go too, at 85 %",
                "until sends are refused, at 90 %",
            ),
            (
                0,
                0,
                "before the disk is full and sends",
                "until the disk is full and sends",
            ),
            (
                85,
                0,
                "before unread messages go too, at 85 %",
                "until the disk is full and sends",
            ),
        ] {
            let [early, at_forced, _] = words(&Marks::of(75, forced, refuse));
            assert!(early.reached.contains(early_says), "{}", early.reached);
            assert!(at_forced.reached.contains(forced_says), "{}", at_forced.reached);
            let forced_is_on = forced > 0;
            assert_eq!(
                early.reached.contains("unread messages go"),
                forced_is_on,
                "{}",
                early.reached
            );
        }
    }
}

#[cfg(test)]
pub use planted::Planted;

#[cfg(test)]
mod planted {
    use super::{Figures, Usage};
    use parking_lot::Mutex;
    use std::io;
    use std::sync::Arc;

    /// A disk whose figures a test plants. Nothing is known of it before.
    #[derive(Clone, Default)]
    pub struct Planted(Arc<Mutex<Usage>>);

    impl Planted {
        /// So much of so much is in use from now on.
        pub fn plant(&self, used: u64, size: u64) {
            *self.0.lock() = Usage { used, size };
        }
    }

    impl Figures for Planted {
        fn usage(&self) -> io::Result<Usage> {
            match *self.0.lock() {
                Usage { size: 0, .. } => Err(io::ErrorKind::Unsupported.into()),
                usage => Ok(usage),
            }
        }
    }
}
