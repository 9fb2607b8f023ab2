//! What can change while the broker runs: the keys as they stand, and the values that act.

use super::error::{ChangeError, ConfigError};
use super::forms;
use super::keys::{self, KEYS, Key};
use super::layers::{Entry, Layers, Values};
use crate::disk::Marks;
use crate::logging::Levels;
use crate::nearest::nearest;
use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use sluice_core::excerpt::excerpt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// The values of all live keys at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveValues {
    /// Whether a topic is made on its first use (F7).
    pub auto_create_topics: bool,
    /// Whether metrics show each queue's lag.
    pub queue_metrics: bool,
    /// What is logged.
    pub log: Levels,
    /// How long messages are kept (F8),
    pub retention: Duration,
    /// and how much log, if that is bounded.
    pub retention_bytes: Option<u64>,
    /// How full the disk may become before something is done about it.
    pub marks: Marks,
    /// A checkpoint is written after this much log,
    pub checkpoint_bytes: u64,
    /// or after this long.
    pub checkpoint_every: Duration,
    /// Files are read again at this rate; 0 for never.
    pub scrub_bytes_per_second: u64,
}

/// The configuration of a running broker: all of it to look at, some of it to change.
#[derive(Debug)]
pub struct Live {
    layers: Mutex<Layers>,
    values: ArcSwap<LiveValues>,
    changed: watch::Sender<()>,
    file_rejected: AtomicBool,
}

impl Live {
    pub(super) fn new(layers: Layers) -> Result<Self, ConfigError> {
        let values = LiveValues::of(&layers)?;
        Ok(Self {
            layers: Mutex::new(layers),
            values: ArcSwap::from_pointee(values),
            changed: watch::Sender::new(()),
            file_rejected: AtomicBool::new(false),
        })
    }

    /// Whether the file has become one that cannot be used, so that what it said before holds on.
    pub fn file_is_rejected(&self) -> bool {
        self.file_rejected.load(Ordering::Relaxed)
    }

    /// The values that hold now. Cheap enough for every call of a client.
    pub fn values(&self) -> Guard<Arc<LiveValues>> {
        self.values.load()
    }

    /// Tells of each change from now on; then [`values`](Self::values) has the new ones.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// All keys as they stand.
    pub fn entries(&self) -> Vec<Entry> {
        self.layers.lock().entries()
    }

    /// The key of this name as it stands.
    pub fn get(&self, name: &str) -> Result<Entry, ChangeError> {
        let key = named(name)?;
        Ok(self.layers.lock().entry(key))
    }

    /// Changes keys until the process ends: all of them, or none and an error. No value: back to what file, environment
    /// and flags say. Answers the keys as they stand then.
    pub fn set(&self, changes: &[(String, Option<String>)]) -> Result<Vec<Entry>, ChangeError> {
        let mut layers = self.layers.lock();
        let mut changed = layers.clone();
        let mut keys = Vec::with_capacity(changes.len());
        for (name, value) in changes {
            let key = named(name)?;
            if !key.live {
                return Err(ChangeError::Fixed(key.name));
            }
            match value {
                Some(value) => {
                    let checked = key.form.check(value);
                    checked.map_err(|reason| ChangeError::Value {
                        key: key.name,
                        reason,
                    })?;
                    changed.live_mut().insert(key.name, value.clone());
                }
                None => drop(changed.live_mut().remove(key.name)),
            }
            keys.push(key);
        }
        let replaced = self.replace(&mut layers, changed);
        replaced.map_err(|error| ChangeError::Together(error.to_string()))?;
        Ok(keys.into_iter().map(|key| layers.entry(key)).collect())
    }

    /// The file and what it said at the start.
    pub(super) fn file(&self) -> Option<(PathBuf, Values)> {
        self.layers.lock().file()
    }

    /// The file is one that cannot be used, or can be used again.
    pub(super) fn file_rejected(&self, is: bool) {
        self.file_rejected.store(is, Ordering::Relaxed);
    }

    /// The file says this now, and said that before. Live keys follow it, or none does and the error says why; what would be
    /// different with others after a restart is logged.
    pub(super) fn take_file(&self, before: &Values, now: &Values) -> Result<(), ConfigError> {
        let mut layers = self.layers.lock();
        let mut changed = layers.clone();
        let (before, now) = (layers.with_file(before), layers.with_file(now));
        for key in KEYS.iter().filter(|key| key.live) {
            changed.take_from_file(key, &now);
        }
        self.replace(&mut layers, changed)?;
        for key in KEYS.iter().filter(|key| !key.live) {
            let (old, new) = (before.entry(key).value, now.entry(key).value);
            if old != new {
                tell_of_fixed(key, layers.entry(key).value, new);
            }
        }
        Ok(())
    }

    /// Takes the new layers, and says what is different with them.
    fn replace(&self, layers: &mut Layers, new: Layers) -> Result<(), ConfigError> {
        let values = LiveValues::of(&new)?;
        let keys = KEYS.iter().copied();
        let changed: Vec<_> = keys
            .filter(|key| layers.entry(key).value != new.entry(key).value)
            .collect();
        // Who reads of a change in the log can count on it.
        if !changed.is_empty() {
            self.values.store(Arc::new(values));
            self.changed.send_replace(());
        }
        for key in changed {
            let (old, new) = (layers.entry(key), new.entry(key));
            tracing::info!(
                key = key.name,
                old = shown(&old.value),
                new = shown(&new.value),
                source = %new.source,
                "the configuration has changed"
            );
        }
        *layers = new;
        Ok(())
    }
}

impl Default for Live {
    /// All defaults, for tests.
    fn default() -> Self {
        Self::new(Layers::default()).expect("the defaults can be used, as a test of the keys shows")
    }
}

impl LiveValues {
    fn of(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self {
            auto_create_topics: layers.need(&keys::AUTO_CREATE_TOPICS, forms::switch)?,
            queue_metrics: layers.need(&keys::QUEUE_METRICS, forms::switch)?,
            log: layers.need(&keys::LOG, forms::directives)?,
            retention: layers.need(&keys::RETENTION_HOURS, hours)?,
            retention_bytes: layers.get(&keys::RETENTION_BYTES, |text| {
                keys::RETENTION_BYTES.form.number(text)
            })?,
            marks: marks(layers)?,
            checkpoint_bytes: layers.need(&keys::CHECKPOINT_BYTES, forms::checkpoint_bytes)?,
            checkpoint_every: layers.need(&keys::CHECKPOINT_SECONDS, forms::seconds)?,
            scrub_bytes_per_second: layers.need(&keys::SCRUB_BYTES_PER_SECOND, |text| {
                keys::SCRUB_BYTES_PER_SECOND.form.number(text)
            })?,
        })
    }
}

fn marks(layers: &Layers) -> Result<Marks, ConfigError> {
    let [early, forced, refuse] = [
        &keys::EARLY_RETENTION,
        &keys::FORCED_RETENTION,
        &keys::REFUSE_SENDS,
    ];
    let percent = |key: &'static Key| layers.need(key, |text| key.form.number(text));
    let marks = Marks::of(percent(early)?, percent(forced)?, percent(refuse)?);
    let named = [early, forced, refuse].map(|key| key.name);
    marks
        .check(named)
        .map_err(|reason| ConfigError::Marks { reason })?;
    Ok(marks)
}

fn hours(text: &str) -> Result<Duration, String> {
    let hours = keys::RETENTION_HOURS.form.number(text)?;
    Ok(Duration::from_secs(hours * 3600))
}

fn tell_of_fixed(key: &Key, running: Option<String>, wanted: Option<String>) {
    let (file, runs) = (shown(&wanted), shown(&running));
    if file == runs {
        tracing::info!(
            key = key.name,
            runs,
            "the configuration file says again what the broker runs with"
        );
    } else {
        tracing::warn!(
            key = key.name,
            runs,
            file,
            "the configuration file has changed in what holds only after a restart"
        );
    }
}

fn shown(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("none")
}

fn named(name: &str) -> Result<&'static Key, ChangeError> {
    let found = KEYS.iter().find(|key| key.name == name);
    found.copied().ok_or_else(|| ChangeError::Unknown {
        key: excerpt(name).into_owned(),
        nearest: nearest(&excerpt(name), KEYS.iter().map(|key| key.name)).map(str::to_owned),
    })
}
