//! A broker's metrics as they were at one moment: whoever compares some of them reads all from the same page.

use anyhow::{Context as _, Result, ensure};

/// The text of one scrape.
pub struct Page(String);

/// What a histogram tells.
pub struct Times {
    pub count: f64,
    pub mean: f64,
    /// The upper bound of the highest one: the bound of its bucket.
    pub slowest: f64,
}

impl Page {
    /// What was scraped.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// How long it is.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Labels and value of all series of a metric, in the page's order.
    pub fn series(&self, name: &str) -> impl Iterator<Item = (&str, f64)> {
        self.0.lines().filter_map(move |line| {
            let labels = line.strip_prefix(name)?.strip_prefix('{')?;
            let (labels, value) = labels.rsplit_once("} ")?;
            Some((labels, value.parse().ok()?))
        })
    }

    /// A sum over all series of a metric, of which there must be one.
    pub fn sum(&self, name: &str) -> Result<f64> {
        let values = self.series(name).map(|(_, value)| value);
        let sum = values.reduce(|sum, value| sum + value);
        sum.with_context(|| format!("the page has no {name}"))
    }

    /// A histogram without labels of its own, in which something was counted.
    pub fn histogram(&self, name: &str) -> Result<Times> {
        let [count, sum] = ["count", "sum"].map(|part| self.sum(&format!("{name}_{part}")));
        let (count, sum) = (count?, sum?);
        ensure!(count > 0.0, "nothing is counted in {name}");
        // Buckets count what is below as well: the first one that has everything bounds the highest.
        let bucket = format!("{name}_bucket");
        let mut bounds = self.series(&bucket).filter(|(_, below)| *below >= count);
        let bound = bounds
            .next()
            .and_then(|(labels, _)| labels.split("le=\"").nth(1)?.split('"').next()?.parse().ok());
        Ok(Times {
            count,
            mean: sum / count,
            slowest: bound.with_context(|| format!("no bucket of {name} has everything"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        let text = "HTTP/1.1 200 OK\n\n\
                    # TYPE pause histogram\n\
                    pause_bucket{cluster=\"c\",le=\"0.01\"} 1\n\
                    pause_bucket{cluster=\"c\",le=\"0.1\"} 3\n\
                    pause_bucket{cluster=\"c\",le=\"+Inf\"} 3\n\
                    pause_sum{cluster=\"c\"} 0.06\n\
                    pause_count{cluster=\"c\"} 3\n\
                    long_bucket{cluster=\"c\",le=\"0.01\"} 1\n\
                    long_bucket{cluster=\"c\",le=\"+Inf\"} 2\n\
                    long_sum{cluster=\"c\"} 9\n\
                    long_count{cluster=\"c\"} 2\n\
                    none_bucket{cluster=\"c\",le=\"+Inf\"} 0\n\
                    none_sum{cluster=\"c\"} 0\n\
                    none_count{cluster=\"c\"} 0\n\
                    taken{topic=\"a} 7\"} 4\n\
                    taken{topic=\"b\"} 2\n\
                    taken_late{topic=\"b\"} 32\n";
        Page::new(text.to_owned())
    }

    #[test]
    fn a_sum_is_over_the_series_of_this_name_alone_and_none_is_no_zero() {
        assert_eq!(page().sum("taken").unwrap(), 6.0);
        let missing = page().sum("take").unwrap_err();
        assert_eq!(missing.to_string(), "the page has no take");
    }

    #[test]
    fn the_slowest_of_a_histogram_is_bounded_by_the_first_bucket_that_has_all() {
        let pause = page().histogram("pause").unwrap();
        assert_eq!((pause.count, pause.slowest), (3.0, 0.1));
        assert!((pause.mean - 0.02).abs() < 1e-9);
        assert_eq!(page().histogram("long").unwrap().slowest, f64::INFINITY);
    }

    #[test]
    fn a_histogram_that_counted_nothing_or_is_not_there_has_no_slowest() {
        assert!(page().histogram("none").is_err());
        assert!(page().histogram("gone").is_err());
    }
}
