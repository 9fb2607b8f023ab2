//! Connections on which nothing happens: what they cost a server, and what they take from others.

use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, stdin};

use crate::args::IdleArgs;
use crate::client::connect;

/// Opens the connections of `idle` and holds them until its standard input ends.
///
/// # Errors
/// When one of them cannot be opened.
pub async fn run(args: &IdleArgs) -> Result<()> {
    raise_open_files();
    let clients = connect(&args.target).await?;
    println!("holding {} connections until the input ends", clients.len());
    let mut nothing = [0; 1 << 10];
    let mut input = stdin();
    while input
        .read(&mut nothing)
        .await
        .context("cannot read standard input")?
        > 0
    {}
    Ok(())
}

/// Many systems grant 1,024 until they are asked. What they refuse shows in the connections.
fn raise_open_files() {
    let granted = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: granted.maximum,
        ..granted
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        eprintln!("the limit on open files stays as it is: {error}");
    }
}
