//! The disk, and the marks on it.

use super::page::{Family, Page};
use super::storage::{LOCAL_DISK, STORAGE};
use crate::disk::{MARKS, REFUSALS, word};
use crate::engine::Engine;
use rustix::fs::statvfs;
use std::path::{Path, PathBuf};

const MARK: &[&str] = &["mark"];

static SIZE: Family = Family::gauge(
    "rocketmq_storage_size_bytes",
    STORAGE,
    "Bytes in use on the file system of the data folder, by whomever",
);
static DISK_FREE: Family = Family::gauge(
    "sluice_data_disk_free_bytes",
    &[],
    "Bytes of the data folder's file system that the broker can still use",
);
static DISK_TOTAL: Family = Family::gauge(
    "sluice_data_disk_total_bytes",
    &[],
    "Bytes of the data folder's file system",
);
static DISK_FULL: Family = Family::gauge(
    "sluice_data_disk_full",
    &[],
    "1 while messages are refused because the disk is full",
);
static REFUSES: Family = Family::gauge(
    "sluice_data_refuses_messages",
    &["reason"],
    "1 while messages are refused for want of something that the system gives, by what that is",
);

static USED: Family = Family::gauge(
    "sluice_data_disk_used_ratio",
    &[],
    "How full the disk is, from 0 to 1, as df counts it and the marks see it",
);
static LEVEL: Family = Family::gauge(
    "sluice_data_disk_level",
    &[],
    "Which marks hold: 0 none, 1 early retention, 2 forced retention, 3 sends are refused",
);
static MARK_AT: Family = Family::gauge(
    "sluice_data_disk_mark_ratio",
    MARK,
    "Where each mark is, from 0 to 1; 0 for one that is turned off",
);
static REACHED: Family = Family::counter(
    "sluice_data_disk_marks_reached_total",
    MARK,
    "How often each mark was reached",
);

/// Where the disk is.
#[derive(Debug)]
pub(super) struct Disk {
    data_dir: PathBuf,
}

impl Disk {
    pub(super) fn new(data_dir: &Path) -> Self {
        let data_dir = data_dir.to_path_buf();
        Self { data_dir }
    }

    pub(super) fn write(&self, page: &mut Page<'_>, engine: &Engine) {
        let (holding, usage) = engine.disk().seen();
        let refusal = engine.store().log().refusal();
        let holds = |reason: &str| {
            u64::from(
                refusal
                    .as_ref()
                    .is_some_and(|refusal| word(&refusal.why) == reason),
            )
        };
        page.single(&DISK_FULL, holds("disk_full") + holds("disk_nearly_full"));
        page.few(&REFUSES, REFUSALS.map(|reason| ([reason], holds(reason))));
        page.single(&USED, usage.ratio());
        page.single(&LEVEL, holding.level());
        let marks = engine.live().values().marks;
        let marks = [marks.early, marks.forced, marks.refuse].map(|mark| mark.unwrap_or(0) as f64 / 100.0);
        page.few(
            &MARK_AT,
            MARKS.into_iter().zip(marks).map(|(mark, at)| ([mark], at)),
        );
        page.few(
            &REACHED,
            engine.disk().reached().map(|(mark, count)| ([mark], count)),
        );
        // A file system that does not answer has no figures.
        if let Ok(disk) = statvfs(&self.data_dir) {
            let (total, free) = (disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize);
            let used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize;
            page.single(&DISK_TOTAL, total);
            page.single(&DISK_FREE, free);
            page.few(&SIZE, [(LOCAL_DISK, used)]);
        }
    }
}
