//! strace on a broker: it counts the system calls of threads, and lets the nth of a kind fail, take its time, or kill the
//! process. strace counts the calls of each thread apart, so that a thread is named with the call.

mod files;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::wait;

pub use files::{OnFiles, injecting_on, on_files, tracing_files};

/// The calls by which a broker changes files and names, and makes them durable. No socket is written to by one of them.
pub const CALLS: &[&str] = &[
    "pwritev",
    "pwrite64",
    "fdatasync",
    "fsync",
    "syncfs",
    "rename",
    "ftruncate",
    "unlink",
    "mkdir",
    "rmdir",
];

const ATTACHED_WITHIN: Duration = Duration::from_secs(10);
const DETACHED_WITHIN: Duration = Duration::from_secs(10);

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Injected {
    /// The process is killed instead, as by `kill -9`.
    Kill,
    /// It is not made, and this error returned.
    Error(&'static str),
    /// It begins so much later.
    Delay(Duration),
}

/// Which calls of a kind, counted from 1 in each thread apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// One.
    Nth(u32),
    /// This one and all that follow.
    From(u32),
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injection {
    /// The name of the system call.
    pub call: &'static str,
    /// What is done to it.
    pub what: Injected,
    /// To which of them.
    pub when: When,
}

impl fmt::Display for Injection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, what, when } = self;
        write!(out, "{call}:")?;
        match what {
            Injected::Kill => write!(out, "signal=KILL")?,
            Injected::Error(name) => write!(out, "error={name}")?,
            Injected::Delay(by) => write!(out, "delay_enter={}", by.as_micros())?,
        }
        match when {
            When::Nth(nth) => write!(out, ":when={nth}"),
            When::From(first) => write!(out, ":when={first}+"),
        }
    }
}

/// How often each thread, by its name, has made each call.
pub type Counts = BTreeMap<(String, &'static str), u32>;

/// A running strace. Dropping it lets the threads go on by themselves.
#[derive(Debug)]
pub struct Strace {
    child: Child,
    folder: TempDir,
}

impl Strace {
    /// Counts the calls of these threads of a process.
    ///
    /// # Errors
    /// When strace is not there or may not.
    pub fn count(threads: &[u32]) -> Result<Self> {
        Self::attach(threads, &[format!("--trace={}", CALLS.join(","))])
    }

    /// Counts the calls of all threads of a process, those to come included.
    ///
    /// # Errors
    /// When strace is not there or may not.
    pub fn count_everywhere(process: u32) -> Result<Self> {
        let trace = format!("--trace={}", CALLS.join(","));
        Self::attach(&[process], &["--follow-forks".to_owned(), trace])
    }

    /// Does to the calls of these threads what `injection` says.
    ///
    /// # Errors
    /// When strace is not there or may not.
    pub fn inject(threads: &[u32], injection: &Injection) -> Result<Self> {
        let trace = format!("--trace={}", injection.call);
        Self::attach(threads, &[trace, format!("--inject={injection}")])
    }

    /// Does it to the calls that are about one file, of all threads of a process, those to come included.
    ///
    /// # Errors
    /// When strace is not there or may not.
    pub fn inject_everywhere(process: u32, injection: &Injection, file: &Path) -> Result<Self> {
        let trace = format!("--trace={}", injection.call);
        let file = format!("--trace-path={}", file.display());
        let arguments = [
            "--follow-forks".to_owned(),
            file,
            trace,
            format!("--inject={injection}"),
        ];
        Self::attach(&[process], &arguments)
    }

    fn attach(threads: &[u32], arguments: &[String]) -> Result<Self> {
        ensure!(!threads.is_empty(), "no thread to attach to");
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        let said = folder.path().join("said");
        let mut command = Command::new("strace");
        for thread in threads {
            command.args(["-p", &thread.to_string()]);
        }
        command
            .args(["--decode-pids=comm", "--output"])
            .arg(folder.path().join("calls"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&said)?);
        let child = command
            .spawn()
            .context("cannot start strace: install Debian's package strace")?;
        let mut strace = Self { child, folder };
        wait::until("strace is attached", ATTACHED_WITHIN, || {
            let text = fs::read_to_string(&said)?;
            if let Some(status) = strace.child.try_wait()? {
                bail!("strace ended with {status}: {text}");
            }
            Ok((text.matches(" attached").count() == threads.len()).then_some(()))
        })?;
        Ok(strace)
    }

    /// Lets the threads go on by themselves, and tells what was traced.
    ///
    /// # Errors
    /// When strace does not end.
    pub fn detach(mut self) -> Result<Traced> {
        self.end()?;
        Traced::read(&self.folder.path().join("calls"))
    }

    fn end(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            // It may end by itself just now, with the last of its threads.
            let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        }
        wait::until("strace ends", DETACHED_WITHIN, || Ok(self.child.try_wait()?))?;
        Ok(())
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        if self.end().is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// What strace has written.
#[derive(Debug)]
pub struct Traced {
    /// Calls by thread.
    pub counts: Counts,
    /// How many were not made, or later.
    pub injected: usize,
}

impl Traced {
    /// Reads what strace has written to a file.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self::of(&text))
    }

    fn of(text: &str) -> Self {
        let mut counts = Counts::new();
        for (thread, call) in text.lines().filter_map(call_of) {
            *counts.entry((thread.to_owned(), call)).or_default() += 1;
        }
        let injected = text.matches("(INJECTED)").count() + text.matches("(DELAYED)").count();
        Self { counts, injected }
    }
}

/// The thread and the call that begins in a line such as `12<log> fdatasync(9) = 0`.
fn call_of(line: &str) -> Option<(&str, &'static str)> {
    let (who, what) = line.split_once("> ")?;
    let (_, thread) = who.split_once('<')?;
    let (name, _) = what.trim_start().split_once('(')?;
    let call = CALLS.iter().find(|call| **call == name)?;
    Some((thread, call))
}

/// What a program is started by so that strace follows it from its first call on: it stays its caller's child, and strace
/// writes to `calls`.
#[must_use]
pub fn from_the_start(injection: Option<&Injection>, calls: &Path) -> Vec<String> {
    let trace = injection.map_or_else(|| CALLS.join(","), |injection| injection.call.to_owned());
    // Without --seccomp-bpf, under which no signal is injected.
    let words = [
        "strace",
        "-D",
        "-f",
        "--decode-pids=comm",
        "--quiet=all",
        "--output",
    ];
    let mut words: Vec<String> = words.map(str::to_owned).into();
    words.push(calls.display().to_string());
    words.push(format!("--trace={trace}"));
    words.extend(injection.map(|injection| format!("--inject={injection}")));
    words
}

/// The threads of a process by name; several have one name.
///
/// # Errors
/// When there is no such process.
pub fn threads(process: u32) -> Result<Vec<(String, u32)>> {
    let folder = PathBuf::from(format!("/proc/{process}/task"));
    let mut threads = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        // It may have ended meanwhile.
        let Ok(name) = fs::read_to_string(entry.path().join("comm")) else {
            continue;
        };
        let number = entry.file_name().to_string_lossy().parse();
        threads.push((
            name.trim_end().to_owned(),
            number.context("a thread without a number")?,
        ));
    }
    Ok(threads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_where_they_begin_and_by_the_names_of_their_threads() {
        let traced = Traced::of(
            "12<log> pwritev(9, [{iov_base=\"x\", iov_len=1}], 1, 0 <unfinished ...>\n\
             13<log-prefill> fdatasync(9)            = 0\n\
             12<log> <... pwritev resumed>)          = 1\n\
             12<log> fdatasync(9)                    = -1 EIO (Input/output error) (INJECTED)\n\
             12<log> +++ exited with 0 +++\n\
             12<log> sendto(9, \"fdatasync(\")       = 1\n",
        );
        let expected = [
            (("log", "fdatasync"), 1),
            (("log", "pwritev"), 1),
            (("log-prefill", "fdatasync"), 1),
        ];
        let expected = expected.map(|((thread, call), count)| ((thread.to_owned(), call), count));
        assert_eq!(traced.counts, Counts::from(expected));
        assert_eq!(traced.injected, 1);
    }

    #[test]
    fn a_fault_is_written_as_strace_reads_it() {
        for (what, when, text) in [
            (Injected::Kill, When::Nth(3), "unlink:signal=KILL:when=3"),
            (Injected::Error("EIO"), When::From(2), "unlink:error=EIO:when=2+"),
            (
                Injected::Delay(Duration::from_millis(200)),
                When::From(1),
                "unlink:delay_enter=200000:when=1+",
            ),
        ] {
            let injection = Injection {
                call: "unlink",
                what,
                when,
            };
            assert_eq!(injection.to_string(), text);
        }
    }
}
