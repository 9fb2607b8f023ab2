//! What the disk under a folder says of itself.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Writes that the disk has done since the machine started, and how long they took in all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Writes {
    pub count: f64,
    pub ms: f64,
}

impl Writes {
    /// How long one took on average since `before`; `None` if there was none.
    pub fn each_ms(self, before: Self) -> Option<f64> {
        let count = self.count - before.count;
        (count > 0.0).then(|| (self.ms - before.ms) / count)
    }
}

/// Those of the disk that holds a folder; `None` where the system counts none for it, as for a file system in memory.
pub fn writes_under(folder: &Path) -> Result<Option<Writes>> {
    let device = fs::metadata(folder).with_context(|| format!("cannot look at {}", folder.display()))?;
    let stats = fs::read_to_string("/proc/diskstats").context("cannot read /proc/diskstats")?;
    Ok(writes_of(numbers(device.dev()), &stats))
}

/// Major and minor number, as the C library takes them apart.
fn numbers(device: u64) -> (u64, u64) {
    let major = (device >> 8 & 0xfff) | (device >> 32 & !0xfff);
    let minor = (device & 0xff) | (device >> 12 & !0xff);
    (major, minor & 0xffff_ffff)
}

/// The fields are those of the kernel's Documentation/admin-guide/iostats.rst.
fn writes_of((major, minor): (u64, u64), stats: &str) -> Option<Writes> {
    stats.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = fields.first()?.parse() == Ok(major) && fields.get(1)?.parse() == Ok(minor);
        let number = |at: usize| fields.get(at)?.parse().ok();
        is_it
            .then(|| {
                Some(Writes {
                    count: number(7)?,
                    ms: number(10)?,
                })
            })
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATS: &str = " 253       0 vda 10 1 80 5 2000 7 16000 140 0 90 145 3 0 24 1 600 20\n   8      17 sdb1 1 2 3 4 5 6 7 8 9 10 11\n";

    #[test]
    fn a_disk_is_found_by_its_numbers() {
        let writes = |count, ms| Some(Writes { count, ms });
        assert_eq!(writes_of((253, 0), STATS), writes(2000.0, 140.0));
        assert_eq!(writes_of((8, 17), STATS), writes(5.0, 8.0));
        assert_eq!(writes_of((8, 1), STATS), None);
        assert_eq!(writes_of((8, 17), "8 17 sdb1 1 2"), None);
    }

    #[test]
    fn numbers_of_a_device_are_taken_apart() {
        assert_eq!(numbers(0xfd00), (253, 0));
        assert_eq!(numbers(8 << 8 | 17), (8, 17));
        assert_eq!(numbers(0x0010_0801), (8, 0x101));
    }

    #[test]
    fn the_time_of_a_write_is_that_of_those_since() {
        let (before, after) = (
            Writes { count: 10.0, ms: 5.0 },
            Writes {
                count: 30.0,
                ms: 15.0,
            },
        );
        assert_eq!(after.each_ms(before), Some(0.5));
        assert_eq!(after.each_ms(after), None);
    }
}
