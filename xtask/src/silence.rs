//! A program that says nothing for too long hangs: it is ended, so that a run names it and goes on.

use std::fs;
use std::io::Read;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Hands on what `from` says, piece by piece as it comes, until it ends. Fails where nothing came for `longest`.
pub fn pass_on(
    mut from: impl Read + Send + 'static,
    longest: Duration,
    mut to: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let (pieces, said) = mpsc::sync_channel::<Vec<u8>>(64);
    // Where it hangs this thread outlives the call: it ends with the last process that holds the pipe.
    std::thread::spawn(move || {
        let mut piece = [0; 8192];
        while let Ok(length @ 1..) = from.read(&mut piece) {
            if pieces.send(piece[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    loop {
        match said.recv_timeout(longest) {
            Ok(piece) => to(&piece)?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => bail!("nothing was heard of it for {} s", longest.as_secs()),
        }
    }
}

/// Kills a process with all that descend from it.
pub fn kill_with_descendants(process: u32) -> Result<()> {
    let parents = parents().context("cannot list the processes")?;
    let mut family = vec![process];
    let mut at = 0;
    while let Some(&parent) = family.get(at) {
        family.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(child, _)| *child),
        );
        at += 1;
    }
    let mut kill = Command::new("kill");
    kill.arg("-KILL").args(family.iter().map(u32::to_string));
    // Some may have ended by themselves meanwhile, of which it complains.
    kill.output().context("cannot start `kill`")?;
    Ok(())
}

/// (process, its parent)
fn parents() -> Result<Vec<(u32, u32)>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Ok(process) = name.parse() else { continue };
        // It may be gone by now.
        let Ok(stat) = fs::read_to_string(path.join("stat")) else {
            continue;
        };
        // `pid (name) state parent …`, where the name may hold anything.
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        parents.extend(parent.map(|parent| (process, parent)));
    }
    Ok(parents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;
    use std::time::Instant;

    /// Passes on what a script says, and then kills it with its family; answers its words and how it went.
    fn heard(script: &str, longest: Duration) -> (String, Result<()>) {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut words = Vec::new();
        let ended = pass_on(child.stdout.take().unwrap(), longest, |piece| {
            words.extend_from_slice(piece);
            Ok(())
        });
        kill_with_descendants(child.id()).unwrap();
        child.wait().unwrap();
        (String::from_utf8(words).unwrap(), ended)
    }

    #[test]
    fn what_ends_by_itself_is_heard_whole() {
        let (words, ended) = heard("echo one; printf two", Duration::from_secs(60));
        assert_eq!(words, "one\ntwo");
        ended.unwrap();
    }

    #[test]
    fn what_falls_silent_is_named_and_its_descendants_are_killed() {
        // The grandchild's parent names it, and waits.
        let (words, ended) = heard("(sleep 1000 & echo $!; wait) | cat", Duration::from_secs(2));
        assert!(ended.unwrap_err().to_string().contains("for 2 s"));
        let grandchild = words.trim();
        let stat = || fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
        let began = Instant::now();
        while !(stat().is_empty() || stat().contains(") Z ")) {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "it still runs: {}",
                stat()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
