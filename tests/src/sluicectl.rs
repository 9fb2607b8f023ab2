//! The command line as a process: run to its end, or followed while it prints.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::binaries;
use crate::process::Broker;

/// How long a followed command may be silent.
const LINE_WITHIN: Duration = Duration::from_secs(20);

/// `sluicectl` with a home of its own, and nothing else of this process's environment.
#[derive(Debug)]
pub struct Sluicectl {
    home: TempDir,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
}

/// What a command has said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Sluicectl {
    /// Without any broker in mind.
    ///
    /// # Errors
    /// When no folder can be made.
    pub fn new() -> Result<Self> {
        Ok(Self {
            home: tempfile::tempdir().context("cannot make a home")?,
            flags: Vec::new(),
            environment: Vec::new(),
        })
    }

    /// For a broker's admin API.
    ///
    /// # Errors
    /// When no folder can be made.
    pub fn of(broker: &Broker) -> Result<Self> {
        Ok(Self::new()?.flag("--admin", &broker.admin_endpoint()))
    }

    /// Gives every command a flag.
    #[must_use]
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What `HOME` says, and where commands are run.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(binaries::sluicectl()?);
        command
            .args(arguments)
            .args(&self.flags)
            .env_clear()
            .env("HOME", self.home())
            .envs(self.environment.iter().cloned())
            .current_dir(self.home())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it cannot be started, is killed, or prints what is no text.
    pub fn run(&self, arguments: &[&str]) -> Result<Said> {
        let output = self
            .command(arguments)?
            .output()
            .context("cannot run sluicectl")?;
        Said::of(output.status.code(), output.stdout, output.stderr)
    }

    /// Runs a command to its end with its standard output going elsewhere, such as into a full disk.
    ///
    /// # Errors
    /// As [`Sluicectl::run`].
    pub fn run_onto(&self, arguments: &[&str], stdout: impl Into<Stdio>) -> Result<Said> {
        let output = self
            .command(arguments)?
            .stdout(stdout)
            .output()
            .context("cannot run sluicectl")?;
        Said::of(output.status.code(), output.stdout, output.stderr)
    }

    /// Runs a command that must be done.
    ///
    /// # Errors
    /// When it ends with another code than 0.
    pub fn ok(&self, arguments: &[&str]) -> Result<String> {
        let said = self.run(arguments)?;
        ensure!(said.code == 0, "{arguments:?}: {said:?}");
        Ok(said.stdout)
    }

    /// Runs a command that must be done with `-o json`, and reads what it prints.
    ///
    /// # Errors
    /// When it ends with another code than 0, or prints no JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.ok(&[arguments, &["-o", "json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("{arguments:?} printed no JSON: {text}"))
    }

    /// Runs a command to its end with a text on its standard input.
    ///
    /// # Errors
    /// As [`Sluicectl::run`].
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Result<Said> {
        let mut child = self
            .command(arguments)?
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot run sluicectl")?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        stdin.write_all(input).context("cannot write to sluicectl")?;
        drop(stdin);
        let output = child.wait_with_output().context("cannot wait for sluicectl")?;
        Said::of(output.status.code(), output.stdout, output.stderr)
    }

    /// Starts a command that goes on until it is dropped.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn follow(&self, arguments: &[&str]) -> Result<Following> {
        let mut child = self.command(arguments)?.spawn().context("cannot run sluicectl")?;
        let out = child.stdout.take().context("no standard output")?;
        let err = child.stderr.take().context("no standard error")?;
        Ok(Following {
            child,
            lines: lines(out),
            notes: lines(err),
        })
    }
}

impl Said {
    fn of(code: Option<i32>, stdout: Vec<u8>, stderr: Vec<u8>) -> Result<Self> {
        Ok(Self {
            code: code.context("sluicectl was killed")?,
            stdout: String::from_utf8(stdout).context("standard output is no text")?,
            stderr: String::from_utf8(stderr).context("standard error is no text")?,
        })
    }

    /// The error that a command with `-o json` has printed.
    ///
    /// # Errors
    /// When standard error is no JSON with an error.
    pub fn error(&self) -> Result<Value> {
        let value: Value =
            serde_json::from_str(&self.stderr).with_context(|| format!("no JSON: {self:?}"))?;
        match value.get("error") {
            Some(error) => Ok(error.clone()),
            None => bail!("no error: {self:?}"),
        }
    }
}

/// A command that prints as it goes; dropping it kills it.
#[derive(Debug)]
pub struct Following {
    child: Child,
    lines: Receiver<String>,
    notes: Receiver<String>,
}

impl Following {
    /// The next line that it prints.
    ///
    /// # Errors
    /// When it ends, or prints none in time.
    pub fn line(&self) -> Result<String> {
        next(&self.lines)
    }

    /// Waits for a line on its standard error that holds a text.
    ///
    /// # Errors
    /// When it ends before, or is silent for too long.
    pub fn note_with(&self, text: &str) -> Result<String> {
        loop {
            let line = next(&self.notes).with_context(|| format!("waiting for {text:?}"))?;
            if line.contains(text) {
                return Ok(line);
            }
        }
    }

    /// Waits for a line that holds a text.
    ///
    /// # Errors
    /// When it ends before, or is silent for too long.
    pub fn line_with(&self, text: &str) -> Result<String> {
        loop {
            let line = self.line().with_context(|| format!("waiting for {text:?}"))?;
            if line.contains(text) {
                return Ok(line);
            }
        }
    }

    /// It stands still until [`Following::wake`].
    ///
    /// # Errors
    /// When it has ended.
    pub fn halt(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// It goes on after [`Following::halt`].
    ///
    /// # Errors
    /// When it has ended.
    pub fn wake(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).context("cannot signal sluicectl")
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it was killed.
    pub fn end(&mut self) -> Result<i32> {
        let status = self.child.wait().context("cannot wait for sluicectl")?;
        status.code().context("sluicectl was killed")
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next(lines: &Receiver<String>) -> Result<String> {
    match lines.recv_timeout(LINE_WITHIN) {
        Ok(line) => Ok(line),
        Err(RecvTimeoutError::Timeout) => bail!("no line within {LINE_WITHIN:?}"),
        Err(RecvTimeoutError::Disconnected) => bail!("it has ended"),
    }
}

fn lines(out: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
