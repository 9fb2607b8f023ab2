//! What producers and groups were told, from which follows what must be found later.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use sluice_proto::v2;
use sluice_tests::client::{Client, Receive, attempt, message_id};
use sluice_tests::fixture::{Fixture, Kept, Reading};

/// Knows where each message is, since it reads them all.
const AUDITOR: &str = "auditor";

/// Everything that was acknowledged to somebody.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By topic, in the order of sending: id and offset as the producer was told.
    sent: BTreeMap<String, Vec<(String, i64)>>,
    found: BTreeMap<String, BTreeMap<String, Kept>>,
    readings: BTreeMap<(String, String), Progress>,
}

/// What a group has done in a topic.
#[derive(Debug, Default)]
struct Progress {
    tags: String,
    /// It began behind these.
    before: BTreeSet<String>,
    deliveries: BTreeMap<String, i32>,
    done: BTreeSet<String>,
    dying: BTreeSet<String>,
}

impl Ledger {
    pub async fn send(&mut self, client: &Client, topic: &str, message: v2::Message) -> Result<()> {
        let id = message_id(&message);
        let offset = client.send_ok(message).await?;
        self.sent.entry(topic.to_owned()).or_default().push((id, offset));
        Ok(())
    }

    /// One receive; the messages are in flight then.
    pub async fn receive(&mut self, client: &Client, receive: &Receive) -> Result<Vec<v2::Message>> {
        let messages = client.receive(receive).await?.messages;
        let progress = self.progress(&receive.group, &receive.topic);
        progress.tags.clone_from(&receive.tags);
        for message in &messages {
            let id = message_id(message);
            let deliveries = progress.deliveries.entry(id.clone()).or_default();
            *deliveries += 1;
            ensure!(
                attempt(message) == *deliveries,
                "{id} comes as attempt {}, not {deliveries}",
                attempt(message)
            );
        }
        Ok(messages)
    }

    pub async fn done(
        &mut self,
        client: &Client,
        group: &str,
        topic: &str,
        messages: &[v2::Message],
    ) -> Result<()> {
        for batch in messages.chunks(32) {
            client.ack_ok(group, topic, batch).await?;
        }
        let progress = self.progress(group, topic);
        progress.done.extend(messages.iter().map(message_id));
        Ok(())
    }

    /// Receives and acknowledges until nothing more comes.
    pub async fn drain(&mut self, client: &Client, receive: &Receive) -> Result<Vec<v2::Message>> {
        let mut all = Vec::new();
        loop {
            let messages = self.receive(client, receive).await?;
            if messages.is_empty() {
                return Ok(all);
            }
            self.done(client, &receive.group, &receive.topic, &messages)
                .await?;
            all.extend(messages);
        }
    }

    /// The group gives messages up; they are in its dead-letter topic.
    pub async fn give_up(
        &mut self,
        client: &Client,
        group: &str,
        topic: &str,
        messages: &[v2::Message],
    ) -> Result<()> {
        for message in messages {
            let answer = client.forward_to_dead_letters(group, topic, message).await?;
            ensure!(
                answer.status.as_ref().is_some_and(|status| status.code == 20000),
                "{answer:?}"
            );
        }
        let progress = self.progress(group, topic);
        progress.done.extend(messages.iter().map(message_id));
        Ok(())
    }

    /// The group has seen messages for the last time.
    pub fn dying(&mut self, group: &str, topic: &str, messages: &[v2::Message]) {
        let progress = self.progress(group, topic);
        progress.dying.extend(messages.iter().map(message_id));
    }

    /// A group that begins behind what was sent so far.
    pub async fn begin_behind(&mut self, client: &Client, receive: &Receive) -> Result<()> {
        let messages = self.receive(client, receive).await?;
        ensure!(messages.is_empty(), "{} began too early", receive.group);
        let sent = self.sent.get(&receive.topic).cloned().unwrap_or_default();
        let progress = self.progress(&receive.group, &receive.topic);
        progress.before = sent.into_iter().map(|(id, _)| id).collect();
        Ok(())
    }

    /// Finds what was sent to a topic, at the offsets that the producer was told.
    pub async fn audit(&mut self, client: &Client, topic: &str) -> Result<()> {
        let messages = self.drain(client, &Receive::new(AUDITOR, topic)).await?;
        let found = self.found.entry(topic.to_owned()).or_default();
        for message in &messages {
            let kept = Kept::of(message)?;
            found.insert(kept.id.clone(), kept);
        }
        for (id, offset) in self.sent.get(topic).into_iter().flatten() {
            let kept = found.get(id).with_context(|| format!("{id} is not found"))?;
            ensure!(
                kept.offset == *offset,
                "{id} is found at {}, not {offset}",
                kept.offset
            );
        }
        Ok(())
    }

    pub fn into_fixture(self) -> Fixture {
        let topics: BTreeMap<String, Vec<Kept>> = self
            .found
            .into_iter()
            .map(|(topic, kept)| (topic, in_order(kept)))
            .collect();
        let readings = self
            .readings
            .into_iter()
            .map(|((group, topic), progress)| progress.left(group, &topic, &topics))
            .collect();
        Fixture {
            made_by: String::new(),
            topics,
            readings,
        }
    }

    fn progress(&mut self, group: &str, topic: &str) -> &mut Progress {
        self.readings
            .entry((group.to_owned(), topic.to_owned()))
            .or_default()
    }
}

impl Progress {
    fn left(self, group: String, topic: &str, topics: &BTreeMap<String, Vec<Kept>>) -> Reading {
        let wanted = |kept: &&Kept| self.tags == "*" || kept.tag.as_deref() == Some(self.tags.as_str());
        let is_left = |kept: &&Kept| {
            [&self.before, &self.done, &self.dying]
                .iter()
                .all(|others| !others.contains(&kept.id))
        };
        let messages = topics.get(topic).into_iter().flatten();
        let left: BTreeMap<_, _> = messages
            .filter(wanted)
            .filter(is_left)
            .map(|kept| {
                let deliveries = self.deliveries.get(&kept.id).copied().unwrap_or(0);
                (kept.id.clone(), deliveries + 1)
            })
            .collect();
        Reading {
            group,
            topic: topic.to_owned(),
            tags: self.tags.clone(),
            left,
            dying: self.dying.into_iter().collect(),
        }
    }
}

fn in_order(kept: BTreeMap<String, Kept>) -> Vec<Kept> {
    let mut kept: Vec<_> = kept.into_values().collect();
    kept.sort_by_key(|kept| (kept.queue, kept.offset));
    kept
}
