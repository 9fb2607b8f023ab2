//! Files in YAML: how large and how deep they may be. The parser's work grows with the square of the depth, and it stops
//! at a limit of its own only after that.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// What is read here needs four.
const DEPTH_MAX: usize = 64;

/// The text of a file.
///
/// # Errors
/// When it cannot be read, is no UTF-8, or is larger than so many MiB.
pub fn text(path: &Path, mebibytes: u64) -> io::Result<String> {
    let most = mebibytes << 20;
    let mut text = String::new();
    File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {mebibytes} MiB"),
        ));
    }
    Ok(text)
}

/// Whether it can be parsed in good time. Brackets in quotes count too: they seldom stand there without their other halves.
///
/// # Errors
/// With the line from which on it is too deep.
pub fn check_depth(text: &str) -> Result<(), String> {
    let mut depth = 0_usize;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with('#') {
            continue;
        }
        for byte in line.bytes() {
            depth = match byte {
                b'[' | b'{' => depth + 1,
                b']' | b'}' => depth.saturating_sub(1),
                _ => depth,
            };
            if depth > DEPTH_MAX {
                return Err(format!(
                    "more than {DEPTH_MAX} brackets are open at line {}: close them, nothing here needs as many",
                    index + 1
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_more_open_brackets_than_any_needs_is_refused_by_its_line() {
        for opening in ["[", "{", "[{", "- [", "a: {"] {
            let text = format!("topics:\n{}", opening.repeat(100_000));
            let error = check_depth(&text).unwrap_err();
            assert!(error.contains("line 2"), "{opening}: {error}");
        }
        let lines = "[\n".repeat(DEPTH_MAX + 1);
        assert!(check_depth(&lines).unwrap_err().contains("line 65"));
    }

    #[test]
    fn brackets_that_are_closed_or_in_remarks_are_as_many_as_may_be() {
        let open = "[".repeat(DEPTH_MAX);
        let remarks = "  # from 0 on: [0, 10)\n".repeat(1000);
        let entries = "- {name: a, types: [fifo]}\n".repeat(10_000);
        for text in [open, remarks, entries, "]]]]\n".to_owned(), String::new()] {
            assert_eq!(check_depth(&text), Ok(()));
        }
    }
}
