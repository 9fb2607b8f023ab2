//! The build of the programs beside everything else that a run does first.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, anyhow};

use super::programs;
use crate::run::Run;
use crate::workspace;

/// A build that has begun.
pub struct Building {
    thread: JoinHandle<Result<PathBuf>>,
    log: PathBuf,
}

impl Building {
    /// Begins; what is said about it goes to a file meanwhile.
    pub fn begin() -> Result<Self> {
        let target = workspace::target()?;
        fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
        let log = target.join("kube-programs.log");
        let file = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        println!(
            "the programs of Kubernetes are built meanwhile, if they are not there: {}",
            log.display()
        );
        let thread = thread::spawn(move || programs::built(&Mutex::new(file)));
        Ok(Self { thread, log })
    }

    /// Waits for the end as a step of the run; gives the folder if all is there.
    pub fn finish(self, run: &mut Run) -> Option<PathBuf> {
        let mut folder = None;
        run.build("the programs of Kubernetes", || {
            let built = self.thread.join();
            print!("{}", fs::read_to_string(&self.log).unwrap_or_default());
            folder = Some(built.map_err(|_| anyhow!("the build came to an end without a word"))??);
            Ok(())
        });
        folder
    }
}
