//! Clients as an operator sees them: what the table has of each, and what each holds (B11).

use super::figures::Shown;
use super::registry::{Client, Clients, Role};
use crate::engine::held::{Held as HeldNow, Pile};
use crate::engine::{Engine, EngineError};
use parking_lot::Mutex;
use sluice_core::ids::{DeliveryId, GroupId, TimeMs};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Times of deliveries that are remembered: those of what nobody settles stay the same look after look.
const TIMES_MAX: usize = 4096;

/// Looks at one time: each takes a thread.
const LOOKS_MAX: usize = 2;

/// A client.
#[derive(Clone, Debug, Default)]
pub struct ClientView {
    /// Its id.
    pub id: Arc<str>,
    /// What it is, if it has said so.
    pub role: Option<Role>,
    /// A consumer's group.
    pub group: Option<String>,
    /// What a producer says that it sends to.
    pub topics: Vec<String>,
    /// What a consumer says that it reads: topics, and by which expressions.
    pub subscriptions: Vec<(String, String)>,
    /// Its language; empty for a client that is gone.
    pub language: &'static str,
    /// The version of its library; empty if it does not say.
    pub version: String,
    /// Where it called from last; `None` for a client that is gone.
    pub address: Option<SocketAddr>,
    /// Whether it has a connection or a telemetry stream.
    pub connected: bool,
    /// Since its last call.
    pub idle: Duration,
    /// What it does.
    pub figures: Shown,
    /// What it holds, by topic and queue.
    pub held: Vec<HeldView>,
}

/// What a client holds of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldView {
    /// The topic's name.
    pub topic: String,
    /// The queue.
    pub queue: u32,
    /// How many messages.
    pub messages: u64,
    /// The age of the oldest delivery among them.
    pub oldest_ms: u64,
}

impl ClientView {
    /// Messages that it holds.
    pub fn inflight(&self) -> u64 {
        self.held.iter().map(|held| held.messages).sum()
    }

    /// The age of the oldest delivery that it holds; 0 without one.
    pub fn oldest_inflight_ms(&self) -> u64 {
        self.held.iter().map(|held| held.oldest_ms).max().unwrap_or(0)
    }
}

/// Which clients are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this group.
    pub group: Option<String>,
    /// Only of this role.
    pub role: Option<Role>,
}

/// Looks at clients. All of it looks through state and may read the log, and so runs off the runtime's workers.
#[derive(Clone)]
pub struct Insight {
    clients: Arc<Clients>,
    engine: Arc<Engine>,
    times: Arc<Mutex<HashMap<DeliveryId, TimeMs>>>,
    places: Arc<Semaphore>,
}

impl Insight {
    /// Looks at these clients, and at what the engine's state says that they hold.
    pub fn new(clients: &Arc<Clients>, engine: &Arc<Engine>) -> Self {
        Self {
            clients: Arc::clone(clients),
            engine: Arc::clone(engine),
            times: Arc::default(),
            places: Arc::new(Semaphore::new(LOOKS_MAX)),
        }
    }

    /// The clients in the table, by id, behind `after`, at most `max`; whether there are more.
    pub async fn list(
        &self,
        filter: Filter,
        after: Option<String>,
        max: usize,
    ) -> Result<(Vec<ClientView>, bool), EngineError> {
        self.off_the_workers(move |this| {
            let (mut views, more) = this.clients.views(&filter, after.as_deref(), max);
            this.add_held(&mut views, None);
            (views, more)
        })
        .await
    }

    /// One client; `None` if it is not in the table and holds nothing.
    pub async fn describe(&self, id: &str) -> Result<Option<ClientView>, EngineError> {
        let id = id.to_owned();
        self.off_the_workers(move |this| {
            let known = this.clients.view(&id);
            let is_known = known.is_some();
            let mut views = vec![known.unwrap_or_else(|| gone(Arc::from(id.as_str()), None))];
            this.add_held(&mut views, None);
            views.pop().filter(|view| is_known || !view.held.is_empty())
        })
        .await
    }

    /// The clients that have announced themselves as consumers of the group, and those that hold some of its messages,
    /// by id.
    pub async fn members(&self, group: &str) -> Result<Vec<ClientView>, EngineError> {
        let group = group.to_owned();
        self.off_the_workers(move |this| {
            let filter = Filter {
                group: Some(group.clone()),
                role: None,
            };
            let (mut views, _) = this.clients.views(&filter, None, usize::MAX);
            if let Some(of) = this.engine.tables().group(&group) {
                let announced: BTreeSet<Arc<str>> = views.iter().map(|view| Arc::clone(&view.id)).collect();
                let held = this
                    .engine
                    .held(Some(of.id), |client| !announced.contains(client));
                let others: BTreeSet<Arc<str>> = held.into_iter().map(|held| held.client).collect();
                let view = |id: Arc<str>| this.clients.view(&id).unwrap_or_else(|| gone(id, Some(&group)));
                views.extend(others.into_iter().map(view));
                this.add_held(&mut views, Some(of.id));
            }
            views.sort_by(|one, other| one.id.cmp(&other.id));
            views
        })
        .await
    }

    /// Adds what the clients hold of one group, or of all.
    fn add_held(&self, views: &mut [ClientView], group: Option<GroupId>) {
        let by_id: HashMap<Arc<str>, usize> =
            views.iter().map(|view| Arc::clone(&view.id)).zip(0..).collect();
        let now = self.engine.now();
        for held in self.engine.held(group, |client| by_id.contains_key(client)) {
            let view = by_id.get(&held.client).and_then(|place| views.get_mut(*place));
            let topic = self.engine.tables().topic_by_id(held.id.at.topic);
            let (Some(view), Some(topic)) = (view, topic) else {
                continue;
            };
            let pushes = self.clients.pushes(&view.id);
            let Some(pile) = works_on(&held, pushes) else {
                continue;
            };
            let since = self.delivered_at(pile.oldest).unwrap_or(now);
            view.held.push(HeldView {
                topic: topic.spec.name.clone(),
                queue: held.id.at.queue.0,
                messages: pile.messages,
                oldest_ms: now.saturating_sub(since),
            });
        }
        for view in views {
            view.held
                .sort_by(|one, other| (&one.topic, one.queue).cmp(&(&other.topic, other.queue)));
        }
    }

    fn delivered_at(&self, delivery: DeliveryId) -> Option<TimeMs> {
        let known = self.times.lock().get(&delivery).copied();
        if known.is_some() {
            return known;
        }
        let time = self.engine.delivered_at(delivery)?;
        let mut times = self.times.lock();
        if times.len() >= TIMES_MAX {
            times.clear();
        }
        times.insert(delivery, time);
        Some(time)
    }

    async fn off_the_workers<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        // The semaphore is never closed. A look goes on when nobody waits for it any more, and keeps its place meanwhile.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let this = self.clone();
        let work = move || {
            let _place = place;
            work(&this)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| EngineError::Read(error.to_string()))
    }
}

/// What of it the client works on: see [`HeldNow`].
fn works_on(held: &HeldNow, pushes: bool) -> Option<Pile> {
    match (held.renewed, held.hidden) {
        (renewed, _) if pushes => renewed,
        (Some(one), Some(other)) => Some(Pile {
            messages: one.messages + other.messages,
            oldest: one.oldest.min(other.oldest),
        }),
        (one, other) => one.or(other),
    }
}

/// A client that the table does not have.
fn gone(id: Arc<str>, group: Option<&str>) -> ClientView {
    ClientView {
        id,
        role: group.map(|_| Role::Consumer),
        group: group.map(str::to_owned),
        ..ClientView::default()
    }
}

impl Clients {
    /// How many clients have announced that they send to this topic.
    pub fn producers_of(&self, topic: &str) -> usize {
        let sends = |client: &&Client| {
            let announced = client.announced.as_ref();
            announced.is_some_and(|announced| announced.topics.iter().any(|one| one == topic))
        };
        self.table().values().filter(sends).count()
    }

    /// How many clients have announced themselves as consumers, by group.
    pub fn members_by_group(&self) -> BTreeMap<String, u64> {
        let mut members = BTreeMap::new();
        for kind in self
            .kinds()
            .into_iter()
            .filter(|kind| kind.role == Role::Consumer)
        {
            *members.entry(kind.group).or_default() += 1;
        }
        members
    }

    fn views(&self, filter: &Filter, after: Option<&str>, max: usize) -> (Vec<ClientView>, bool) {
        let now = Instant::now();
        let table = self.table();
        let fits = |client: &Client| {
            let announced = client.announced.as_ref();
            let group = announced.and_then(|announced| announced.group.as_ref());
            (filter.group.is_none() || filter.group.as_ref() == group)
                && (filter.role.is_none() || filter.role == announced.map(|announced| announced.role))
        };
        let wanted = table
            .iter()
            .filter(|(id, client)| after.is_none_or(|after| &***id > after) && fits(client));
        let mut ids: Vec<&Arc<str>> = wanted.map(|(id, _)| id).collect();
        ids.sort();
        let more = ids.len() > max;
        let views = ids
            .into_iter()
            .take(max)
            .filter_map(|id| Some(table.get(id)?.view(id, now)));
        (views.collect(), more)
    }

    fn view(&self, id: &str) -> Option<ClientView> {
        let table = self.table();
        let (id, client) = table.get_key_value(id)?;
        Some(client.view(id, Instant::now()))
    }

    fn pushes(&self, id: &str) -> bool {
        self.table().get(id).is_some_and(|client| client.figures.pushes())
    }
}

impl Client {
    fn view(&self, id: &Arc<str>, now: Instant) -> ClientView {
        let last_call = self.last_seen.max(self.figures.last_call());
        let view = ClientView {
            id: Arc::clone(id),
            language: self.language,
            version: self.version().to_owned(),
            address: Some(self.remote),
            connected: self.is_connected(),
            idle: now.saturating_duration_since(last_call),
            figures: self.figures.show(now),
            ..ClientView::default()
        };
        match &self.announced {
            None => view,
            Some(announced) => ClientView {
                role: Some(announced.role),
                group: announced.group.clone(),
                topics: announced.topics.clone(),
                subscriptions: announced.subscriptions.clone(),
                ..view
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{call, consumer};
    use super::*;
    use tokio::sync::mpsc;

    fn ids(views: &[ClientView]) -> Vec<&str> {
        views.iter().map(|view| &*view.id).collect()
    }

    fn group(name: &str) -> Filter {
        Filter {
            group: Some(name.to_owned()),
            role: None,
        }
    }

    #[test]
    fn clients_are_shown_by_id_in_pages_as_far_as_they_are_asked_for() {
        let clients = Arc::new(Clients::at_most(100));
        let (sender, _receiver) = mpsc::channel(1);
        let mut streams = Vec::new();
        for (id, group) in [("d", "g"), ("b", "g"), ("a", "h"), ("c", "g")] {
            let stream = clients.stream(id, sender.clone());
            clients.announce(call(id), consumer(group), &stream).unwrap();
            streams.push(stream);
        }
        let producer = super::super::Announced {
            role: Role::Producer,
            mode: "unknown",
            group: None,
            topics: vec!["t".to_owned()],
            ..consumer("g")
        };
        let stream = clients.stream("p", sender);
        clients.announce(call("p"), producer, &stream).unwrap();
        clients.touch(call("silent")).unwrap();
        let producers = Filter {
            group: None,
            role: Some(Role::Producer),
        };
        for (filter, after, max, expected, more) in [
            (
                Filter::default(),
                None,
                10,
                &["a", "b", "c", "d", "p", "silent"][..],
                false,
            ),
            (Filter::default(), Some("b"), 2, &["c", "d"], true),
            (group("g"), None, 3, &["b", "c", "d"], false),
            (group("g"), None, 2, &["b", "c"], true),
            (group("nobody's"), None, 2, &[], false),
            (producers, None, 2, &["p"], false),
        ] {
            let (views, is_more) = clients.views(&filter, after, max);
            assert_eq!(
                (ids(&views), is_more),
                (expected.to_vec(), more),
                "{filter:?} {after:?}"
            );
        }
        assert_eq!((clients.producers_of("t"), clients.producers_of("u")), (1, 0));
        let members = [("g".to_owned(), 3), ("h".to_owned(), 1)];
        assert_eq!(clients.members_by_group(), BTreeMap::from(members));
    }

    #[test]
    fn a_client_is_shown_as_it_announced_itself_and_called() {
        let clients = Arc::new(Clients::at_most(100));
        let (sender, _receiver) = mpsc::channel(1);
        let stream = clients.stream("c", sender);
        clients.touch(call("c")).unwrap();
        let silent = clients.view("c").unwrap();
        assert_eq!(
            (silent.role, silent.version.as_str(), silent.connected),
            (None, "5.2.1", false)
        );
        let announced = super::super::Announced {
            version: "5.2.2".to_owned(),
            ..consumer("g")
        };
        clients.announce(call("c"), announced, &stream).unwrap();
        clients.count_for("c", |figures| figures.refused(Instant::now()));
        let view = clients.view("c").unwrap();
        assert_eq!(
            (view.role, view.group.as_deref()),
            (Some(Role::Consumer), Some("g"))
        );
        assert_eq!((view.language, view.version.as_str()), ("JAVA", "5.2.2"));
        assert_eq!(view.address, Some(([10, 0, 0, 1], 4000).into()));
        assert_eq!(view.subscriptions, [("t".to_owned(), "a || b".to_owned())]);
        assert!(view.connected);
        assert_eq!(view.figures.refused, 1);
        clients.remove("c");
        clients.count_for("c", |_| panic!("it is forgotten"));
        assert!(clients.view("c").is_none());
    }

    #[test]
    fn what_a_push_consumer_has_given_back_is_not_what_it_works_on() {
        let pile = |messages, oldest| {
            Some(Pile {
                messages,
                oldest: DeliveryId(oldest),
            })
        };
        for (renewed, hidden, pushes, expected) in [
            (pile(2, 9), pile(3, 4), true, pile(2, 9)),
            (pile(2, 9), pile(3, 4), false, pile(5, 4)),
            (None, pile(3, 4), true, None),
            (None, pile(3, 4), false, pile(3, 4)),
            (pile(2, 9), None, false, pile(2, 9)),
        ] {
            let held = HeldNow {
                client: Arc::from("c"),
                id: Default::default(),
                renewed,
                hidden,
            };
            assert_eq!(works_on(&held, pushes), expected);
        }
    }
}
