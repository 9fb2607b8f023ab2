//! What comes back from a driver: answers to commands, and reports of push consumers.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::ChildStdout;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use serde_json::Value;

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

/// What has come back so far.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) answers: HashMap<u64, Result<Value, String>>,
    pub(super) events: Vec<Event>,
    pub(super) ended: bool,
}

impl Heard {
    /// Takes line after line until the process ends.
    pub(super) fn listen(&self, output: ChildStdout) {
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
