//! Why tests failed, read from what they print: a run repeats it at its end, where it is looked for first.

/// Panics that are kept of a step: its last ones.
const KEPT: usize = 12;
/// Lines that are kept of one panic, and bytes of one line.
const LINES: usize = 10;
const LINE_BYTES: usize = 600;

/// The last panics that were printed, each with the lines of its message.
#[derive(Debug, Default)]
pub struct Panics {
    kept: Vec<Vec<String>>,
    /// Whether the next lines belong to the last one.
    is_open: bool,
}

impl Panics {
    /// Takes a line as it was printed. A message ends where the runtime goes on: with a backtrace, or a note on how to get one.
    pub fn add_line(&mut self, line: &str) {
        let line = line.trim_end();
        // A test that is not captured may have begun the line.
        if let Some(panic) = line.find("thread '").map(|begin| &line[begin..])
            && panic.contains(" panicked at ")
        {
            if self.kept.len() == KEPT {
                self.kept.remove(0);
            }
            self.kept.push(vec![cut(panic, LINE_BYTES)]);
            self.is_open = true;
            return;
        }
        let is_over = line.is_empty() || line.starts_with("stack backtrace:") || line.starts_with("note: ");
        match self.kept.last_mut() {
            Some(last) if self.is_open && !is_over && last.len() < LINES => last.push(cut(line, LINE_BYTES)),
            _ => self.is_open = false,
        }
    }

    /// One after the other, in the order in which they came.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().flatten().map(String::as_str)
    }
}

/// The text, or as much of it as fits in so many bytes.
pub fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes);
    format!("{} […]", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panics_in(output: &str) -> Vec<String> {
        let mut panics = Panics::default();
        output.lines().for_each(|line| panics.add_line(line));
        panics.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_panic_is_kept_with_its_message_and_without_its_backtrace() {
        let output = "running 2 tests\n\
            thread 'a_test' (17790) panicked at tests/one.rs:88:5:\n\
            assertion `left == right` failed: SLUICE_SEED=7\n  left: 1\n right: 2\n\
            stack backtrace:\n   0: __rustc::rust_begin_unwind\nnote: Some details are omitted\n\
            test a_test ... FAILED\n\
            test another ... thread 'another' panicked at tests/two.rs:1:1:\nno\n\ntest another ... FAILED\n";
        assert_eq!(
            panics_in(output),
            [
                "thread 'a_test' (17790) panicked at tests/one.rs:88:5:",
                "assertion `left == right` failed: SLUICE_SEED=7",
                "  left: 1",
                " right: 2",
                "thread 'another' panicked at tests/two.rs:1:1:",
                "no",
            ]
        );
    }

    #[test]
    fn long_and_many_messages_are_cut_and_the_last_ones_stay() {
        let long = "ä".repeat(LINE_BYTES);
        let lines = panics_in(&format!(
            "thread 'long' panicked at it.rs:1:1:\n{}",
            format!("{long}\n").repeat(LINES + 5)
        ));
        assert_eq!(lines.len(), LINES);
        assert!(
            lines[1].len() < LINE_BYTES + 10 && lines[1].ends_with(" […]"),
            "{}",
            lines[1]
        );

        let many: String = (0..KEPT + 3)
            .map(|number| format!("thread 'test {number}' panicked at it.rs:1:1:\n\n"))
            .collect();
        let lines = panics_in(&many);
        assert_eq!(lines.len(), KEPT);
        assert!(
            lines[KEPT - 1].contains(&format!("test {}'", KEPT + 2)),
            "{lines:?}"
        );
    }

    #[test]
    fn what_says_nothing_of_a_panic_is_left_out() {
        assert!(panics_in("test it ... ok\nthread 'x' goes on\nit panicked at noon\n").is_empty());
    }
}
