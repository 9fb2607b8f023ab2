//! The line-by-line way back to the tests.

use std::io::{Write as _, stdout};

use serde_json::{Value, json};

use crate::failure::Failure;

/// Answers a command. The client logs to standard error, so that nothing else is written between the lines.
pub fn answer(id: u64, outcome: Result<Value, Failure>) {
    let line = match outcome {
        Ok(result) => json!({"id": id, "ok": result}),
        Err(failure) => json!({"id": id, "error": failure.to_string()}),
    };
    let mut out = stdout().lock();
    if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
        eprintln!("cannot answer: {error}");
        std::process::exit(1);
    }
}
