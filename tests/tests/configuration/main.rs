//! What the broker is told by file, environment and flags, what changes while it runs, and what it logs.
#![cfg(test)]

mod command;
mod layers;
mod live;
mod logs;
mod refusals;

use std::process::{Command, Output};
use std::time::Duration;

use sluice_proto::v2::Code;
use sluice_tests::binaries;
use sluice_tests::client::{Client, code};
use sluice_tests::process::{Broker, LONG};

/// Long enough for a busy machine; the file is looked at every two seconds.
const SOON: Duration = Duration::from_secs(20);

/// Runs the broker's executable with these arguments and variables to its end.
fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(binaries::broker().unwrap())
        .args(arguments)
        .env_remove(LONG)
        .envs(variables.iter().copied())
        .current_dir(folder.path())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a route to a topic that is not there is answered with: it is made on first use, or not.
async fn first_use(broker: &Broker, topic: &str) -> Option<Code> {
    let client = Client::new(&broker.endpoint()).unwrap();
    let route = client.query_route(topic).await.unwrap();
    code(route.status.as_ref())
}
