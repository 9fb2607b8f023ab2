//! A broker process: started on free ports over a folder of its own, killed, stopped, started again.

mod setup;

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::metrics::{self, Sample};
use crate::{http, wait};

pub use setup::Setup;

/// What the broker's folder under `--data-dir` is called by default.
pub const BROKER_NAME: &str = "broker-a";

/// Tells the suites, and nobody else, to take their long form: to a broker it looks like SLUICE_LOG, which it would say.
pub const LONG: &str = "SLUICE_LONG";
const READY_WITHIN: Duration = Duration::from_secs(30);
const END_WITHIN: Duration = Duration::from_secs(30);
const INIT_FILE: &str = "init.yaml";
const CONFIG_FILE: &str = "sluice.yaml";
/// Of the log, when a test fails.
const SHOWN_LINES_MAX: usize = 200;

/// A broker over one folder; dropping it kills the process and removes the folder, unless the test fails: then the
/// folder stays and the end of the log is printed.
#[derive(Debug)]
pub struct Broker {
    binary: PathBuf,
    open_files: Option<u32>,
    /// What the next start is made by; empty but for one that is traced.
    under: Vec<String>,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    grpc_port: u16,
    admin_port: u16,
    http_port: u16,
    data_dir: PathBuf,
    /// The socket for clients, where it outlives the process.
    socket: Option<TcpListener>,
    folder: Option<TempDir>,
    child: Option<Child>,
}

impl Broker {
    /// `HOST:PORT` for clients.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.grpc_port)
    }

    /// `HOST:PORT` of the admin API.
    #[must_use]
    pub fn admin_endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.admin_port)
    }

    /// The port of `/readyz` and `/metrics`.
    #[must_use]
    pub fn http_port(&self) -> u16 {
        self.http_port
    }

    /// What `--data-dir` names.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The broker's own folder in the data folder.
    #[must_use]
    pub fn shard_dir(&self) -> PathBuf {
        self.data_dir.join(BROKER_NAME)
    }

    /// The process's number while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Gives the file for `--init` another text for the next start.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn rewrite_init(&self, yaml: &str) -> Result<()> {
        let folder = self.folder.as_ref().context("the folder is gone")?;
        std::fs::write(folder.path().join(INIT_FILE), yaml).context("cannot write the file for --init")
    }

    /// The file for `--config`.
    ///
    /// # Errors
    /// When the broker has no folder any more.
    pub fn config_path(&self) -> Result<PathBuf> {
        let folder = self.folder.as_ref().context("the folder is gone")?;
        Ok(folder.path().join(CONFIG_FILE))
    }

    /// Puts a file with another text in the place of the file for `--config`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn rewrite_config(&self, yaml: &str) -> Result<()> {
        let path = self.config_path()?;
        let new = path.with_extension("new");
        let written = std::fs::write(&new, yaml).and_then(|()| std::fs::rename(&new, &path));
        written.context("cannot write the file for --config")
    }

    /// Starts the process with the same ports and folder as before, and waits until it is ready. Tells how long that
    /// took.
    ///
    /// # Errors
    /// When it ends or does not become ready in time; its log has been printed then.
    pub fn restart(&mut self) -> Result<Duration> {
        let started = Instant::now();
        self.spawn()?;
        let ready = self.wait_until_ready();
        if ready.is_err() {
            self.print_log();
        }
        ready.map(|()| started.elapsed())
    }

    /// Starts the process by other words, which end as it; waits for nothing. Only this start is made so.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_under(&mut self, words: Vec<String>) -> Result<()> {
        self.under = words;
        self.spawn()
    }

    fn spawn(&mut self) -> Result<()> {
        if self.child.is_some() {
            bail!("the broker is running already");
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .context("cannot open the broker's log file")?;
        let mut command = self.command();
        self.under.clear();
        command
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(&self.flags)
            .env_remove(LONG)
            .envs(self.environment.iter().cloned())
            .envs(self.handed_over()?)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command.spawn();
        if let Some(socket) = &self.socket {
            // Nobody else is to inherit it: a client would wait in its queue for ever.
            fcntl_setfd(socket, FdFlags::CLOEXEC).context("cannot keep a socket")?;
        }
        let child = child.with_context(|| format!("cannot start {}", self.binary.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// The variables that hand the socket over: a descriptor that the process inherits. Systemd gives it the number 3.
    fn handed_over(&self) -> Result<Vec<(&'static str, String)>> {
        let Some(socket) = &self.socket else {
            return Ok(Vec::new());
        };
        fcntl_setfd(socket, FdFlags::empty()).context("cannot hand a socket over")?;
        let descriptor = socket.as_raw_fd().to_string();
        Ok(vec![
            ("LISTEN_FDS", "1".to_owned()),
            ("LISTEN_FDS_FIRST_FD", descriptor),
        ])
    }

    /// The shell lowers the limit and becomes the broker, with the same number.
    fn command(&self) -> Command {
        if let Some((program, words)) = self.under.split_first() {
            let mut command = Command::new(program);
            command.args(words).arg(&self.binary);
            return command;
        }
        let Some(limit) = self.open_files else {
            return Command::new(&self.binary);
        };
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("ulimit -n {limit} && exec \"$@\""), "sh"])
            .arg(&self.binary);
        shell
    }

    /// Waits until a process that was started without waiting is ready. Tells its end where it ends before.
    ///
    /// # Errors
    /// When neither comes in time.
    pub fn ready_or_ended(&mut self) -> Result<Option<ExitStatus>> {
        let port = self.http_port;
        let child = self.child.as_mut().context("the broker is not running")?;
        let ended = wait::until("the broker is ready or ends", READY_WITHIN, || {
            let ended = child.try_wait()?;
            Ok((ended.is_some() || is_ready(port)?).then_some(ended))
        })?;
        if ended.is_some() {
            self.child = None;
        }
        Ok(ended)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let port = self.http_port;
        let child = self.child.as_mut().context("the broker is not running")?;
        let mut ended = None;
        wait::until("the broker is ready", READY_WITHIN, || {
            ended = child.try_wait()?;
            let ready = ended.is_some() || is_ready(port)?;
            Ok(ready.then_some(()))
        })?;
        match ended {
            Some(status) => bail!("the broker ended with {status} before it was ready"),
            None => Ok(()),
        }
    }

    /// Tells what `/readyz` says now.
    ///
    /// # Errors
    /// When nothing answers.
    pub fn is_ready(&self) -> Result<bool> {
        is_ready(self.http_port)
    }

    /// Tells whether the process has not ended.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn runs(&mut self) -> Result<bool> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?.is_none()),
            None => Ok(false),
        }
    }

    /// Kills the process as `kill -9` does, and waits until it is gone.
    ///
    /// # Errors
    /// When it was not running.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the broker is not running")?;
        child.kill().context("cannot kill the broker")?;
        child.wait().context("cannot wait for the killed broker")?;
        Ok(())
    }

    /// Asks the process to stop.
    ///
    /// # Errors
    /// When it is not running.
    pub fn signal_term(&self) -> Result<()> {
        let child = self.child.as_ref().context("the broker is not running")?;
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.context("the broker has no process number")?, Signal::TERM)
            .context("cannot signal the broker")
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_for_end(&mut self) -> Result<ExitStatus> {
        let mut child = self.child.take().context("the broker is not running")?;
        let ended = wait::until("the broker ends", END_WITHIN, || Ok(child.try_wait()?));
        if ended.is_err() {
            self.child = Some(child);
        }
        ended
    }

    /// Asks the process to stop and waits until it has.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal_term()?;
        self.wait_for_end()
    }

    /// All samples of `/metrics`.
    ///
    /// # Errors
    /// When they are not in Prometheus's text format.
    pub fn metrics(&self) -> Result<Vec<Sample>> {
        let answer = http::get(self.http_port, "/metrics")?;
        if answer.status != 200 {
            bail!("/metrics answered {}: {}", answer.status, answer.body);
        }
        metrics::parse(&answer.body)
    }

    /// The sum of a metric's samples over all its labels; 0 where there are none.
    ///
    /// # Errors
    /// When the metrics cannot be read.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let samples = self.metrics()?;
        Ok(samples
            .iter()
            .filter(|sample| sample.name == name)
            .map(|sample| sample.value)
            .sum())
    }

    /// The sample of a metric whose label has this value.
    ///
    /// # Errors
    /// When the metrics cannot be read, or there is none.
    pub fn metric_of(&self, name: &str, label: &str, value: &str) -> Result<f64> {
        let samples = self.metrics()?;
        let has_it =
            |sample: &&Sample| sample.name == name && sample.labels.get(label).is_some_and(|it| it == value);
        let found = samples.iter().find(has_it);
        let found = found.with_context(|| format!("there is no {name} with {label} {value}"))?;
        Ok(found.value)
    }

    /// Everything the process has said, over all its starts.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        let mut text = String::new();
        let mut file = File::open(self.log_path()).context("cannot open the broker's log file")?;
        file.seek(SeekFrom::Start(0))?;
        file.read_to_string(&mut text)
            .context("cannot read the broker's log file")?;
        Ok(text)
    }

    fn log_path(&self) -> PathBuf {
        self.folder
            .as_ref()
            .map_or_else(|| self.data_dir.clone(), |folder| folder.path().to_owned())
            .join("broker.log")
    }

    fn print_log(&self) {
        let log = self.log().unwrap_or_else(|error| format!("{error:#}"));
        let lines: Vec<_> = log.lines().collect();
        let shown = &lines[lines.len().saturating_sub(SHOWN_LINES_MAX)..];
        eprintln!(
            "--- the broker's log, last {} of {} lines",
            shown.len(),
            lines.len()
        );
        shown.iter().for_each(|line| eprintln!("{line}"));
        eprintln!("--- end of the broker's log");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            self.print_log();
            if let Some(folder) = self.folder.take() {
                eprintln!("the broker's files stay in {}", folder.keep().display());
            }
        }
    }
}

fn is_ready(http_port: u16) -> Result<bool> {
    Ok(http::get(http_port, "/readyz")?.status == 200)
}
