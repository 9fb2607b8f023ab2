//! A little traffic for tests that are about something else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sluice_proto::v2;
use sluice_tests::client::{Client, Receive, message};

/// Long enough for a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

pub async fn send(client: &Client, topic: &str, bodies: &[String]) {
    for body in bodies {
        client.send_ok(message(topic, body.clone())).await.unwrap();
    }
}

/// Receives until there are so many, without acknowledging; none of them comes again before the test is over.
pub async fn receive(client: &Client, group: &str, topic: &str, count: usize) -> Vec<v2::Message> {
    let deadline = Instant::now() + SOON;
    let request = Receive {
        invisible: Duration::from_secs(600),
        ..Receive::new(group, topic)
    };
    let mut messages = Vec::new();
    while messages.len() < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count} messages",
            messages.len()
        );
        messages.extend(client.receive(&request).await.unwrap().messages);
    }
    messages
}

/// Receives so many and acknowledges them.
pub async fn consume(client: &Client, group: &str, topic: &str, count: usize) -> Vec<String> {
    let messages = receive(client, group, topic, count).await;
    for batch in messages.chunks(32) {
        client.ack_ok(group, topic, batch).await.unwrap();
    }
    bodies(&messages)
}

/// Nothing comes within the shortest poll that the broker grants.
pub async fn nothing(client: &Client, group: &str, topic: &str) {
    let received = client.receive(&Receive::new(group, topic)).await.unwrap();
    assert_eq!(bodies(&received.messages), Vec::<String>::new());
    assert_eq!(received.code, Some(v2::Code::MessageNotFound));
}

pub fn bodies(messages: &[v2::Message]) -> Vec<String> {
    let mut bodies: Vec<_> = messages
        .iter()
        .map(|message| String::from_utf8_lossy(&message.body).into_owned())
        .collect();
    bodies.sort();
    bodies
}

/// `m-000`, `m-001`, …: sorted as they are numbered.
pub fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("m-{number:03}")).collect()
}

/// The offsets that a group was given, by queue.
pub fn offsets(messages: &[v2::Message]) -> BTreeMap<i32, Vec<i64>> {
    let mut offsets = BTreeMap::<_, Vec<_>>::new();
    for properties in messages
        .iter()
        .filter_map(|message| message.system_properties.as_ref())
    {
        offsets
            .entry(properties.queue_id)
            .or_default()
            .extend(properties.queue_offset);
    }
    offsets.values_mut().for_each(|offsets| offsets.sort_unstable());
    offsets
}
