//! A broker and a process with clients of it.

use std::time::Duration;

use serde_json::{Value, json};
use sluice_tests::driver::{Driver, Event, Language};
use sluice_tests::process::{Broker, Setup};
use sluice_tests::wait;

/// Long enough for a busy machine; nothing waits as long when all is well.
pub const SOON: Duration = Duration::from_secs(60);

pub struct Stage {
    // Dropped first: its clients would only complain about a broker that is gone.
    pub driver: Driver,
    pub broker: Broker,
}

impl Stage {
    pub fn new(language: Language) -> Self {
        Self::with(language, Setup::new())
    }

    pub fn with(language: Language, setup: Setup) -> Self {
        Driver::build_all().unwrap();
        Self {
            broker: setup.start().unwrap(),
            driver: Driver::start(language).unwrap(),
        }
    }

    /// Topics and groups as `--init` takes them, one a line.
    pub fn with_init(language: Language, topics: &[&str], groups: &[&str]) -> Self {
        let list = |lines: &[&str]| {
            lines
                .iter()
                .map(|line| format!("  - {line}\n"))
                .collect::<String>()
        };
        let yaml = format!("topics:\n{}groups:\n{}", list(topics), list(groups));
        Self::with(language, Setup::new().init(&yaml))
    }

    /// A client's connection is the client's default, TLS, unless the command says otherwise.
    pub fn open(&self, kind: &str, name: &str, more: Value) {
        let mut command = json!({"do": kind, "name": name, "endpoints": self.broker.endpoint()});
        merge(&mut command, more);
        self.driver.call(command).unwrap();
    }

    pub fn producer(&self, topic: &str) {
        self.open("producer", "producer", json!({"topics": [topic]}));
    }

    pub fn push_consumer(&self, name: &str, group: &str, topic: &str, more: Value) {
        let mut options = json!({"group": group, "subscriptions": {topic: "*"}});
        merge(&mut options, more);
        self.open("push-consumer", name, options);
    }

    pub fn simple_consumer(&self, name: &str, group: &str, topic: &str, tags: &str) {
        self.open("simple-consumer", name, simple(group, topic, tags));
    }

    /// Sends one after the other; returns the ids.
    pub fn send(&self, messages: Vec<Value>) -> Vec<String> {
        let ids = self
            .driver
            .call(json!({"do": "send", "name": "producer", "messages": messages}))
            .unwrap();
        texts(&ids)
    }

    /// Sends bodies with nothing else to them.
    pub fn send_bodies(&self, topic: &str, bodies: &[String]) -> Vec<String> {
        self.send(
            bodies
                .iter()
                .map(|body| json!({"topic": topic, "body": body}))
                .collect(),
        )
    }

    /// One receive of a simple consumer.
    pub fn receive(&self, name: &str, invisible: Duration) -> Vec<Value> {
        let invisible = invisible.as_millis() as u64;
        let messages = self
            .driver
            .call(json!({"do": "receive", "name": name, "max": 32, "invisibleMs": invisible}));
        messages.unwrap().as_array().unwrap().clone()
    }

    /// Receives, acknowledging all, until there are so many.
    pub fn receive_and_ack(&self, name: &str, count: usize) -> Vec<Value> {
        let mut all = Vec::new();
        let deadline = std::time::Instant::now() + SOON;
        while all.len() < count {
            assert!(
                std::time::Instant::now() < deadline,
                "{} of {count} messages: {all:?}",
                all.len()
            );
            let messages = self.receive(name, SOON);
            messages.iter().for_each(|message| self.ack(name, message));
            all.extend(messages);
        }
        all
    }

    pub fn ack(&self, name: &str, message: &Value) {
        self.driver
            .call(json!({"do": "ack", "name": name, "ref": message["ref"]}))
            .unwrap();
    }

    /// Waits until everything sent was acknowledged: clients do that behind their handlers.
    pub fn settled(&self) {
        wait::until("everything is acknowledged", SOON, || {
            let waiting = self.broker.metric("rocketmq_consumer_lag_messages")?;
            Ok((waiting == 0.0).then_some(()))
        })
        .unwrap();
    }

    /// Waits until a push consumer has handled so many messages successfully; returns all events of it so far.
    pub fn handled(&self, name: &str, count: usize, within: Duration) -> Vec<Event> {
        let what = format!("{name} handles {count} messages");
        self.driver
            .wait_for(&what, within, |events| {
                let own: Vec<_> = events
                    .iter()
                    .filter(|event| event.client == name)
                    .cloned()
                    .collect();
                (own.iter().filter(|event| event.kind == "handled").count() >= count).then_some(own)
            })
            .unwrap()
    }
}

pub fn simple(group: &str, topic: &str, tags: &str) -> Value {
    json!({"group": group, "subscriptions": {topic: tags}, "awaitMs": 3000})
}

/// The bodies of the messages, sorted.
pub fn bodies<'a>(messages: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    let mut bodies: Vec<_> = messages
        .into_iter()
        .map(|message| text(message, "body"))
        .collect();
    bodies.sort();
    bodies
}

/// The messages of the events of one kind, in the order in which they came.
pub fn of_kind<'a>(events: &'a [Event], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event.kind == kind)
        .map(|event| &event.message)
        .collect()
}

pub fn text(message: &Value, field: &str) -> String {
    message[field].as_str().unwrap_or_default().to_owned()
}

pub fn texts(array: &Value) -> Vec<String> {
    array
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

/// `m-000`, `m-001`, …: sorted as they are numbered.
pub fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("m-{number:03}")).collect()
}

fn merge(into: &mut Value, more: Value) {
    for (name, value) in more.as_object().unwrap() {
        into[name] = value.clone();
    }
}
