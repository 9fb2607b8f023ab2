//! A program that runs beside the test, with its log in a file, and ends with it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Of a log, when something fails.
const SHOWN_LINES_MAX: usize = 40;

/// A running program; dropping it kills it, and so does the kernel when this process ends in any way.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program. Its name is for messages and for its log.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: &Command, logs: &Path) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        let mut tied = tied_to_parent(command);
        tied.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = spawn_lasting(tied).with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An error with the end of the log if it has ended.
    ///
    /// # Errors
    /// See above.
    pub fn check(&mut self) -> Result<()> {
        match self.try_wait()? {
            Some(status) => Err(self.ended(status)),
            None => Ok(()),
        }
    }

    /// How it has ended, once it has.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("cannot wait for {}", self.name))
    }

    /// Asks it to stop, as `kill` does.
    ///
    /// # Errors
    /// When it has ended.
    pub fn terminate(&self) -> Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let id = id.with_context(|| format!("{} has no number", self.name))?;
        kill_process(id, Signal::TERM).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Everything that it has said.
    #[must_use]
    pub fn log(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn ended(&self, status: ExitStatus) -> anyhow::Error {
        anyhow!("{} ended with {status}:\n{}", self.name, self.end_of_log())
    }

    /// The last lines of the log.
    #[must_use]
    pub fn end_of_log(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES_MAX)..].join("\n")
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The same command through `setpriv`, which asks the kernel for SIGKILL at the death of whoever started it, and then
/// becomes the program: it keeps its number. Rust cannot ask without unsafe code.
fn tied_to_parent(command: &Command) -> Command {
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--pdeathsig", "KILL", "--"]);
    behind(setpriv, command)
}

/// A command that runs another one, which stands behind its own arguments.
#[must_use]
pub fn behind(mut first: Command, command: &Command) -> Command {
    first.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => first.env(name, value),
            None => first.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        first.current_dir(folder);
    }
    first
}

type Request = (Command, Sender<std::io::Result<Child>>);

/// Starts the command from a thread that lasts as long as this process does. The kernel takes the thread that started a
/// program for its parent, and threads of tests end with their test.
fn spawn_lasting(command: Command) -> Result<Child> {
    static STARTER: LazyLock<Mutex<Sender<Request>>> = LazyLock::new(|| {
        let (send, requests) = channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in requests {
                // Whoever asked waits for the answer.
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(send)
    });
    let (send, answer) = channel();
    let Ok(starter) = STARTER.lock() else {
        bail!("a test has failed while it started a program");
    };
    starter
        .send((command, send))
        .context("no thread starts programs")?;
    drop(starter);
    let started = answer.recv().context("no thread starts programs")?;
    started.context("cannot start setpriv, of Debian's package util-linux, or what it is to start")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wait;

    fn sleeper() -> Command {
        let mut command = Command::new("sleep");
        command.arg("1000");
        command
    }

    fn lives(process: u32) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    }

    #[test]
    fn a_program_outlives_the_thread_that_asked_for_it_and_ends_when_it_is_dropped() {
        let logs = tempfile::tempdir().unwrap();
        let folder = logs.path().to_owned();
        let thread = std::thread::spawn(move || Process::start("sleeper", &sleeper(), &folder).unwrap());
        let mut process = thread.join().unwrap();
        let number = process.id();
        wait::until_true("it has become sleep", Duration::from_secs(10), || {
            std::fs::read_to_string(format!("/proc/{number}/comm")).is_ok_and(|name| name == "sleep\n")
        })
        .unwrap();
        process.check().unwrap();
        drop(process);
        assert!(!lives(number));
    }

    #[test]
    fn a_program_that_ends_tells_what_it_said_last() {
        let logs = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo it is broken; exit 3"]);
        let mut process = Process::start("broken", &command, logs.path()).unwrap();
        let error = wait::until("it ends", Duration::from_secs(10), || {
            Ok(process.check().err().map(|error| error.to_string()))
        });
        let error = error.unwrap();
        assert!(
            error.contains("broken ended") && error.contains("it is broken"),
            "{error}"
        );
    }
}
