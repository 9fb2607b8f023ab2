//! An engine over files that outlive it, with bounds of a test's choice.

use super::*;

/// An engine over what is in these files.
pub(super) fn open(io: &FaultyIo, clock: &Arc<Hand>, bounds: impl FnOnce(&mut LogOptions)) -> Arc<Engine> {
    open_by(io, Box::new(Hands(Arc::clone(clock))), bounds)
}

/// As [`open`], by a clock of the test's own.
pub(super) fn open_by(
    io: &FaultyIo,
    time: Box<dyn TimeSource>,
    bounds: impl FnOnce(&mut LogOptions),
) -> Arc<Engine> {
    let identity = Identity {
        cluster: "c".into(),
        shard: "broker-a".into(),
        node: 1,
        uuid: ShardUuid([1; 16]),
        segment_bytes: 1 << 20,
    };
    let mut log = LogOptions::new("/data/broker-a".into(), identity);
    bounds(&mut log);
    let checkpoints = CheckpointPolicy {
        bytes: 1 << 20,
        every: Duration::from_secs(3600),
    };
    let options = StoreOptions {
        log,
        checkpoints,
        now: 1,
    };
    let wakes = Wakes::new(Handle::current());
    let failed = Arc::new(|reason| panic!("the store failed: {reason}"));
    let store = Store::open(Arc::new(io.clone()), options, Box::new(wakes.share()), failed).unwrap();
    let options = EngineOptions {
        live: Arc::default(),
        store_host: "127.0.0.1:8081".parse().unwrap(),
        polls_max: 2_000,
        unread: Budget::of(64 << 20),
        disk: Disk::new(Planted::default()),
    };
    Engine::new(store, Clock::new(time), &wakes, options)
}

pub(super) fn one_queue(name: &str) -> CreateTopic {
    CreateTopic {
        name: name.into(),
        queues: 1,
        types: Types::ALL,
    }
}

pub(super) fn outgoing<'m>(body: &'m str, message_group: Option<&'m str>) -> Outgoing<'m> {
    Outgoing {
        tag: None,
        message_group,
        properties: b"",
        body: body.as_bytes(),
        born_ms: 1,
        born_host: "127.0.0.1:9".parse().unwrap(),
    }
}

/// What is ready for the group `g` of the topic `t`, with deliveries that are renewed.
pub(super) async fn receive(engine: &Arc<Engine>) -> Result<Vec<Received>, EngineError> {
    receive_of(engine, "g").await
}

/// The same for a group by choice.
pub(super) async fn receive_of(engine: &Arc<Engine>, group: &str) -> Result<Vec<Received>, EngineError> {
    let ask = Receive {
        group: engine.group(group).await?,
        topic: engine.topic("t").await?,
        client: Arc::from("client"),
        filter: Arc::new(TagFilter::default()),
        max: 32,
        invisible_ms: sluice_core::limits::AUTO_RENEW_MS_MAX,
        auto_renew: true,
        attempt_id: 0,
        deadline: Instant::now(),
    };
    Ok(engine.receive(ask).await?.collect())
}
