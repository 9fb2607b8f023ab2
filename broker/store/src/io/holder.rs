//! Who holds a lock, as far as the system tells: `/proc/locks` has the process, whose open files say whether it is this lock.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Locks that are looked at; a system with more has its holder go unnamed.
const LOCKS_MAX: usize = 10_000;

/// The error of a lock that another process holds, with the name and number of that process where they can be found out.
pub(super) fn held(error: io::Error, lock: &Path) -> io::Error {
    if error.kind() != io::ErrorKind::WouldBlock {
        return error;
    }
    match holder(lock) {
        Some(holder) => io::Error::new(io::ErrorKind::WouldBlock, holder),
        None => error,
    }
}

fn holder(lock: &Path) -> Option<String> {
    let wanted = fs::metadata(lock).ok()?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let process = candidates(&locks, wanted.ino()).find(|process| {
        let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten();
        let mut files = files.flatten().filter_map(|file| fs::metadata(file.path()).ok());
        files.any(|file| (file.dev(), file.ino()) == (wanted.dev(), wanted.ino()))
    })?;
    let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
    Some(format!("{}, process {process}", name.trim()))
}

/// The processes with a lock of this kind on a file of this number, on whatever device: file systems name theirs differently here.
fn candidates(locks: &str, inode: u64) -> impl Iterator<Item = u32> {
    let inode = inode.to_string();
    locks.lines().take(LOCKS_MAX).filter_map(move |line| {
        // 1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF
        let mut words = line.split_whitespace().skip(1);
        let is_ours = words.next()? == "FLOCK";
        let process = words.nth(2)?.parse().ok()?;
        let of_inode = words.next()?.rsplit(':').next()? == inode;
        (is_ours && of_inode).then_some(process)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_locks_are_read_and_others_are_passed_over() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 08:01:131 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 9 08:01:131 0 EOF\n\
                     3: FLOCK  ADVISORY  READ 12 00:2f:131 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 5 08:01:1131 0 EOF\n\
                     5: FLOCK  ADVISORY  WRITE -1 08:01:131 0 EOF\n\n6:";
        assert_eq!(candidates(locks, 131).collect::<Vec<_>>(), [4711, 12]);
    }
}
