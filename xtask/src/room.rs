//! Room on the disk for the suites.

use anyhow::{Result, bail};
use std::path::Path;

const GIB: u64 = 1 << 30;
/// Room that the suites are given for what they write at one time, images and nodes with it.
const SUITES: u64 = 8 * GIB;
/// Brokers as they are shipped take no messages on a disk that is fuller, in percent: `refuseSendsPercent`.
const REFUSES: u64 = 90;

/// Fails where the suites would fill the disk that `folder` is on so far that brokers refuse messages.
pub fn check(folder: &Path) -> Result<()> {
    let system = rustix::fs::statvfs(folder)?;
    let bytes = |blocks: u64| blocks.saturating_mul(system.f_frsize);
    let used = bytes(system.f_blocks.saturating_sub(system.f_bfree));
    judge(used, used + bytes(system.f_bavail), folder)
}

fn judge(used: u64, size: u64, folder: &Path) -> Result<()> {
    let mark = size / 100 * REFUSES;
    let needed = (used + SUITES).saturating_sub(mark);
    if needed > 0 {
        bail!(
            "the disk of {} is {} % full, brokers take no messages on one that is fuller than {REFUSES} %, and the suites need {} GiB: \
             make room for {} GiB more",
            folder.display(),
            used * 100 / size.max(1),
            SUITES / GIB,
            needed.div_ceil(GIB)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suites_end_before_the_mark_at_which_brokers_refuse_messages() {
        let folder = Path::new("target");
        assert!(judge(82 * GIB, 100 * GIB, folder).is_ok());
        let error = judge(84 * GIB, 100 * GIB, folder).unwrap_err().to_string();
        assert!(error.contains("84 % full"), "{error}");
        assert!(error.contains("make room for 2 GiB"), "{error}");
    }
}
