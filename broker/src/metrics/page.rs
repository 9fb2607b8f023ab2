//! The page that a scrape gets, in Prometheus's text format, written straight from the numbers.
//!
//! What there is one of for each topic or group goes here and not through the registry: a page for a thousand topics has
//! tens of thousands of lines, and building a metric with its labels for each costs several times what writing it does.

use sluice_store::stats::Counted;
use std::borrow::Cow;
use std::fmt::Write as _;

/// After so much of a page whoever waits for the processor gets it once: a page takes several milliseconds of it, and calls
/// should not wait that long.
const GIVE_WAY_EVERY: usize = 64 << 10;

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A metric, with what docs/metrics.md says of it beside its meaning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    /// Its own labels; all series have those of the broker too.
    pub(super) labels: &'static [&'static str],
}

impl Family {
    pub(super) const fn gauge(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        let kind = Kind::Gauge;
        Self {
            name,
            kind,
            help,
            labels,
        }
    }

    pub(super) const fn counter(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        let kind = Kind::Counter;
        Self {
            name,
            kind,
            help,
            labels,
        }
    }

    pub(super) const fn histogram(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        let kind = Kind::Histogram;
        Self {
            name,
            kind,
            help,
            labels,
        }
    }
}

/// Labels as they stand in a line, without the braces: made once, written on each page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Labels(Box<str>);

/// The labels that all series have.
#[derive(Clone, Debug)]
pub(super) struct Common(Labels);

impl Common {
    pub(super) fn new(labels: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        labels
            .iter()
            .for_each(|(name, value)| push_label(&mut text, name, value));
        Self(Labels(text.into()))
    }

    /// The common labels and these behind them.
    pub(super) fn and(&self, names: &[&str], values: &[&str]) -> Labels {
        debug_assert_eq!(names.len(), values.len());
        let mut text = String::from(&*self.0.0);
        names
            .iter()
            .zip(values)
            .for_each(|(name, value)| push_label(&mut text, name, value));
        Labels(text.into())
    }
}

/// A page that is being written, metric by metric.
pub(super) struct Page<'a> {
    text: String,
    common: &'a Common,
    gives_way_at: usize,
}

impl<'a> Page<'a> {
    /// An empty page with room for as much as the page before.
    pub(super) fn new(common: &'a Common, expected: usize) -> Self {
        let text = String::with_capacity(expected + expected / 8);
        Self {
            text,
            common,
            gives_way_at: GIVE_WAY_EVERY,
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// Labels of a family's series, for [`Self::line`].
    pub(super) fn labels(&self, family: &Family, values: &[&str]) -> Labels {
        self.common.and(family.labels, values)
    }

    /// What stands before a metric's lines, which all follow at once.
    pub(super) fn begin(&mut self, family: &Family) {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let (name, help) = (family.name, family.help);
        // Writing to a string does not fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One series.
    pub(super) fn line(&mut self, family: &Family, labels: &Labels, value: impl Number) {
        debug_assert_ne!(family.kind, Kind::Histogram);
        self.text.push_str(family.name);
        self.text.push('{');
        self.text.push_str(&labels.0);
        self.text.push_str("} ");
        value.push_to(&mut self.text);
        self.text.push('\n');
        self.give_way();
    }

    fn give_way(&mut self) {
        if self.text.len() >= self.gives_way_at {
            self.gives_way_at = self.text.len() + GIVE_WAY_EVERY;
            std::thread::yield_now();
        }
    }

    /// A metric of one series without labels of its own.
    pub(super) fn single(&mut self, family: &Family, value: impl Number) {
        self.begin(family);
        let common = self.common;
        self.line(family, &common.0, value);
    }

    /// A metric with a few series, by the values of its labels.
    pub(super) fn few<'v, const N: usize, V: Number>(
        &mut self,
        family: &Family,
        series: impl IntoIterator<Item = ([&'v str; N], V)>,
    ) {
        self.begin(family);
        for (values, value) in series {
            let labels = self.labels(family, &values);
            self.line(family, &labels, value);
        }
    }

    /// The lines of one series of a histogram, whose units are so many of what was counted.
    pub(super) fn histogram(&mut self, family: &Family, labels: &Labels, counted: &Counted, per_unit: f64) {
        debug_assert_eq!(family.kind, Kind::Histogram);
        let (name, labels) = (family.name, &*labels.0);
        for (bound, count) in &counted.up_to {
            let bound = *bound as f64 / per_unit;
            let _ = writeln!(self.text, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
        }
        let (count, sum) = (counted.count, counted.sum as f64 / per_unit);
        let _ = write!(
            self.text,
            "{name}_bucket{{{labels},le=\"+Inf\"}} {count}\n{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}\n"
        );
        self.give_way();
    }

    /// A histogram of one series without labels of its own.
    pub(super) fn single_histogram(&mut self, family: &Family, counted: &Counted, per_unit: f64) {
        self.begin(family);
        let common = self.common;
        self.histogram(family, &common.0, counted, per_unit);
    }
}

/// A value of a series.
pub(super) trait Number {
    fn push_to(self, text: &mut String);
}

impl Number for u64 {
    fn push_to(self, text: &mut String) {
        let _ = write!(text, "{self}");
    }
}

impl Number for f64 {
    fn push_to(self, text: &mut String) {
        let _ = write!(text, "{self}");
    }
}

fn push_label(text: &mut String, name: &str, value: &str) {
    let comma = if text.is_empty() { "" } else { "," };
    let _ = write!(text, "{comma}{name}=\"{}\"", escaped(value));
}

fn escaped(value: &str) -> Cow<'_, str> {
    if !value.contains(['\\', '"', '\n']) {
        return Cow::Borrowed(value);
    }
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    Cow::Owned(value.replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_store::stats::Histogram;

    const DEPTH: Family = Family::gauge("depth", &["queue"], "How much waits.");
    const TIMES: Family = Family::histogram("time_seconds", &[], "How long it took.");

    #[test]
    fn a_page_is_text_as_prometheus_reads_it() {
        let common = Common::new(&[("cluster", "a \"b\" \\ c\nd")]);
        let mut page = Page::new(&common, 0);
        page.few(&DEPTH, [(["log"], 7_u64), (["polls"], 0)]);
        let times = Histogram::new(&[500, 1000]);
        [1, 501, 2000].into_iter().for_each(|value| times.observe(value));
        page.single_histogram(&TIMES, &times.read(), 1000.0);
        let cluster = r#"cluster="a \"b\" \\ c\nd""#;
        assert_eq!(
            page.finish(),
            format!(
                "# HELP depth How much waits.\n# TYPE depth gauge\n\
                 depth{{{cluster},queue=\"log\"}} 7\ndepth{{{cluster},queue=\"polls\"}} 0\n\
                 # HELP time_seconds How long it took.\n# TYPE time_seconds histogram\n\
                 time_seconds_bucket{{{cluster},le=\"0.5\"}} 1\ntime_seconds_bucket{{{cluster},le=\"1\"}} 2\n\
                 time_seconds_bucket{{{cluster},le=\"+Inf\"}} 3\n\
                 time_seconds_sum{{{cluster}}} 2.502\ntime_seconds_count{{{cluster}}} 3\n"
            )
        );
    }
}
