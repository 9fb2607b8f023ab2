//! Does with the official client what the lines on standard input say.
//!
//! A line is an object with `id` and `do`; it is answered by one line with the same `id` and either `ok` or `error`.
//! Commands run side by side, so that answers come in the order in which they are ready. The end of the input ends the
//! process.

mod command;
mod driver;
mod failure;
mod messages;
mod named;
mod producers;
mod settings;
mod simple_consumers;
mod wire;

use std::error::Error;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::driver::Driver;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let driver = Arc::new(Driver::default());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let command = serde_json::from_str(&line).map_err(|error| format!("cannot read {line}: {error}"))?;
        tokio::spawn(driver::answer(Arc::clone(&driver), command));
    }
    // Clients left open must not keep the process.
    std::process::exit(0)
}
