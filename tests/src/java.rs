//! The official Java client, driven over the standard input and output of `tests/java`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use parking_lot::{Condvar, Mutex};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binaries;

const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const SHOWN_LINES_MAX: usize = 120;

/// What a push consumer reported.
#[derive(Debug, Clone)]
pub struct Event {
    /// `received` when its handler began, `handled` or `failed` when it ended.
    pub kind: String,
    /// The consumer's name.
    pub client: String,
    /// The message as the client showed it.
    pub message: Value,
    /// When the report came.
    pub at: Instant,
}

/// A Java process with the client in it.
#[derive(Debug)]
pub struct Driver {
    child: Child,
    input: Mutex<Option<ChildStdin>>,
    heard: Arc<Heard>,
    next_id: AtomicU64,
    folder: TempDir,
}

/// What has come back so far.
#[derive(Debug, Default)]
struct Heard {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    answers: HashMap<u64, Result<Value, String>>,
    events: Vec<Event>,
    ended: bool,
}

/// A command whose answer has not been waited for.
#[derive(Debug)]
pub struct Pending<'a> {
    driver: &'a Driver,
    id: u64,
    command: String,
}

impl Driver {
    /// Builds the driver if nobody has, and starts it.
    ///
    /// # Errors
    /// When Maven or Java are missing or fail.
    pub fn start() -> Result<Self> {
        Self::start_within(&[])
    }

    /// As [`Driver::start`], as an argument of another program: one that enters namespaces, for example.
    ///
    /// # Errors
    /// When Maven or Java are missing or fail.
    pub fn start_within(program: &[String]) -> Result<Self> {
        let built = built()?;
        let folder = TempDir::with_prefix("java-driver-").context("cannot make a folder")?;
        let class_path = format!(
            "{}:{}/*",
            built.join("classes").display(),
            built.join("lib").display()
        );
        let mut words = program.iter().map(String::as_str).chain(["java"]);
        let mut child = Command::new(words.next().unwrap_or("java"))
            .args(words)
            // Starts quickly, and leaves the cores to the broker.
            .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx1g"])
            .arg(format!("-Drocketmq.log.root={}", folder.path().display()))
            .args(["-cp", &class_path, "dev.sluice.driver.Driver"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.path().join("stderr"))?)
            .spawn()
            .context("cannot start java: Java 17 or newer is needed")?;
        let heard = Arc::new(Heard::default());
        let output = child.stdout.take().context("the driver's output is not piped")?;
        let input = child.stdin.take();
        let listener = Arc::clone(&heard);
        std::thread::spawn(move || listener.listen(output));
        let driver = Self {
            child,
            input: Mutex::new(input),
            heard,
            next_id: AtomicU64::new(1),
            folder,
        };
        driver
            .call(json!({"do": "hello"}))
            .context("the driver does not answer")?;
        Ok(driver)
    }

    /// Gives a command and waits for its answer.
    ///
    /// # Errors
    /// What the client threw, or that no answer came.
    pub fn call(&self, command: Value) -> Result<Value> {
        self.begin(command)?.wait()
    }

    /// Gives a command.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn begin(&self, mut command: Value) -> Result<Pending<'_>> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        command["id"] = json!(id);
        let mut input = self.input.lock();
        let input = input.as_mut().context("the driver's input is closed")?;
        writeln!(input, "{command}").context("the driver has ended")?;
        input.flush()?;
        let mut command = command.to_string();
        if command.len() > 300 {
            command = command.chars().take(300).chain("…".chars()).collect();
        }
        Ok(Pending {
            driver: self,
            id,
            command,
        })
    }

    /// Waits until the reports so far, in the order in which they came, give a value.
    ///
    /// # Errors
    /// When they do not in time; the error shows how many there are.
    pub fn wait_for<T>(
        &self,
        what: &str,
        within: Duration,
        mut look: impl FnMut(&[Event]) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + within;
        let mut state = self.heard.state.lock();
        loop {
            if let Some(value) = look(&state.events) {
                return Ok(value);
            }
            ensure!(!state.ended, "{what}: the driver has ended");
            if self.heard.changed.wait_until(&mut state, deadline).timed_out() {
                let last = state.events.last();
                bail!(
                    "{what}: not within {within:?}; {} events, the last {last:?}",
                    state.events.len()
                );
            }
        }
    }

    /// The reports so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.heard.state.lock().events.clone()
    }

    fn print_logs(&self) {
        for name in ["stderr", "rocketmq-client.log"] {
            print_end_of(&self.folder.path().join(name));
        }
    }
}

impl Pending<'_> {
    /// Waits for the answer.
    ///
    /// # Errors
    /// What the client threw, or that no answer came.
    pub fn wait(self) -> Result<Value> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        let mut state = self.driver.heard.state.lock();
        loop {
            if let Some(answer) = state.answers.remove(&self.id) {
                return answer.map_err(|error| anyhow!("{error}, to {}", self.command));
            }
            ensure!(
                !state.ended,
                "the driver ended instead of answering {}",
                self.command
            );
            if self
                .driver
                .heard
                .changed
                .wait_until(&mut state, deadline)
                .timed_out()
            {
                bail!("no answer within {ANSWER_WITHIN:?} to {}", self.command);
            }
        }
    }
}

impl Heard {
    fn listen(&self, output: ChildStdout) {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(line) => self.take(line),
                Err(error) => eprintln!("the driver wrote {line:?}: {error}"),
            }
        }
        self.state.lock().ended = true;
        self.changed.notify_all();
    }

    fn take(&self, mut line: Value) {
        let mut state = self.state.lock();
        if let Some(id) = line["id"].as_u64() {
            let answer = match line.get("error") {
                Some(error) => Err(error.as_str().unwrap_or("no text").to_owned()),
                None => Ok(line["ok"].take()),
            };
            state.answers.insert(id, answer);
        } else {
            state.events.push(Event {
                kind: line["event"].as_str().unwrap_or_default().to_owned(),
                client: line["client"].as_str().unwrap_or_default().to_owned(),
                message: line["message"].take(),
                at: Instant::now(),
            });
        }
        drop(state);
        self.changed.notify_all();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder with the driver's classes and libraries, built once a process.
fn built() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.clone().map_err(|error| anyhow!(error))
}

fn build() -> Result<PathBuf> {
    let folder = binaries::scratch().join("java");
    let status = Command::new("mvn")
        .args(["-q", "-B", "-Dstyle.color=never", "process-classes"])
        .arg(format!("-Ddriver.directory={}", folder.display()))
        .current_dir(binaries::workspace().join("tests/java"))
        .stdin(Stdio::null())
        .status()
        .context("cannot start mvn: Maven 3.8 or newer is needed")?;
    ensure!(status.success(), "mvn ended with {status}");
    Ok(folder)
}

fn print_end_of(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| error.to_string());
    let lines: Vec<_> = text.lines().collect();
    eprintln!("--- end of {}", path.display());
    let shown = lines.len().saturating_sub(SHOWN_LINES_MAX);
    lines[shown..].iter().for_each(|line| eprintln!("{line}"));
    eprintln!("---");
}
