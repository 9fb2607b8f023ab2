//! Latencies over time, as a file of comma-separated values: a line for every few seconds of a run.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::report::Recorder;

const HEADER: &str = "seconds,sends,p50_us,p99_us,max_us";

/// Where the lines go, and what they are about.
#[derive(Debug)]
pub struct Timeline {
    path: PathBuf,
    file: File,
    /// Between two lines.
    pub every: Duration,
    began: Instant,
}

impl Timeline {
    /// A file with nothing but its header; the time is counted from `began`.
    ///
    /// # Errors
    /// When the file cannot be made, or `every` is no time.
    pub fn new(path: PathBuf, every: Duration, began: Instant) -> Result<Self> {
        ensure!(!every.is_zero(), "--timeline-every 0 is no time: take 1s or more");
        let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let mut timeline = Self {
            path,
            file,
            every,
            began,
        };
        timeline.write(HEADER)?;
        Ok(timeline)
    }

    /// Adds the line of what was recorded since the last one; none of a time in which nothing was.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, recorded: &Recorder) -> Result<()> {
        let found = recorded.summary();
        if found.count == 0 {
            return Ok(());
        }
        let seconds = self.began.elapsed().as_secs_f64();
        self.write(&format!(
            "{seconds:.1},{},{},{},{}",
            found.count, found.p50_us, found.p99_us, found.max_us
        ))
    }

    fn write(&mut self, line: &str) -> Result<()> {
        writeln!(self.file, "{line}").with_context(|| format!("cannot write {}", self.path.display()))
    }
}
