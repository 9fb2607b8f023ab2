//! The broker of today over the folders of then.

use std::path::Path;

use sluice_proto::v2;
use sluice_tests::client::{Client, fifo_message, message, message_id};
use sluice_tests::fixture::Fixture;
use sluice_tests::process::{BROKER_NAME, Broker, Setup};
use sluice_tests::sluicectl::Sluicectl;

use crate::looking_up;
use crate::reading::{audit, drain, finish, is_dead_letter_topic};

fn client(broker: &Broker) -> Client {
    Client::new(&broker.endpoint()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_an_earlier_release_has_every_message_and_every_group_where_it_was() {
    for folder in Fixture::folders().unwrap() {
        println!("opening {}", folder.display());
        let fixture = Fixture::of(&folder).unwrap();
        let mut broker = Setup::new()
            .start_over(|data_dir| {
                Fixture::unpack(&folder, data_dir)?;
                sound(data_dir);
                Ok(())
            })
            .unwrap();

        looking_up::lags(&broker, &fixture).await;
        looking_up::messages(&broker, &fixture).await;
        finish(&client(&broker), &fixture).await;
        audit(&client(&broker), &fixture, "auditor-of-today").await;

        // What was done to it is as durable as anything.
        broker.kill().unwrap();
        broker.restart().unwrap();
        works_on(&client(&broker), &fixture).await;
        assert!(broker.stop().unwrap().success());
        sound(broker.data_dir());
    }
}

/// `sluicectl` finds nothing to complain of in the files of a broker that does not run.
fn sound(data_dir: &Path) {
    let folder = data_dir.join(BROKER_NAME).display().to_string();
    let said = Sluicectl::new().unwrap().ok(&["log", "verify", &folder]).unwrap();
    assert!(said.starts_with("sound: "), "{said}");
}

/// Its groups are given what is sent now, and nothing of what they had done.
async fn works_on(client: &Client, fixture: &Fixture) {
    let topics = fixture
        .topics
        .iter()
        .filter(|(topic, _)| !is_dead_letter_topic(topic));
    for (topic, kept) in topics {
        let is_fifo = kept.iter().any(|kept| kept.message_group.is_some());
        let mut sent: Vec<_> = (0..20)
            .map(|number| new_message(topic, is_fifo, number))
            .collect();
        for message in &sent {
            let offset = client.send_ok(message.clone()).await.unwrap();
            assert!(offset > 0, "{topic} begins anew");
        }
        sent.sort_by_key(message_id);
        for reading in fixture.readings.iter().filter(|reading| reading.topic == *topic) {
            let found = drain(client, &reading.group, topic, &reading.tags, sent.len()).await;
            let mut found: Vec<_> = found.iter().map(message_id).collect();
            found.sort();
            let sent: Vec<_> = sent.iter().map(message_id).collect();
            assert_eq!(found, sent, "{} in {topic}", reading.group);
        }
    }
}

fn new_message(topic: &str, is_fifo: bool, number: usize) -> v2::Message {
    let body = format!("new {number}");
    let mut message = if is_fifo {
        fifo_message(topic, &format!("account-{}", number % 4), body)
    } else {
        message(topic, body)
    };
    if let Some(properties) = &mut message.system_properties {
        properties.tag = Some("red".to_owned());
    }
    message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_derived_from_the_log_of_an_earlier_release_can_be_made_again() {
    for folder in Fixture::folders().unwrap() {
        println!("rebuilding {}", folder.display());
        let fixture = Fixture::of(&folder).unwrap();
        let without_derived = |data_dir: &Path| {
            Fixture::unpack(&folder, data_dir)?;
            for derived in ["queue", "index", "checkpoint"] {
                std::fs::remove_dir_all(data_dir.join(BROKER_NAME).join(derived))?;
            }
            Ok(())
        };
        let broker = Setup::new().start_over(without_derived).unwrap();
        looking_up::messages(&broker, &fixture).await;
        finish(&client(&broker), &fixture).await;
        audit(&client(&broker), &fixture, "auditor-of-today").await;
    }
}
