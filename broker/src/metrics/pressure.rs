//! How full the broker's bounded queues are, and what it refuses. Every bound is chosen, and what happens at it is counted.

use super::Sources;
use super::page::{Family, Page};
use std::sync::atomic::Ordering;

const QUEUE: &[&str] = &["queue"];

static DEPTH: Family = Family::gauge("sluice_queue_depth", QUEUE, "How much is in a bounded queue");
static LIMIT: Family = Family::gauge("sluice_queue_limit", QUEUE, "How much may be in a bounded queue");
static REJECTIONS: Family = Family::counter(
    "sluice_rejections_total",
    &["reason"],
    "What was refused, by reason",
);
static POLLS: Family = Family::gauge(
    "sluice_polls",
    &[],
    "Receives and pulls that wait or are being served",
);
static WAKEUPS: Family = Family::counter(
    "sluice_poll_wakeups_total",
    &[],
    "Waiting receives and pulls that were woken",
);
static UNREADABLE: Family = Family::counter(
    "sluice_unreadable_messages_total",
    &[],
    "Messages left out of a delivery or a pull because they could not be read",
);
static LOST: Family = Family::counter(
    "sluice_lost_messages_total",
    &["at"],
    "Messages given up because their records are damaged, where they were come to",
);
static UNFLUSHED: Family = Family::gauge(
    "sluice_unflushed_queue_entries",
    &[],
    "Queue entries in memory that the next checkpoint writes",
);

pub(super) fn write(page: &mut Page<'_>, sources: &Sources) {
    let (engine, store) = (&sources.engine, sources.engine.store());
    let [commands, bytes] = store.log().queued();
    let queues = [
        ("log_commands", commands),
        ("log_bytes", bytes),
        ("body_bytes", sources.unanswered.bytes()),
        ("unfinished_bytes", sources.bounds.unfinished.bytes()),
        ("unread_bytes", engine.unread().bytes()),
        ("polls", (engine.polls() as usize, engine.polls_max())),
        ("clients", sources.clients.number()),
    ];
    let depths = queues.map(|(queue, (depth, _))| ([queue], depth as u64));
    let limits = queues.map(|(queue, (_, limit))| ([queue], limit as u64));
    page.few(&DEPTH, depths);
    page.few(&LIMIT, limits);
    let (log, ..) = store.stats();
    let here = [
        ("bodies", sources.unanswered.refused()),
        ("unfinished", sources.bounds.unfinished.refused()),
        ("request", sources.bounds.refused.load(Ordering::Relaxed)),
        ("unread", engine.unread().refused()),
        ("clients", sources.clients.refused()),
    ];
    let reasons = log.refused().chain(engine.refusals().counts()).chain(here);
    page.few(&REJECTIONS, reasons.map(|(reason, count)| ([reason], count)));
    page.single(&POLLS, engine.polls());
    page.single(&WAKEUPS, engine.poll_wakeups());
    page.single(&UNREADABLE, engine.unreadable());
    let lost = [
        ("delivery", engine.lost()),
        ("retention", engine.retention().lost()),
    ];
    page.few(&LOST, lost.map(|(at, count)| ([at], count)));
    page.single(&UNFLUSHED, store.queues().unflushed_entries());
}
