//! The folder that every run begins with: full of what retention gives up at once, but for one message that waits.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sluice_proto::v2;
use tempfile::TempDir;

use super::{HOLDER, OLD, init_yaml};
use crate::binaries;
use crate::client::{Client, Receive, message};
use crate::process::{Broker, Setup};

/// More than a run keeps by more than two segments.
const OLD_SENDS: usize = 160;
const OLD_BODY_BYTES: usize = 12_000;
/// The least that retention can be told to keep.
const KEPT: &str = "1MiB";
/// Longer than any run of a suite.
const HELD_FOR: Duration = Duration::from_secs(11 * 3600);

/// The folder, and the message in its first segment that is in flight.
pub struct Base {
    folder: TempDir,
    pub(super) held: v2::Message,
}

impl Base {
    /// Makes it, with segments and checkpoints of the smallest size.
    ///
    /// # Errors
    /// When a broker does not do as it should.
    pub async fn make() -> Result<Self> {
        let mut broker = small(Setup::new()).start()?;
        let client = Client::new(&broker.endpoint())?;
        let mut held = None;
        for number in 0..OLD_SENDS {
            client.send_ok(message(OLD, vec![b'o'; OLD_BODY_BYTES])).await?;
            if number == 0 {
                let receive = Receive {
                    invisible: HELD_FOR,
                    ..Receive::new(HOLDER, OLD)
                };
                held = client.receive(&receive).await?.messages.pop();
            }
        }
        ensure!(broker.stop()?.success(), "the first broker did not stop well");
        let folder = tempfile::tempdir_in(binaries::scratch().join("system-tests"))?;
        copy(broker.data_dir(), &folder.path().join("data"))?;
        Ok(Self {
            folder,
            held: held.context("the first message was not delivered")?,
        })
    }

    /// A broker over a copy of `data`, which a run over a copy of this folder has left; it is not started. Where it makes
    /// all queue files again it has one checkpoint alone at which the log can begin, and is not to give up what it has: `keeps`.
    ///
    /// # Errors
    /// When the copy cannot be made.
    pub fn stopped_over(&self, data: &Path, keeps: bool) -> Result<Broker> {
        let mut setup = small(Setup::new());
        if !keeps {
            setup = setup.flag("--retention-bytes", KEPT);
        }
        setup.stopped_over(|to| copy(data, to))
    }

    /// Starts a broker over a copy of it.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&self, setup: Setup) -> Result<Broker> {
        let setup = small(setup).flag("--retention-bytes", KEPT);
        setup.start_over(|data| copy(&self.folder.path().join("data"), data))
    }
}

fn small(setup: Setup) -> Setup {
    setup
        .flag("--segment-size", "256KiB")
        .flag("--checkpoint-bytes", "64KiB")
        .flag("--checkpoint-seconds", "1")
        .init(&init_yaml())
}

/// Copies a folder with all that is in it.
///
/// # Errors
/// When the system does not let it.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    ensure!(
        status.context("cannot start cp")?.success(),
        "cannot copy {}",
        from.display()
    );
    Ok(())
}
