//! A Prometheus that scrapes brokers: Debian's, over a folder of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{binaries, http, ports, wait};

const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running Prometheus; dropping it ends it.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    port: u16,
    folder: TempDir,
}

/// One sample of an answer: its labels, and its value now.
pub type Answered = (BTreeMap<String, String>, f64);

impl Prometheus {
    /// Starts one with this configuration and waits until it answers.
    ///
    /// # Errors
    /// When it is not installed, or does not like the configuration: its log is in the error then.
    pub fn start(configuration: &str) -> Result<Self> {
        let base = binaries::scratch().join("system-tests");
        std::fs::create_dir_all(&base)?;
        let folder = TempDir::with_prefix_in("prometheus-", &base)?;
        let (file, data) = (folder.path().join("prometheus.yaml"), folder.path().join("data"));
        std::fs::write(&file, configuration)?;
        let log = File::create(folder.path().join("log"))?;
        let port = ports::free()?;
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start prometheus: install Debian's package prometheus")?;
        let mut started = Self { child, port, folder };
        let ready = started.wait_until_ready();
        ready.with_context(|| started.log())?;
        Ok(started)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        wait::until("Prometheus answers", READY_WITHIN, || {
            let ended = self.child.try_wait()?;
            let ready = ended.is_some() || http::get(self.port, "/-/ready")?.status == 200;
            Ok(ready.then_some(()))
        })?;
        match self.child.try_wait()? {
            Some(status) => bail!("Prometheus ended with {status}"),
            None => Ok(()),
        }
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The samples of a query now.
    ///
    /// # Errors
    /// When Prometheus refuses it; its reason is in the error then.
    pub fn query(&self, query: &str) -> Result<Vec<Answered>> {
        let answer = self.get(&format!("/api/v1/query?query={}", encoded(query)))?;
        let samples = answer["data"]["result"].as_array().context("no samples")?;
        samples.iter().map(sample).collect()
    }

    /// The sum of a query's samples; nothing where there are none.
    ///
    /// # Errors
    /// As [`Prometheus::query`].
    pub fn sum(&self, query: &str) -> Result<Option<f64>> {
        let samples = self.query(query)?;
        let values = samples.iter().map(|(_, value)| value);
        Ok((!samples.is_empty()).then(|| values.sum()))
    }

    /// Every rule by its name, with the error of its last evaluation; empty before its first.
    ///
    /// # Errors
    /// When Prometheus does not say.
    pub fn rules(&self) -> Result<Vec<(String, String)>> {
        let answer = self.get("/api/v1/rules")?;
        let groups = answer["data"]["groups"].as_array().context("no groups")?;
        let rules = groups
            .iter()
            .filter_map(|group| group["rules"].as_array())
            .flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(rules
            .map(|rule| (text(&rule["name"]), text(&rule["lastError"])))
            .collect())
    }

    fn get(&self, path: &str) -> Result<Value> {
        let answer = http::get(self.port, path)?;
        let body: Value =
            serde_json::from_str(&answer.body).with_context(|| format!("not JSON: {:?}", answer.body))?;
        ensure!(body["status"] == "success", "{path}: {}", body["error"]);
        Ok(body)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- Prometheus's log\n{}--- end of Prometheus's log", self.log());
        }
    }
}

fn sample(sample: &Value) -> Result<Answered> {
    let labels = sample["metric"].as_object().context("no labels")?;
    let labels = labels
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
    let value = sample["value"][1].as_str().context("no value")?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number
            .parse()
            .with_context(|| format!("{number:?} is no number"))?,
    };
    Ok((labels.collect(), value))
}

/// As a part of a URL's query.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_encoded_byte_by_byte() {
        assert_eq!(encoded("a{b=\"ü\"} > 1"), "a%7Bb%3D%22%C3%BC%22%7D%20%3E%201");
    }
}
