//! How many tests passed and failed, read from libtest's summary lines.

/// A count of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
    pub ignored: u64,
}

impl Tally {
    /// Adds what the line says if it is a summary line (`test result: ok. 3 passed; 0 failed; …`).
    pub fn add_line(&mut self, line: &str) {
        let Some(summary) = line.trim_start().strip_prefix("test result: ") else {
            return;
        };
        for part in summary.split(';') {
            // "ok. 3 passed" or "0 failed": the number is the word before the last one.
            let mut words = part.split_whitespace().rev();
            let (Some(what), Some(Ok(number))) = (words.next(), words.next().map(str::parse::<u64>)) else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// Adds another count.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally_of(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for line in lines {
            tally.add_line(line);
        }
        tally
    }

    #[test]
    fn summary_lines_are_added_up() {
        let tally = tally_of(&[
            "running 12 tests",
            "test result: ok. 11 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.01s",
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out",
        ]);
        assert_eq!(
            tally,
            Tally {
                passed: 13,
                failed: 3,
                ignored: 1
            }
        );
    }

    #[test]
    fn a_coloured_summary_counts_too() {
        let tally = tally_of(&["test result: \u{1b}[32mok\u{1b}[m. 7 passed; 0 failed; 0 ignored"]);
        assert_eq!(
            tally,
            Tally {
                passed: 7,
                failed: 0,
                ignored: 0
            }
        );
    }

    #[test]
    fn other_lines_count_nothing() {
        let tally = tally_of(&[
            "3 passed; 2 failed",
            "the test result: 9 passed",
            "",
            "test result: ",
        ]);
        assert_eq!(tally, Tally::default());
    }
}
