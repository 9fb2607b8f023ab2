//! What a run found, as text for people and JSON for scripts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::units::micros;

const DIGITS: u8 = 3;

/// Latencies and errors of one kind of call.
#[derive(Debug)]
pub struct Recorder {
    histogram: Histogram<u64>,
    errors: BTreeMap<String, u64>,
}

impl Recorder {
    /// An empty recorder.
    ///
    /// # Errors
    /// Never for the digits used here.
    pub fn new() -> Result<Self> {
        Ok(Self {
            histogram: Histogram::new(DIGITS)?,
            errors: BTreeMap::new(),
        })
    }

    /// Counts a call that succeeded.
    pub fn record(&mut self, latency: Duration) {
        // A growing histogram refuses only what exceeds its memory: that is counted at the largest value it has.
        if self.histogram.record(micros(latency).max(1)).is_err() {
            self.histogram.saturating_record(u64::MAX);
        }
    }

    /// Counts a call that failed.
    pub fn fail(&mut self, fault: String) {
        *self.errors.entry(fault).or_default() += 1;
    }

    /// Adds what another recorder has.
    ///
    /// # Errors
    /// When the values do not fit.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.histogram.add(&other.histogram)?;
        for (fault, count) in &other.errors {
            *self.errors.entry(fault.clone()).or_default() += count;
        }
        Ok(())
    }

    /// The figures.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            count: self.histogram.len(),
            mean_us: self.histogram.mean().round() as u64,
            p50_us: self.histogram.value_at_quantile(0.5),
            p90_us: self.histogram.value_at_quantile(0.9),
            p99_us: self.histogram.value_at_quantile(0.99),
            p999_us: self.histogram.value_at_quantile(0.999),
            max_us: self.histogram.max(),
        }
    }

    /// The errors by what they said.
    #[must_use]
    pub fn errors(&self) -> &BTreeMap<String, u64> {
        &self.errors
    }
}

/// Figures of a histogram, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Samples.
    pub count: u64,
    /// Mean.
    pub mean_us: u64,
    /// Median.
    pub p50_us: u64,
    /// 90 in 100 are not above this.
    pub p90_us: u64,
    /// 99 in 100 are not above this.
    pub p99_us: u64,
    /// 999 in 1,000 are not above this.
    pub p999_us: u64,
    /// Largest.
    pub max_us: u64,
}

/// The outcome of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The subcommand.
    pub mode: &'static str,
    /// Measured time.
    pub seconds: f64,
    /// What happened how often a second.
    pub rates: BTreeMap<&'static str, f64>,
    /// Latencies by kind.
    pub latencies: BTreeMap<&'static str, Summary>,
    /// Other counts.
    pub counts: BTreeMap<&'static str, u64>,
    /// Failures by what the server said.
    pub errors: BTreeMap<String, u64>,
}

impl Report {
    /// An empty report over a measured time.
    #[must_use]
    pub fn new(mode: &'static str, measured: Duration) -> Self {
        Self {
            mode,
            seconds: measured.as_secs_f64(),
            rates: BTreeMap::new(),
            latencies: BTreeMap::new(),
            counts: BTreeMap::new(),
            errors: BTreeMap::new(),
        }
    }

    /// Adds a kind of call with its rate; one without any sample is left out.
    pub fn add(&mut self, kind: &'static str, recorder: &Recorder) {
        for (fault, count) in recorder.errors() {
            *self.errors.entry(format!("{kind}: {fault}")).or_default() += count;
        }
        let summary = recorder.summary();
        if summary.count > 0 {
            self.latencies.insert(kind, summary);
            self.rate(kind, summary.count);
        }
    }

    /// Adds a rate by its count.
    pub fn rate(&mut self, kind: &'static str, count: u64) {
        self.rates.insert(
            kind,
            if self.seconds > 0.0 {
                count as f64 / self.seconds
            } else {
                0.0
            },
        );
    }

    /// Whether the run measured something and nothing failed.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.errors.is_empty() && !self.latencies.is_empty()
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{} over {:.1} s\n", self.mode, self.seconds);
        // Writing to a string does not fail.
        for (kind, rate) in &self.rates {
            let _ = writeln!(text, "  {kind:<10} {rate:>12.0} /s");
        }
        if !self.latencies.is_empty() {
            let _ = writeln!(
                text,
                "  {:<10} {:>12} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
                "us", "count", "mean", "p50", "p90", "p99", "p99.9", "max"
            );
        }
        for (kind, s) in &self.latencies {
            let _ = writeln!(
                text,
                "  {kind:<10} {:>12} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
                s.count, s.mean_us, s.p50_us, s.p90_us, s.p99_us, s.p999_us, s.max_us
            );
        }
        for (name, count) in &self.counts {
            let _ = writeln!(text, "  {name}: {count}");
        }
        for (fault, count) in &self.errors {
            let _ = writeln!(text, "  failed {count} × {fault}");
        }
        text
    }

    /// Prints to stdout.
    ///
    /// # Errors
    /// When the report cannot be encoded.
    pub fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string(self)?)
        } else {
            print!("{}", self.text())
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder(millis: impl Iterator<Item = u64>) -> Recorder {
        let mut recorder = Recorder::new().unwrap();
        millis.for_each(|millis| recorder.record(Duration::from_millis(millis)));
        recorder
    }

    #[test]
    fn percentiles_are_right_to_three_digits() {
        let summary = recorder(1..=1000).summary();
        for (found, wanted) in [
            (summary.p50_us, 500_000),
            (summary.p90_us, 900_000),
            (summary.p99_us, 990_000),
            (summary.p999_us, 999_000),
            (summary.max_us, 1_000_000),
            (summary.mean_us, 500_500),
        ] {
            assert!(found.abs_diff(wanted) <= wanted / 1000, "{found} is not {wanted}");
        }
    }

    #[test]
    fn merged_recorders_add_up() {
        let mut one = recorder([1, 2].into_iter());
        let mut two = recorder([3].into_iter());
        one.fail("X".to_owned());
        two.fail("X".to_owned());
        one.merge(&two).unwrap();
        assert_eq!(one.summary().count, 3);
        assert_eq!(one.errors()["X"], 2);
    }

    #[test]
    fn a_report_with_errors_or_without_samples_is_not_clean() {
        let mut report = Report::new("produce", Duration::from_secs(2));
        assert!(!report.clean());
        report.add("send", &recorder(1..=10));
        assert!(report.clean());
        assert!((report.rates["send"] - 5.0).abs() < f64::EPSILON);
        let mut failed = Recorder::new().unwrap();
        failed.fail("TOO_MANY_REQUESTS 42900".to_owned());
        report.add("ack", &failed);
        assert!(!report.clean());
        assert!(
            report.text().contains("failed 1 × ack: TOO_MANY_REQUESTS 42900"),
            "{}",
            report.text()
        );
        assert!(serde_json::to_string(&report).unwrap().contains("\"p99_us\""));
    }
}
