//! What a broker has, held against what must be found.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sluice_proto::v2;
use sluice_tests::client::{Client, Receive, attempt, message_id};
use sluice_tests::fixture::{Fixture, Kept, Reading};

/// What was in flight when the fixture was made is so for ten seconds more, whenever it is opened.
const SOON: Duration = Duration::from_secs(40);
/// That nothing more comes is believed after so long.
const SILENCE: Duration = Duration::from_millis(500);

/// Each group is given what it has left, at the right attempt, in order within message groups, and nothing else.
pub async fn finish(client: &Client, fixture: &Fixture) {
    let (dead, living): (Vec<_>, Vec<_>) = fixture
        .readings
        .iter()
        .partition(|reading| is_dead_letter_topic(&reading.topic));
    for reading in living {
        finish_one(client, reading, &reading.left).await;
    }
    // By now what had used up its attempts is dead too.
    for reading in dead {
        let mut left = reading.left.clone();
        left.extend(dying(fixture, &reading.topic).map(|id| (id.clone(), 1)));
        finish_one(client, reading, &left).await;
    }
}

async fn finish_one(client: &Client, reading: &Reading, left: &BTreeMap<String, i32>) {
    let what = format!("{} in {}", reading.group, reading.topic);
    let messages = drain(client, &reading.group, &reading.topic, &reading.tags, left.len()).await;
    let found: BTreeMap<_, _> = messages
        .iter()
        .map(|message| (message_id(message), attempt(message)))
        .collect();
    assert_eq!(found, *left, "{what}");
    assert_eq!(found.len(), messages.len(), "{what}: something came twice");
    let mut last = BTreeMap::new();
    for kept in messages.iter().map(|message| Kept::of(message).unwrap()) {
        if let Some(message_group) = kept.message_group {
            let before = last.insert((kept.queue, message_group.clone()), kept.offset);
            assert!(
                before < Some(kept.offset),
                "{what}: {message_group} is out of order"
            );
        }
    }
}

/// Every message of every topic is at its place, and nothing else is anywhere; to be called when all groups have
/// received.
pub async fn audit(client: &Client, fixture: &Fixture, auditor: &str) {
    for (topic, kept) in &fixture.topics {
        let dying: Vec<_> = dying(fixture, topic).collect();
        let found = drain(client, auditor, topic, "*", kept.len() + dying.len()).await;
        let (died, mut found): (Vec<_>, Vec<_>) = found
            .iter()
            .map(|message| Kept::of(message).unwrap())
            .partition(|kept| dying.contains(&&kept.id));
        assert_eq!(died.len(), dying.len(), "{topic} lacks some of {dying:?}");
        found.sort_by_key(|kept| (kept.queue, kept.offset));
        assert!(found == *kept, "{topic} has {found:#?}, not {kept:#?}");
    }
}

/// Receives and acknowledges until there are so many and then nothing more comes.
pub async fn drain(
    client: &Client,
    group: &str,
    topic: &str,
    tags: &str,
    at_least: usize,
) -> Vec<v2::Message> {
    let receive = Receive {
        tags: tags.to_owned(),
        poll: SILENCE,
        ..Receive::new(group, topic)
    };
    let deadline = Instant::now() + SOON;
    let mut all = Vec::new();
    loop {
        let messages = client.receive(&receive).await.unwrap().messages;
        let enough = all.len() >= at_least || Instant::now() > deadline;
        if messages.is_empty() && enough {
            return all;
        }
        if !messages.is_empty() {
            client.ack_ok(group, topic, &messages).await.unwrap();
        }
        all.extend(messages);
    }
}

pub fn is_dead_letter_topic(topic: &str) -> bool {
    topic.starts_with("%DLQ%")
}

/// What stands in a dead-letter topic as soon as its group has received.
fn dying<'f>(fixture: &'f Fixture, topic: &str) -> impl Iterator<Item = &'f String> {
    let owner = topic.strip_prefix("%DLQ%").map(str::to_owned);
    let of_owner = move |reading: &&Reading| Some(&reading.group) == owner.as_ref();
    fixture
        .readings
        .iter()
        .filter(of_owner)
        .flat_map(|reading| &reading.dying)
}
