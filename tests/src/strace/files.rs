//! Calls by the files that they are about, whatever thread makes them: of a process that is followed from its first call on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{CALLS, Injection, from_the_start};

/// By which a broker looks at files, besides [`CALLS`], by which it changes them.
const LOOKS: &[&str] = &["openat", "statx", "getdents64", "pread64", "fadvise64", "flock"];

/// How often each call was made on each file.
pub type OnFiles = BTreeMap<(&'static str, PathBuf), u32>;

/// What a program is started by so that the calls on files are written to `calls`.
#[must_use]
pub fn tracing_files(calls: &Path) -> Vec<String> {
    let all: Vec<_> = LOOKS.iter().chain(CALLS).copied().collect();
    let mut words = from_the_start(None, calls);
    words.extend([
        format!("--trace={}", all.join(",")),
        "--decode-fds=path".to_owned(),
    ]);
    words
}

/// What a program is started by so that it is done to calls on this file alone.
#[must_use]
pub fn injecting_on(file: &Path, injection: &Injection, calls: &Path) -> Vec<String> {
    let mut words = from_the_start(Some(injection), calls);
    words.push(format!("--trace-path={}", file.display()));
    words
}

/// Counts what [`tracing_files`] has written of the files in `folder`, by their paths in it.
///
/// # Errors
/// When there is nothing.
pub fn on_files(calls: &Path, folder: &Path) -> Result<OnFiles> {
    let text = fs::read_to_string(calls).with_context(|| format!("cannot read {}", calls.display()))?;
    let mut counts = OnFiles::new();
    for (call, file) in text.lines().filter_map(on_file) {
        // What has no name any more cannot be named to strace.
        if let Ok(file) = Path::new(file).strip_prefix(folder)
            && !file.to_string_lossy().ends_with(" (deleted)")
        {
            *counts.entry((call, file.to_owned())).or_default() += 1;
        }
    }
    Ok(counts)
}

/// The call that begins in a line, and the file: that of the descriptor, or the first that is named.
fn on_file(line: &str) -> Option<(&'static str, &str)> {
    let (_, what) = line.split_once("> ")?;
    let (name, arguments) = what.trim_start().split_once('(')?;
    let call = LOOKS.iter().chain(CALLS).find(|call| **call == name)?;
    let path = if arguments.starts_with(|first: char| first.is_ascii_digit()) {
        arguments.split_once('<')?.1.split_once('>')?.0
    } else {
        arguments.split_once('"')?.1.split_once('"')?.0
    };
    Some((call, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_about_the_file_of_its_descriptor_or_the_first_that_it_names() {
        for (line, expected) in [
            (
                "12<serve> openat(AT_FDCWD</x>, \"/d/log/a.seg\", O_RDWR) = 9</d/log/a.seg>",
                Some(("openat", "/d/log/a.seg")),
            ),
            (
                "12<serve> statx(9</d/log/a.seg>, \"\", AT_EMPTY_PATH, STATX_ALL, {...}) = 0",
                Some(("statx", "/d/log/a.seg")),
            ),
            (
                "12<log> pwritev(9</d/log/a.seg>, [{iov_base=\"x\"}], 1, 0 <unfinished ...>",
                Some(("pwritev", "/d/log/a.seg")),
            ),
            (
                "12<log> rename(\"/d/a.tmp\", \"/d/a\") = 0",
                Some(("rename", "/d/a.tmp")),
            ),
            ("12<log> <... pwritev resumed>) = 1", None),
            ("12<log> sendto(9<socket:[1]>, \"/d\") = 1", None),
            ("12<log> +++ exited with 0 +++", None),
        ] {
            assert_eq!(on_file(line), expected, "{line}");
        }
    }
}
