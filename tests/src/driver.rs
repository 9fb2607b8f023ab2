//! The official clients, unmodified, each driven over the standard input and output of a program in its language:
//! `tests/java`, `tests/python`, `tests/node`, `tests/go` and `tests/rust`. All take the same commands.

mod heard;
mod programs;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;

pub use heard::Event;
use heard::Heard;
use programs::Program;

const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const SHOWN_LINES_MAX: usize = 120;

/// Whose client it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `org.apache.rocketmq:rocketmq-client-java`.
    Java,
    /// `rocketmq-python-client`.
    Python,
    /// `rocketmq-client-nodejs`.
    Node,
    /// `github.com/apache/rocketmq-clients/golang/v5`.
    Go,
    /// The crate `rocketmq`.
    Rust,
}

impl Language {
    const ALL: [Self; 5] = [Self::Java, Self::Python, Self::Node, Self::Go, Self::Rust];
}

/// A process with an official client in it.
#[derive(Debug)]
pub struct Driver {
    child: Child,
    input: Mutex<Option<ChildStdin>>,
    heard: Arc<Heard>,
    next_id: AtomicU64,
    /// Where the client writes what it writes.
    folder: TempDir,
}

/// A command whose answer has not been waited for.
#[derive(Debug)]
pub struct Pending<'a> {
    driver: &'a Driver,
    id: u64,
    command: String,
}

impl Driver {
    /// Builds the drivers of all languages, unless somebody has: a test that runs while another one builds would be slowed down by
    /// that, and some clients wait no longer than they have to.
    ///
    /// # Errors
    /// When what a language needs is missing or fails.
    pub fn build_all() -> Result<()> {
        static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
        let built = BUILT.get_or_init(|| {
            let folder = TempDir::new().map_err(|error| error.to_string())?;
            Language::ALL.into_iter().try_for_each(|language| {
                let program = Program::of(language, folder.path());
                program.map(drop).map_err(|error| format!("{error:#}"))
            })
        });
        built.clone().map_err(|error| anyhow!(error))
    }

    /// Builds the driver if nobody has, and starts it.
    ///
    /// # Errors
    /// When what the language needs is missing or fails.
    pub fn start(language: Language) -> Result<Self> {
        Self::start_within(&[], language)
    }

    /// As [`Driver::start`], as an argument of another program: one that enters namespaces, for example.
    ///
    /// # Errors
    /// When what the language needs is missing or fails.
    pub fn start_within(outer: &[String], language: Language) -> Result<Self> {
        let folder = TempDir::with_prefix("driver-").context("cannot make a folder")?;
        let program = Program::of(language, folder.path())?;
        let mut words = outer.iter().map(Into::into).chain(program.words);
        let mut child = Command::new(words.next().context("a program has a name")?)
            .args(words)
            .envs(program.variables)
            // Most clients keep their logs below it.
            .env("HOME", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.path().join("stderr.log"))?)
            .spawn()
            .with_context(|| format!("cannot start the driver: {} is needed", program.needs))?;
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
        if let Err(error) = driver.call(json!({"do": "hello"})) {
            print_logs(driver.folder.path());
            return Err(error.context("the driver does not answer"));
        }
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

impl Drop for Driver {
    fn drop(&mut self) {
        if std::thread::panicking() {
            print_logs(self.folder.path());
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The ends of all logs in a folder and below it.
fn print_logs(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            print_logs(&path);
        } else if path.extension().is_some_and(|extension| extension == "log") {
            print_end_of(&path);
        }
    }
}

fn print_end_of(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| error.to_string());
    let lines: Vec<_> = text.lines().collect();
    eprintln!("--- end of {}", path.display());
    let shown = lines.len().saturating_sub(SHOWN_LINES_MAX);
    lines[shown..].iter().for_each(|line| eprintln!("{line}"));
    eprintln!("---");
}
