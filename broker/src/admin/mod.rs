//! The admin API, `sluice.admin.v1`: what operators ask and change, on a port of its own. Each call checks, has the engine
//! do it, and encodes the answer. One call a file.

mod answered;
mod audit;
mod broker;
mod clients;
pub mod convert;
mod groups;
mod guard;
mod messages;
pub mod page;
mod port;
mod reason;
pub mod status;
mod topics;

pub use broker::Facts;
pub use port::{Port, Serving};

use crate::clients::{Clients, Insight};
use crate::config::Live;
use crate::engine::find::Finder;
use crate::engine::{Engine, EngineError};
use crate::listener::Routes;
use crate::service::validate;
use crate::shutdown::Shutdown;
use guard::Guarded;
use sluice_core::state::{Group, Topic};
use sluice_proto::admin::broker_service_server::BrokerServiceServer;
use sluice_proto::admin::client_service_server::ClientServiceServer;
use sluice_proto::admin::group_service_server::GroupServiceServer;
use sluice_proto::admin::message_service_server::MessageServiceServer;
use sluice_proto::admin::topic_service_server::TopicServiceServer;
use status::{Failure, Wrong};
use std::sync::Arc;
use tokio::sync::{RwLock, Semaphore};
use tonic::{Response, Status};

/// Looks at backlogs, offsets and messages at one time: each takes a thread, since it reads files.
const LOOKS_MAX: usize = 4;

/// Queues of an answer about all topics of a group: some megabytes.
const ANSWERED_QUEUES_MAX: usize = 16_384;

type Answered<T> = Result<Response<T>, Status>;
type Outcome<T> = Result<T, Failure>;

/// What the admin API is made from.
pub struct Parts {
    /// The use cases.
    pub engine: Arc<Engine>,
    /// The clients.
    pub clients: Arc<Clients>,
    /// The configuration.
    pub live: Arc<Live>,
    /// What does not change while the broker runs.
    pub facts: Facts,
}

/// What all calls share.
struct Shared {
    engine: Arc<Engine>,
    clients: Arc<Clients>,
    insight: Insight,
    finder: Finder,
    live: Arc<Live>,
    facts: Facts,
    looks: Arc<Semaphore>,
    /// As many of the short ones: how the broker is must not wait for backlogs to be read.
    glances: Arc<Semaphore>,
    /// Held for reading by changes that are not in the log, and for writing while somebody fences.
    fencing: RwLock<()>,
}

/// All services of the admin API; clones share everything.
#[derive(Clone)]
pub struct Admin(Arc<Shared>);

impl Admin {
    /// The services over these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Shared {
            insight: Insight::new(&parts.clients, &parts.engine),
            finder: Finder::new(&parts.engine),
            live: parts.live,
            engine: parts.engine,
            clients: parts.clients,
            facts: parts.facts,
            looks: Arc::new(Semaphore::new(LOOKS_MAX)),
            glances: Arc::new(Semaphore::new(LOOKS_MAX)),
            fencing: RwLock::default(),
        }))
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.0)
    }

    /// What the admin port serves, until `stopping` begins.
    pub fn routes(self, stopping: &Shutdown) -> Result<Routes, tonic_reflection::server::Error> {
        Routes::default()
            .with(TopicServiceServer::new(self.clone()))
            .with(GroupServiceServer::new(self.clone()))
            .with(ClientServiceServer::new(self.clone()))
            .with(MessageServiceServer::new(self.clone()))
            .with(BrokerServiceServer::new(self))
            .with_the_usual(stopping, &[])
    }
}

impl Shared {
    /// Does what reads files where it may block, a few at a time.
    async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        self.at_a_place(&self.looks, work).await
    }

    /// As [`Self::look`], for what asks the system and reads no file.
    async fn glance<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        self.at_a_place(&self.glances, work).await
    }

    async fn at_a_place<T: Send + 'static>(
        &self,
        places: &Arc<Semaphore>,
        work: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        // The semaphore is never closed. A look goes on when its call is dropped, and keeps its place meanwhile.
        let place = Arc::clone(places).acquire_owned().await.ok();
        let engine = Arc::clone(&self.engine);
        let looked = tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&engine)
        });
        looked.await.map_err(|error| EngineError::Read(error.to_string()))
    }

    /// The topic of this name.
    fn topic(&self, name: &str) -> Result<Arc<Topic>, Failure> {
        validate::readable_topic_name(name)?;
        Ok(self.engine.topic_named(name)?)
    }

    /// The topic of this name; `None` where none is named.
    fn topic_if_any(&self, name: &str) -> Result<Option<Arc<Topic>>, Failure> {
        match name {
            "" => Ok(None),
            name => self.topic(name).map(Some),
        }
    }

    /// Refuses to look at all that a group reads where that is more than one answer can say.
    fn within_an_answer(&self, group: &Group) -> Result<(), Failure> {
        let reads = self.engine.tables().subscriptions_of(group.id);
        let queues: usize = reads.iter().map(|(_, of_topic)| of_topic.shards.len()).sum();
        if queues > ANSWERED_QUEUES_MAX {
            return Err(Wrong::Request(format!(
                "consumer group '{}' reads {queues} queues, and an answer has at most {ANSWERED_QUEUES_MAX}: name a topic",
                group.spec.name
            ))
            .into());
        }
        Ok(())
    }

    /// The consumer group of this name.
    fn group(&self, name: &str) -> Result<Arc<Group>, Failure> {
        validate::group_name(name)?;
        Ok(self.engine.group_named(name)?)
    }
}

/// A call's outcome as the generated services have it.
fn answer<T>(outcome: Outcome<T>) -> Answered<T> {
    outcome.map(Response::new).map_err(Status::from)
}
