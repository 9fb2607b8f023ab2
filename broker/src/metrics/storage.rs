//! Log, syncs, apply, retention and checkpoints.

use super::page::{Family, Page};
use crate::disk::Bounds;
use crate::engine::Engine;
use crate::retention::share;
use sluice_store::Store;
use sluice_store::scrub::Kind;

pub(super) const STORAGE: &[&str] = &["storage_type", "storage_medium"];
/// The labels of RocketMQ's storage metrics.
pub(super) const LOCAL_DISK: [&str; 2] = ["local", "disk"];
const MICROS: f64 = 1e6;

static FLUSH_BEHIND: Family = Family::gauge(
    "rocketmq_storage_flush_behind_bytes",
    STORAGE,
    "Bytes written to the log and not synced",
);
static DISPATCH_BEHIND: Family = Family::gauge(
    "rocketmq_storage_dispatch_behind_bytes",
    STORAGE,
    "Bytes written to the log and not applied",
);
static WRITTEN: Family = Family::gauge("sluice_log_written_bytes", &[], "Bytes ever written to the log");
static DURABLE: Family = Family::gauge(
    "sluice_log_durable_bytes",
    &[],
    "Bytes of the log that are synced",
);
static LOG_SIZE: Family = Family::gauge("sluice_log_size_bytes", &[], "Bytes of the log that are kept");
static SEGMENTS: Family = Family::gauge("sluice_log_segments", &[], "Files of the log");
static RETENTION: Family = Family::gauge(
    "sluice_retention_seconds",
    &[],
    "How long messages are kept, consumed or not",
);
static RETENTION_BYTES: Family = Family::gauge(
    "sluice_retention_bytes",
    &[],
    "How much log is kept, consumed or not; 0 without a bound",
);
static SIZE_LIMIT: Family = Family::gauge(
    "sluice_retention_size_limit_bytes",
    &[],
    "How large the log may become before its oldest goes, read or not: retentionBytes, or what others leave of the disk; absent without a bound",
);
static BLOCKED: Family = Family::gauge(
    "sluice_retention_blocked",
    &[],
    "1 while the log keeps more than it should, because too much of it waits, or because looks of retention fail",
);
static SCRUBBED: Family = Family::counter(
    "sluice_scrub_bytes_total",
    &[],
    "Bytes of files that were read again to find damage",
);
static SCRUB_ROUNDS: Family = Family::counter(
    "sluice_scrub_rounds_total",
    &[],
    "How often all files were read again",
);
static SCRUB_FINDINGS: Family = Family::counter(
    "sluice_scrub_findings_total",
    &["file"],
    "Damage that was found by it, by the kind of file",
);
static CARRIED: Family = Family::counter(
    "sluice_retention_carried_records_total",
    &[],
    "Records written again at the log's end because their messages wait",
);
static CARRIED_BYTES: Family = Family::counter(
    "sluice_retention_carried_bytes_total",
    &[],
    "Bytes of log that these took",
);
static CARRIED_NOW: Family = Family::gauge(
    "sluice_retention_carried_messages",
    &[],
    "Places in queues at which such messages stand now",
);
static FRAMES: Family = Family::counter("sluice_log_frames_total", &[], "Frames written, one a batch");
static GROUP_BYTES: Family = Family::histogram(
    "sluice_log_group_bytes",
    &[],
    "Groups of frames by their bytes: one write and one sync each",
);
static BATCH_COMMANDS: Family = Family::histogram(
    "sluice_log_batch_commands",
    &[],
    "Batches by the number of their commands",
);
static SYNC: Family = Family::histogram(
    "sluice_log_sync_duration_seconds",
    &[],
    "Syncs of the log by the time they took",
);
static APPLY: Family = Family::histogram(
    "sluice_apply_duration_seconds",
    &[],
    "Rounds of the applier by the time they took",
);
static APPLIED: Family = Family::counter(
    "sluice_apply_commands_total",
    &[],
    "Commands applied, those of the start's replay included",
);
static APPLY_BEHIND: Family = Family::gauge(
    "sluice_apply_behind_frames",
    &[],
    "Frames committed and not applied",
);
static CHECKPOINTS: Family = Family::counter("sluice_checkpoints_total", &[], "Checkpoints written");
static NOT_WRITTEN: Family = Family::counter(
    "sluice_checkpoints_not_written_total",
    &[],
    "Checkpoints that did not fit the disk; the next one makes up for them",
);
static CHECKPOINT_TIME: Family = Family::histogram(
    "sluice_checkpoint_duration_seconds",
    &[],
    "Checkpoints by the time they took",
);
static CHECKPOINT_FREEZE: Family = Family::histogram(
    "sluice_checkpoint_apply_pause_seconds",
    &[],
    "Pauses of the applier for a checkpoint, while state is frozen and handed to the thread that writes it, by the time they took",
);
static CHECKPOINT_SIZE: Family = Family::gauge(
    "sluice_checkpoint_size_bytes",
    &[],
    "Bytes written for the newest checkpoint; 0 before the first",
);
static CHECKPOINT_STATE: Family = Family::gauge(
    "sluice_checkpoint_state_bytes",
    &[],
    "Bytes of all that the newest checkpoint is made of; 0 before the first",
);
static CHECKPOINT_AGE: Family = Family::gauge(
    "sluice_checkpoint_age_seconds",
    &[],
    "Time since the newest checkpoint, or since the start before the first",
);
static CHECKPOINT_BEHIND: Family = Family::gauge(
    "sluice_checkpoint_behind_bytes",
    &[],
    "Bytes of log behind the newest checkpoint: what a start would replay",
);
pub(super) fn write(page: &mut Page<'_>, engine: &Engine) {
    let store = engine.store();
    log(page, store);
    retention(page, engine);
    scrub(page, engine);
    apply(page, store);
    checkpoints(page, store);
}

fn log(page: &mut Page<'_>, store: &Store) {
    let (stats, applying, _) = store.stats();
    let positions = store.log().positions();
    // In this order, so that none of them is ahead of the next.
    let applied = applying.applied_to().0;
    let durable = positions.durable().0;
    let written = positions.written().0;
    let behind = [
        (&FLUSH_BEHIND, written.saturating_sub(durable)),
        (&DISPATCH_BEHIND, written.saturating_sub(applied)),
    ];
    for (family, behind) in behind {
        page.few(family, [(LOCAL_DISK, behind)]);
    }
    page.single(&WRITTEN, written);
    page.single(&DURABLE, durable);
    page.single(&LOG_SIZE, written.saturating_sub(store.log().start().0));
    page.single(&SEGMENTS, store.log().segments() as u64);
    let batches = stats.frame_commands.read();
    page.single(&FRAMES, batches.count);
    page.single_histogram(&BATCH_COMMANDS, &batches, 1.0);
    page.single_histogram(&GROUP_BYTES, &stats.group_bytes.read(), 1.0);
    page.single_histogram(&SYNC, &stats.sync_micros.read(), MICROS);
}

fn retention(page: &mut Page<'_>, engine: &Engine) {
    let values = engine.live().values();
    page.single(&RETENTION, values.retention.as_secs());
    page.single(&RETENTION_BYTES, values.retention_bytes.unwrap_or(0));
    let (_, usage) = engine.disk().seen();
    let room = Bounds::room(usage, &values.marks, share(engine.store()));
    let bounds = values.retention_bytes.into_iter().chain(room);
    page.few(&SIZE_LIMIT, bounds.min().map(|bytes| ([], bytes)));
    let stats = engine.retention();
    let (records, bytes) = stats.carried();
    page.single(&BLOCKED, u64::from(stats.is_blocked() || stats.has_failed()));
    page.single(&CARRIED, records);
    page.single(&CARRIED_BYTES, bytes);
    page.single(&CARRIED_NOW, engine.tables().carried_len() as u64);
}

fn scrub(page: &mut Page<'_>, engine: &Engine) {
    let stats = engine.scrub();
    page.single(&SCRUBBED, stats.bytes());
    page.single(&SCRUB_ROUNDS, stats.rounds());
    // The writer of checkpoints comes to what is gone of them too, and sooner.
    let gone = engine.store().stats().2.gone();
    let found = |(file, count)| {
        let of_writer = if file == Kind::Checkpoint.name() { gone } else { 0 };
        ([file], count + of_writer)
    };
    page.few(&SCRUB_FINDINGS, stats.findings().map(found));
}

fn apply(page: &mut Page<'_>, store: &Store) {
    let (_, stats, _) = store.stats();
    let positions = store.log().positions();
    let applied = positions.applied().0;
    page.single(&APPLY_BEHIND, positions.committed().0.saturating_sub(applied));
    page.single(&APPLIED, stats.commands());
    page.single_histogram(&APPLY, &stats.round_micros.read(), MICROS);
}

fn checkpoints(page: &mut Page<'_>, store: &Store) {
    let (_, applying, stats) = store.stats();
    let newest = stats.newest();
    let written = store.log().positions().written().0;
    page.single(&CHECKPOINTS, stats.written());
    page.single(&NOT_WRITTEN, stats.not_written());
    page.single(&CHECKPOINT_SIZE, newest.bytes);
    page.single(&CHECKPOINT_STATE, newest.state_bytes);
    page.single(&CHECKPOINT_AGE, newest.since.elapsed().as_secs_f64());
    page.single(&CHECKPOINT_BEHIND, written.saturating_sub(newest.position.0));
    page.single_histogram(&CHECKPOINT_TIME, &stats.micros.read(), MICROS);
    page.single_histogram(&CHECKPOINT_FREEZE, &applying.freeze_micros.read(), MICROS);
}
