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
    /// Up to when the last recorder told, counted from `began`.
    told: Duration,
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
            told: Duration::ZERO,
        };
        timeline.write(HEADER)?;
        Ok(timeline)
    }

    /// Adds the line of what was recorded since the last one; none of a time in which nothing was.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, recorded: &Recorder) -> Result<()> {
        self.add_until(self.began.elapsed(), Duration::ZERO, recorded)
    }

    /// As [`Self::add`], of what is left when the run is over; none of a time shorter than half of the others, whose few sends
    /// would count as much as thousands. The report of the run has them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_rest(&mut self, recorded: &Recorder) -> Result<()> {
        self.add_until(self.began.elapsed(), self.every / 2, recorded)
    }

    fn add_until(&mut self, now: Duration, shortest: Duration, recorded: &Recorder) -> Result<()> {
        let took = now.saturating_sub(self.told);
        self.told = now;
        let found = recorded.summary();
        if found.count == 0 || took < shortest {
            return Ok(());
        }
        // Milliseconds, so that no two lines have the same time.
        let seconds = now.as_secs_f64();
        self.write(&format!(
            "{seconds:.3},{},{},{},{}",
            found.count, found.p50_us, found.p99_us, found.max_us
        ))
    }

    fn write(&mut self, line: &str) -> Result<()> {
        writeln!(self.file, "{line}").with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(sends: u64) -> Recorder {
        let mut recorder = Recorder::new().unwrap();
        (0..sends).for_each(|_| recorder.record(Duration::from_millis(3)));
        recorder
    }

    /// The lines, without what they say of latencies, of a run that ended so many milliseconds after the tick before.
    fn lines(name: &str, rest_ms: u64) -> Vec<String> {
        let path = std::env::temp_dir().join(format!("sluice-{name}-{}", std::process::id()));
        let every = Duration::from_secs(5);
        let mut timeline = Timeline::new(path.clone(), every, Instant::now()).unwrap();
        timeline.add_until(every, Duration::ZERO, &recorded(7)).unwrap();
        // A time without sends is no line, and no part of the next one's time.
        timeline
            .add_until(every * 2, Duration::ZERO, &recorded(0))
            .unwrap();
        let end = every * 2 + Duration::from_millis(rest_ms);
        timeline.add_until(end, every / 2, &recorded(2)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        let lines = text.lines().skip(1);
        lines
            .map(|line| line.split(',').take(2).collect::<Vec<_>>().join(","))
            .collect()
    }

    #[test]
    fn what_is_left_at_the_end_is_a_line_if_it_is_half_as_long_as_the_others() {
        assert_eq!(lines("rest-of-none", 4), ["5.000,7"]);
        assert_eq!(lines("rest-too-short", 2499), ["5.000,7"]);
        assert_eq!(lines("rest-long-enough", 2500), ["5.000,7", "12.500,2"]);
    }
}
