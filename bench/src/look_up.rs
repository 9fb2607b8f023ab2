//! Look-ups by key in the data folder of a broker that was stopped.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use sluice_core::hash;
use sluice_store::io::RealIo;
use sluice_store::log::{Identity, LogOptions, random_uuid};
use sluice_store::{CheckpointPolicy, NoObserver, Store, StoreOptions};

use crate::args::LookUpArgs;
use crate::report::{Recorder, Report};

/// Spreads the keys that are asked for: a prime that no likely number of keys shares a factor with.
const STRIDE: u64 = 7_368_787;

/// Runs `look-up`.
///
/// # Errors
/// When the folder is not that of a stopped broker, lacks the topic, or a key finds nothing.
pub fn run(args: &LookUpArgs) -> Result<Report> {
    let store = open(args)?;
    let topic = store
        .tables()
        .topic(&args.topic)
        .with_context(|| format!("topic {} is not in {}", args.topic, args.data_dir.display()))?;
    let mut recorder = Recorder::new()?;
    let mut found = 0;
    let began = Instant::now();
    for number in 0..args.look_ups {
        let key = format!("key-{}", number.wrapping_mul(STRIDE) % args.keys.max(1));
        let asked = Instant::now();
        let places = store.index().find(
            hash::message_key(topic.id, key.as_bytes()),
            0..u64::MAX,
            args.limit,
            None,
        )?;
        recorder.record(asked.elapsed());
        ensure!(
            !places.is_empty(),
            "key {key} of topic {} finds nothing",
            args.topic
        );
        found += places.len() as u64;
    }
    let took = began.elapsed();
    store.close()?;
    let mut report = Report::new("look-up", took);
    report.add("look-up", &recorder);
    report.counts.insert("found", found);
    Ok(report)
}

fn open(args: &LookUpArgs) -> Result<Store> {
    let dir = &args.data_dir;
    ensure!(
        dir.join("log").is_dir(),
        "{} is not a broker's data folder: give the one below --data-dir with the broker's name",
        dir.display()
    );
    let shard = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let identity = Identity {
        cluster: args.cluster_name.clone(),
        shard,
        node: 1,
        uuid: random_uuid()?,
        segment_bytes: 1 << 30,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let options = StoreOptions {
        log: LogOptions::new(dir.clone(), identity),
        checkpoints: CheckpointPolicy {
            bytes: u64::MAX,
            every: Duration::MAX,
        },
        now: u64::try_from(now.as_millis())?,
    };
    // A tool that only reads has nothing to save when the store fails.
    let failed = Arc::new(|reason: String| eprintln!("the store failed: {reason}"));
    Store::open(Arc::new(RealIo::new()), options, Box::new(NoObserver), failed)
        .with_context(|| format!("cannot open the store in {}", dir.display()))
}
