//! What the admin API says of a folder: each message by its id, its place and its keys, and what groups have left.

use std::collections::{BTreeMap, BTreeSet};

use sluice_proto::admin;
use sluice_proto::admin::get_message_request::Which;
use sluice_tests::admin::Admin;
use sluice_tests::fixture::{Fixture, Kept, Reading};
use sluice_tests::process::Broker;

/// Every message is found by its id, by its place, and by each of its keys.
pub async fn messages(broker: &Broker, fixture: &Fixture) {
    let admin = Admin::new(&broker.admin_endpoint()).unwrap();
    for (topic, kept) in &fixture.topics {
        let mut by_key = BTreeMap::<_, BTreeSet<_>>::new();
        for kept in kept {
            let place = admin::MessagePlace {
                topic: topic.clone(),
                queue: kept.queue as u32,
                offset: kept.offset as u64,
            };
            for which in [Which::MessageId(kept.id.clone()), Which::Place(place)] {
                let what = format!("{which:?} in {topic}");
                let request = admin::GetMessageRequest {
                    topic: topic.clone(),
                    which: Some(which),
                };
                let found = admin.messages().get_message(request).await;
                let found = found
                    .unwrap_or_else(|status| panic!("{what}: {status}"))
                    .into_inner();
                assert_eq!(said(&found), *kept, "{what}");
            }
            for key in &kept.keys {
                by_key.entry(key.clone()).or_default().insert(kept.id.clone());
            }
        }
        for (key, ids) in by_key {
            assert_eq!(with_key(&admin, topic, &key).await, ids, "{key} in {topic}");
        }
    }
}

async fn with_key(admin: &Admin, topic: &str, key: &str) -> BTreeSet<String> {
    let request = admin::FindMessagesRequest {
        topic: topic.to_owned(),
        key: key.to_owned(),
        page_size: 1000,
        ..Default::default()
    };
    let found = admin
        .messages()
        .find_messages(request)
        .await
        .unwrap()
        .into_inner();
    found
        .messages
        .into_iter()
        .map(|message| message.message_id)
        .collect()
}

/// A found message in the words of a fixture.
fn said(found: &admin::Message) -> Kept {
    Kept {
        id: found.message_id.clone(),
        queue: found.queue as i32,
        offset: found.offset as i64,
        born_ms: found.born_ms as i64,
        body_bytes: found.body.len(),
        body_crc32: crc32fast::hash(&found.body),
        tag: found.tag.clone(),
        keys: found.keys.clone(),
        message_group: found.message_group.clone(),
        properties: found.properties.clone().into_iter().collect(),
        origin: found.origin_topic.clone(),
    }
}

/// Before anyone receives, each group's lag is what it has left. What a group skips by a tag is lag until it does.
pub async fn lags(broker: &Broker, fixture: &Fixture) {
    let admin = Admin::new(&broker.admin_endpoint()).unwrap();
    for reading in fixture.readings.iter().filter(|reading| reading.tags == "*") {
        assert_eq!(
            lag(&admin, reading).await,
            reading.left.len() + reading.dying.len(),
            "{reading:?}"
        );
    }
}

async fn lag(admin: &Admin, reading: &Reading) -> usize {
    let request = admin::GetLagRequest {
        group: reading.group.clone(),
        topic: reading.topic.clone(),
    };
    let lag = admin.groups().get_lag(request).await.unwrap().into_inner();
    lag.topics.iter().map(|topic| topic.lag as usize).sum()
}
