//! What the commands that open a client have in common.

use std::time::Duration;

use rocketmq::conf::ClientOption;
use serde_json::{Value, json};

use crate::command::Command;
use crate::failure::Failure;

/// The connection: what a command leaves out stays as the client has it by default, plaintext among it.
pub fn connection(command: &Command) -> Result<ClientOption, Failure> {
    if !command.namespace.is_empty() {
        return Err(Failure::unsupported("the client has no option for a namespace"));
    }
    let mut option = ClientOption::default();
    option.set_access_url(&command.endpoints);
    if let Some(ssl) = command.ssl {
        option.set_enable_tls(ssl);
    }
    if let Some(ms) = command.request_timeout_ms {
        option.set_timeout(Duration::from_millis(ms));
    }
    if let Some(ms) = command.await_ms {
        option.set_long_polling_timeout(Duration::from_millis(ms));
    }
    Ok(option)
}

/// The versions of the client and of Rust.
pub fn versions() -> Result<Value, Failure> {
    // The client does not tell.
    let packages = include_str!("../Cargo.lock").split("[[package]]");
    let version = packages
        .filter(|package| package.contains("\nname = \"rocketmq\"\n"))
        .flat_map(str::lines)
        .find_map(|line| line.strip_prefix("version = "));
    let version = version.ok_or_else(|| Failure::invalid("no client is locked"))?;
    Ok(json!({"client": version.trim_matches('"'), "rust": env!("RUSTC_VERSION")}))
}
