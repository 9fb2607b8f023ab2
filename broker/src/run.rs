//! The broker from start to end: what is opened in which order, and closed in the reverse one.

mod folder;
mod ports;
pub(crate) mod prepare;
mod sockets;

use crate::admin::{self, Admin};
use crate::budget::Budget;
use crate::clients::{self, Clients};
use crate::config::{self, AskError, Asked, Config, FlushMode};
use crate::disk::{self, Disk, FileSystem};
use crate::engine::{
    Clock, Engine, EngineOptions, SystemTime, TimeSource as _, Wakes, checkpoint_policy, tell_of_unread,
};
use crate::http::Health;
use crate::listener::{First, Routes};
use crate::logging::{self, Logging};
use crate::metrics::{Metrics, Sources};
use crate::open_files::Shares;
use crate::retention;
use crate::scrub;
use crate::service::body_max::BodyMax;
use crate::service::{Parts, Service};
use crate::shutdown::{self, Shutdown};
use crate::spans::Spans;
use crate::standstill;
use anyhow::Context as _;
use folder::Folder;
use ports::Ports;
use sluice_core::limits;
use sluice_proto::v2::{self, messaging_service_server::MessagingServiceServer};
use sluice_store::io::RealIo;
use sluice_store::log::{Flush, Identity, LogOptions, random_uuid};
use sluice_store::{Store, StoreOptions};
pub use sockets::Sockets;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinHandle;

/// A configuration that cannot be followed; the same as clap's.
const EXIT_USAGE: u8 = 2;
/// The store failed; what is durable is safe.
const EXIT_STORE: u8 = 3;
/// Running calls may take so long to end when the broker stops.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// A node's number in its log: the only one there is.
const NODE: u64 = 1;
/// What a request may have besides a body of the largest size.
const REQUEST_EXTRA_BYTES: usize = 4 << 20;

/// A running broker.
pub struct Broker {
    grpc: SocketAddr,
    admin: admin::Serving,
    http: SocketAddr,
    engine: Arc<Engine>,
    health: Arc<Health>,
    shutdown: Shutdown,
    spans: Option<Spans>,
    server: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
}

impl Broker {
    /// Starts a broker, on `sockets` where they are at its addresses; it is ready when this returns. `failed` hears of
    /// what the process must not outlive.
    pub async fn start(
        config: Config,
        sockets: Sockets,
        failed: sluice_store::Failed,
    ) -> anyhow::Result<Self> {
        let shares = Shares::of_this_process(config.limits.connections, config.container)?;
        let (health, shutdown) = (Arc::new(Health::default()), Shutdown::default());
        let mut background = Vec::new();
        // Before anything is written.
        let folder = Folder::look(&config.data_dir, &config.broker_name)?;
        let ports = Ports::take(&config, sockets, &shares, &health, &mut background).await?;
        let grpc = ports.clients.address();

        let engine = open_engine(&config, grpc, failed).await?;
        folder.tell();
        let undone = prepare::prepare(&engine, config.init).await?;
        let clients = Arc::new(Clients::at_most(config.limits.clients));
        let metrics = Metrics::new(&config.cluster_name, &config.broker_name, &config.data_dir)?;
        let metrics = Arc::new(metrics);
        let unanswered = Budget::of(config.limits.unanswered_bytes);
        let sources = Sources {
            engine: Arc::clone(&engine),
            clients: Arc::clone(&clients),
            unanswered: Arc::clone(&unanswered),
            bounds: ports.bounds,
            live: Arc::clone(&config.live),
            ports: ports.sources.clone(),
        };
        health.observe(sources, Arc::clone(&metrics));
        let admin_calls = Arc::clone(&metrics.admin);
        let watch = clients::run(Arc::clone(&clients), Arc::clone(&engine), shutdown.clone());
        background.push(tokio::spawn(watch));
        background.push(tokio::spawn(Arc::clone(&engine).follow_checkpoints()));
        // Once before the first send.
        disk::look(&engine).await;
        retention::begin(&engine).await;
        background.extend(upkeep(&engine));
        background.push(tokio::spawn(config::follow_file(Arc::clone(&config.live))));
        background.push(tokio::spawn(undone.follow(Arc::clone(&engine))));
        let endpoint = config.otlp_endpoint.as_deref();
        let spans = endpoint.map(|to| Spans::start(to, &config.cluster_name, &config.broker_name));
        let spans = spans.transpose().context("cannot send spans")?;
        let service = Service::new(Parts {
            spans: spans.clone(),
            body_max: body_max(&engine, config.limits.body_bytes),
            engine: Arc::clone(&engine),
            clients: Arc::clone(&clients),
            metrics,
            shutdown: shutdown.clone(),
            broker_name: config.broker_name,
            advertise: config.advertise,
            unanswered,
        });
        background.push(tokio::spawn(service.follow_changes()));
        let service = client_port(service, &shutdown)?;
        let serving = ports.clients.serve(ports.acceptor, service, shutdown.clone());
        let server = tokio::spawn(serving);
        let admin = Admin::new(admin::Parts {
            engine: Arc::clone(&engine),
            clients,
            live: Arc::clone(&config.live),
            facts: ports.facts,
        });
        let admin = ports.admin.serve(admin, admin_calls, &shutdown)?;
        health.set_ready(true);
        Ok(Self {
            grpc,
            admin,
            http: ports.http,
            engine,
            health,
            shutdown,
            spans,
            server,
            background,
        })
    }

    /// Where clients connect.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc
    }

    /// Where the admin API is.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address
    }

    /// Where health and metrics are.
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// Takes no more calls, lets the running ones end, and closes the store.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.health.set_ready(false);
        self.shutdown.begin();
        self.engine.stop_polls();
        match tokio::time::timeout(DRAIN_MAX, self.server).await {
            Ok(ended) => ended.context("the gRPC server panicked")?,
            Err(_) => tracing::warn!("calls still run after {DRAIN_MAX:?}: they are cut off"),
        }
        // To the end of the stop it tells of it.
        self.admin.stop().await;
        let closed = self.engine.close().await.context("cannot close the store");
        if let Some(spans) = self.spans {
            tokio::task::spawn_blocking(move || spans.stop()).await?;
        }
        // Last of all the one that says to the end that this broker is not ready.
        self.background.iter().for_each(JoinHandle::abort);
        closed
    }
}

/// What the broker does by itself.
fn upkeep(engine: &Arc<Engine>) -> [JoinHandle<()>; 5] {
    let engine = || Arc::clone(engine);
    [
        tokio::spawn(disk::follow(engine())),
        tokio::spawn(retention::follow(engine())),
        tokio::spawn(scrub::follow(engine())),
        tokio::spawn(standstill::follow(engine())),
        tokio::spawn(tell_of_unread(engine())),
    ]
}

/// What the clients' port serves.
fn client_port(
    service: Service,
    stopping: &Shutdown,
) -> anyhow::Result<First<MessagingServiceServer<Service>>> {
    let service = MessagingServiceServer::new(service)
        .max_decoding_message_size(limits::BODY_BYTES_MAX + REQUEST_EXTRA_BYTES)
        .max_encoding_message_size(usize::MAX);
    let first = v2::messaging_service_server::SERVICE_NAME;
    let others = Routes::default().with_the_usual(stopping, &[first])?;
    Ok(First::new(service, others))
}

/// The largest body that is taken; says so where segments bound it.
fn body_max(engine: &Engine, configured: usize) -> BodyMax {
    let max = BodyMax::of(engine.store().log().command_bytes_max(), configured);
    max.tell(configured);
    max
}

/// Opens the store, which reads what the last run left, and the engine over it.
async fn open_engine(
    config: &Config,
    grpc: SocketAddr,
    failed: sluice_store::Failed,
) -> anyhow::Result<Arc<Engine>> {
    let dir = config.data_dir.join(&config.broker_name);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let identity = Identity {
        cluster: config.cluster_name.clone(),
        shard: config.broker_name.clone(),
        node: NODE,
        uuid: random_uuid().context("cannot read random bytes")?,
        segment_bytes: config.segment_bytes,
    };
    let flush = match config.flush {
        FlushMode::Sync => Flush::Sync,
        FlushMode::Async => Flush::asynchronous(),
    };
    let time = SystemTime;
    let options = StoreOptions {
        log: LogOptions {
            flush,
            segment_bytes_given: config.segment_bytes_given,
            inbox_wait: Some(config.limits.send_wait),
            ..LogOptions::new(dir.clone(), identity)
        },
        checkpoints: checkpoint_policy(&config.live.values()),
        now: time.wall_ms(),
        #[cfg(feature = "planted-faults")]
        apply_twice: crate::faults::applies_twice(),
    };
    let wakes = Wakes::new(Handle::current());
    let observer = Box::new(wakes.share());
    #[cfg(not(feature = "planted-faults"))]
    let io = Arc::new(RealIo::new());
    #[cfg(feature = "planted-faults")]
    let io = crate::faults::io(RealIo::new());
    let opened = tokio::task::spawn_blocking(move || Store::open(io, options, observer, failed));
    let store = opened
        .await?
        .with_context(|| format!("cannot open the store in {}", dir.display()))?;
    let options = EngineOptions {
        live: Arc::clone(&config.live),
        store_host: store_host(config, grpc),
        polls_max: config.limits.receives,
        unread: Budget::of(config.limits.unread_bytes),
        disk: Disk::new(FileSystem::of(&dir)),
    };
    Ok(Engine::new(store, Clock::new(Box::new(time)), &wakes, options))
}

/// The address that messages carry as the one of their broker.
fn store_host(config: &Config, grpc: SocketAddr) -> SocketAddr {
    let advertised = config.advertise.as_ref();
    let advertised = advertised.and_then(|at| Some(SocketAddr::new(at.host.parse().ok()?, at.port)));
    let outward = || {
        // Connecting a datagram socket sends nothing: it asks the system which address it would send from.
        let socket = std::net::UdpSocket::bind(SocketAddr::new(grpc.ip(), 0)).ok()?;
        let documentation: SocketAddr = match grpc {
            SocketAddr::V4(_) => ([192, 0, 2, 1], 9).into(),
            SocketAddr::V6(_) => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9).into(),
        };
        socket.connect(documentation).ok()?;
        Some(SocketAddr::new(socket.local_addr().ok()?.ip(), grpc.port()))
    };
    match advertised {
        Some(address) => address,
        None if grpc.ip().is_unspecified() => outward().unwrap_or(grpc),
        None => grpc,
    }
}

/// A panic anywhere ends the process: half a broker would be worse than none.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        std::process::abort();
    }));
}

/// Says why the broker does not start.
fn refuse(error: impl std::error::Error + Send + Sync + 'static) -> ExitCode {
    eprintln!("sluice-broker: {:#}", anyhow::Error::new(error));
    ExitCode::from(EXIT_USAGE)
}

/// Does what the command line asks for: runs a broker, most often.
pub fn from_command_line() -> ExitCode {
    match config::read(std::env::args_os(), std::env::vars_os()) {
        Ok(Asked::Run(config)) => {
            let logging = logging::start(&config.live.values().log, config.log_format);
            abort_on_panic();
            to_the_end(*config, logging)
        }
        Ok(Asked::Show(text)) => match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            // Whoever reads it has seen enough.
            Err(_) => ExitCode::FAILURE,
        },
        Err(AskError::Usage(error)) => error.exit(),
        Err(error) => refuse(error),
    }
}

/// Runs a broker until it is told to stop.
fn to_the_end(config: Config, logging: Logging) -> ExitCode {
    // Before there are other threads.
    let ended = Sockets::of_this_process().and_then(|sockets| {
        let runtime = Builder::new_multi_thread()
            .enable_all()
            .thread_name("serve")
            .build()?;
        runtime.block_on(Box::pin(until_told(config, sockets, logging)))
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", words(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, but for those that it has in its own words already.
fn words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words.extend([": ", &cause]);
        }
    }
    words
}

async fn until_told(config: Config, sockets: Sockets, logging: Logging) -> anyhow::Result<()> {
    tokio::spawn(logging.follow(Arc::clone(&config.live)));
    let mut told = std::pin::pin!(shutdown::requested());
    let begun = Instant::now();
    let data = config.data_dir.join(&config.broker_name);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), data = %data.display(), "starting");
    let mut broker = tokio::select! {
        // What was opened is as it would be after a crash, and the next start takes care of that.
        signal = &mut told => {
            tracing::info!(signal = signal?, "told to stop before it was ready");
            return Ok(());
        }
        started = Broker::start(config, sockets, Arc::new(die)) => started?,
    };
    tracing::info!(
        "ready after {} ms: clients connect to {} with TLS or in plaintext; the admin API is at {}; health and metrics are at http://{}; data is in {}",
        begun.elapsed().as_millis(),
        broker.grpc,
        broker.admin.address,
        broker.http,
        data.display()
    );
    tokio::select! {
        signal = &mut told => tracing::info!(signal = signal?, "stopping: running calls end"),
        ended = &mut broker.server => {
            ended.context("the gRPC server panicked")?;
            anyhow::bail!("the gRPC server ended by itself");
        }
        ended = &mut broker.admin.server => {
            ended.context("the admin server panicked")?;
            anyhow::bail!("the admin server ended by itself");
        }
    }
    broker.stop().await?;
    tracing::info!("stopped");
    Ok(())
}

/// The log cannot go on. Nothing is acknowledged from here on, and the next start finds out what is durable.
fn die(reason: String) {
    tracing::error!(%reason, "the store has failed: the process ends");
    std::process::exit(i32::from(EXIT_STORE));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn an_error_says_each_of_its_causes_once() {
        let source = || io::Error::other("the disk is broken");
        let read = crate::init::InitError::Read {
            path: "a".into(),
            source: source(),
        };
        let error = anyhow::Error::new(read).context("--init cannot be followed");
        assert_eq!(
            words(&error),
            "--init cannot be followed: cannot read a: the disk is broken"
        );
        let said = sluice_store::log::LogError::Io {
            doing: "read",
            path: "a".into(),
            source: source(),
        };
        let error = anyhow::Error::new(said).context("cannot open the store");
        assert_eq!(
            words(&error),
            "cannot open the store: cannot read a: the disk is broken"
        );
    }
}
