//! A broker in memory that counts generations as a real one does. For what is decided from its answers; what a broker does
//! with its data is proven on real ones.

use super::{BrokerAdmin, BrokerError};
use parking_lot::Mutex;
use sluice_proto::admin::{
    Group, GroupDescription, GroupLag, GroupSpec, Member, QueueOffsets, Topic, TopicDescription, TopicSpec,
};
use std::collections::BTreeMap;

/// The broker.
#[derive(Default)]
pub struct Fake(Mutex<State>);

#[derive(Default)]
struct State {
    topics: BTreeMap<String, Topic>,
    groups: BTreeMap<String, Group>,
    ids: u32,
    writes: u32,
    topics_asked: u32,
}

impl Fake {
    /// How many writes have changed something.
    pub fn writes(&self) -> u32 {
        self.0.lock().writes
    }

    /// How often it was asked for a topic.
    pub fn topics_asked(&self) -> u32 {
        self.0.lock().topics_asked
    }
}

impl State {
    fn id(&mut self) -> u32 {
        self.writes += 1;
        self.ids += 1;
        self.ids
    }
}

fn expect(found: u64, expected: u64) -> Result<(), BrokerError> {
    if found == expected {
        Ok(())
    } else {
        Err(BrokerError::Conflict(format!(
            "it has generation {found}, not {expected}"
        )))
    }
}

fn missing() -> BrokerError {
    BrokerError::NotFound("there is none".to_owned())
}

impl BrokerAdmin for Fake {
    async fn topic(&self, name: &str) -> Result<Option<TopicDescription>, BrokerError> {
        let mut state = self.0.lock();
        state.topics_asked += 1;
        let topic = state.topics.get(name).cloned();
        Ok(topic.map(|topic| TopicDescription {
            topic: Some(topic),
            ..TopicDescription::default()
        }))
    }

    async fn create_topic(&self, name: &str, mut spec: TopicSpec) -> Result<(), BrokerError> {
        let mut state = self.0.lock();
        if state.topics.contains_key(name) {
            return Err(BrokerError::Exists("there is one".to_owned()));
        }
        if spec.queues == 0 {
            spec.queues = 4;
        }
        let topic = Topic {
            name: name.to_owned(),
            spec: Some(spec),
            generation: 1,
            id: state.id(),
            system: false,
        };
        state.topics.insert(name.to_owned(), topic);
        Ok(())
    }

    async fn update_topic(&self, name: &str, spec: TopicSpec, generation: u64) -> Result<(), BrokerError> {
        let mut state = self.0.lock();
        let topic = state.topics.get_mut(name).ok_or_else(missing)?;
        expect(topic.generation, generation)?;
        let queues = topic.spec.as_ref().map_or(0, |spec| spec.queues);
        if spec.queues < queues {
            return Err(BrokerError::Refused("queues never become fewer".to_owned()));
        }
        topic.spec = Some(spec);
        topic.generation += 1;
        state.writes += 1;
        Ok(())
    }

    async fn delete_topic(&self, name: &str, _: bool, generation: u64) -> Result<u64, BrokerError> {
        let mut state = self.0.lock();
        expect(state.topics.get(name).ok_or_else(missing)?.generation, generation)?;
        state.topics.remove(name);
        state.writes += 1;
        Ok(0)
    }

    async fn group(&self, name: &str) -> Result<Option<GroupDescription>, BrokerError> {
        let group = self.0.lock().groups.get(name).cloned();
        Ok(group.map(|group| GroupDescription {
            group: Some(group),
            ..GroupDescription::default()
        }))
    }

    async fn create_group(&self, name: &str, spec: GroupSpec) -> Result<(), BrokerError> {
        let mut state = self.0.lock();
        if state.groups.contains_key(name) {
            return Err(BrokerError::Exists("there is one".to_owned()));
        }
        let group = Group {
            name: name.to_owned(),
            spec: Some(spec),
            generation: 1,
            id: state.id(),
        };
        state.groups.insert(name.to_owned(), group);
        Ok(())
    }

    async fn update_group(&self, name: &str, spec: GroupSpec, generation: u64) -> Result<u32, BrokerError> {
        let mut state = self.0.lock();
        let group = state.groups.get_mut(name).ok_or_else(missing)?;
        expect(group.generation, generation)?;
        group.spec = Some(spec);
        group.generation += 1;
        state.writes += 1;
        Ok(0)
    }

    async fn delete_group(&self, name: &str, _: bool, generation: u64) -> Result<u64, BrokerError> {
        let mut state = self.0.lock();
        expect(state.groups.get(name).ok_or_else(missing)?.generation, generation)?;
        state.groups.remove(name);
        state.writes += 1;
        Ok(0)
    }

    async fn lag(&self, group: &str) -> Result<Option<GroupLag>, BrokerError> {
        Ok(self.0.lock().groups.contains_key(group).then(GroupLag::default))
    }

    async fn offsets(&self, _: &str) -> Result<Vec<QueueOffsets>, BrokerError> {
        Ok(Vec::new())
    }

    async fn members(&self, _: &str) -> Result<Vec<Member>, BrokerError> {
        Ok(Vec::new())
    }
}
