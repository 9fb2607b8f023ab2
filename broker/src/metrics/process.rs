//! The process as the system sees it, under the names that Prometheus's clients have for it, and what was built.

use super::page::{Family, Page};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use std::fs;

static BUILD: Family = Family::gauge(
    "sluice_build_info",
    &["version", "revision", "rustc"],
    "1, with what was built from what and by what",
);
static CPU: Family = Family::counter(
    "process_cpu_seconds_total",
    &[],
    "Time on processors, user and system",
);
static RESIDENT: Family = Family::gauge(
    "process_resident_memory_bytes",
    &[],
    "Memory in use, file pages included",
);
static VIRTUAL: Family = Family::gauge("process_virtual_memory_bytes", &[], "Address space");
static THREADS: Family = Family::gauge("process_threads", &[], "Threads");
static FILES: Family = Family::gauge("process_open_fds", &[], "Open files");
static FILES_MAX: Family = Family::gauge("process_max_fds", &[], "Files that may be open");
static STARTED: Family = Family::gauge(
    "process_start_time_seconds",
    &[],
    "When the process started, in seconds since 1970",
);

pub(super) fn write(page: &mut Page<'_>) {
    let built = [
        env!("CARGO_PKG_VERSION"),
        env!("BUILT_REVISION"),
        env!("BUILT_RUSTC"),
    ];
    page.few(&BUILD, [(built, 1_u64)]);
    // What the system does not tell is left out.
    if let Some(stat) = fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|text| Stat::parse(&text))
    {
        let ticks = clock_ticks_per_second() as f64;
        page.single(&CPU, stat.cpu_ticks as f64 / ticks);
        page.single(&RESIDENT, stat.resident_pages * page_size() as u64);
        page.single(&VIRTUAL, stat.virtual_bytes);
        page.single(&THREADS, stat.threads);
        if let Some(booted) = boot_time() {
            page.single(&STARTED, booted as f64 + stat.start_ticks as f64 / ticks);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The folder that is being read is one of them.
        page.single(&FILES, (open.count() as u64).saturating_sub(1));
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        page.single(&FILES_MAX, most);
    }
}

/// Of `/proc/self/stat`: see proc(5).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the name in parentheses, which can hold anything; the next one is number 3.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// In seconds since 1970.
fn boot_time() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_s_line_is_read_whatever_the_process_is_called() {
        let line = "7 (a) b (c) S 1 7 7 0 -1 4194304 5 0 0 0 150 50 0 0 20 0 9 0 12345 1048576 25 18446744073709551615 1";
        let stat = Stat {
            cpu_ticks: 200,
            threads: 9,
            start_ticks: 12345,
            virtual_bytes: 1_048_576,
            resident_pages: 25,
        };
        assert_eq!(Stat::parse(line), Some(stat));
        assert_eq!(Stat::parse("7 (a) S 1"), None);
    }

    #[test]
    fn this_process_is_seen() {
        let text = fs::read_to_string("/proc/self/stat").unwrap();
        let stat = Stat::parse(&text).unwrap();
        assert!(stat.threads >= 1 && stat.resident_pages > 0 && stat.virtual_bytes > 0);
        assert!(boot_time().unwrap() > 1_500_000_000);
    }
}
