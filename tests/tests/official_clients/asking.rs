//! What producers and simple consumers answer an operator (B11); of push consumers watching.rs tells.

use sluice_proto::admin::*;
use sluice_tests::admin::{Admin, reason};
use sluice_tests::wait;
use tonic::{Response, Status};

use sluice_tests::driver::Language;

use crate::stage::{SOON, Stage};

async fn stacks(admin: &Admin, client: &str) -> Result<String, Status> {
    let request = GetThreadStacksRequest {
        client_id: client.to_owned(),
        timeout_ms: SOON.as_millis() as u64,
    };
    let told = admin.clients().get_thread_stacks(request).await?;
    Ok(told.into_inner().stacks)
}

async fn verify(admin: &Admin, client: &str, message: &str) -> Result<String, Status> {
    let request = VerifyMessageRequest {
        client_id: client.to_owned(),
        topic: "orders".to_owned(),
        message_id: message.to_owned(),
        timeout_ms: SOON.as_millis() as u64,
    };
    let told = admin.clients().verify_message(request).await?;
    Ok(told.into_inner().code)
}

/// The one connected client of the role.
async fn the_client(admin: &Admin, role: ClientRole) -> Client {
    wait::until_async("the client has announced itself", SOON, async || {
        let request = ListClientsRequest {
            role: role.into(),
            ..Default::default()
        };
        let listed = admin
            .clients()
            .list_clients(request)
            .await
            .map(Response::into_inner);
        let mut clients = listed?.clients;
        assert!(clients.len() <= 1, "{clients:?}");
        Ok(clients.pop().filter(|client| client.connected))
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_every_kind_are_told_and_show_the_stacks_of_their_threads() {
    let stage = Stage::with_init(Language::Java, &["{name: orders}"], &[]);
    let admin = Admin::new(&stage.broker.admin_endpoint()).unwrap();
    stage.producer("orders");
    stage.simple_consumer("reader", "readers", "orders", "red || blue");
    let (producer, reader) = (
        the_client(&admin, ClientRole::Producer).await,
        the_client(&admin, ClientRole::Consumer).await,
    );
    for client in [&producer, &reader] {
        assert_eq!(
            (client.language.as_str(), client.version.is_empty()),
            ("JAVA", false)
        );
        let stacks = stacks(&admin, &client.client_id).await.unwrap();
        assert!(stacks.contains("dev.sluice.driver.Driver"), "{stacks}");
    }
    assert_eq!(
        (producer.topics.as_slice(), producer.group.as_str()),
        (&["orders".to_owned()][..], "")
    );
    let read = &reader.subscriptions[0];
    assert_eq!(
        (read.topic.as_str(), read.expression.as_str()),
        ("orders", "red || blue")
    );
    assert_eq!(reader.group, "readers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_listener_says_that_it_cannot_try_a_message() {
    let stage = Stage::with_init(Language::Java, &["{name: orders}"], &[]);
    let admin = Admin::new(&stage.broker.admin_endpoint()).unwrap();
    stage.producer("orders");
    let ids = stage.send_bodies("orders", &["m".to_owned()]);
    stage.simple_consumer("reader", "readers", "orders", "*");
    for role in [ClientRole::Producer, ClientRole::Consumer] {
        let client = the_client(&admin, role).await.client_id;
        let refusal = verify(&admin, &client, &ids[0]).await.unwrap_err();
        assert_eq!(reason(&refusal), "CLIENT_REFUSES", "{role:?}: {refusal:?}");
        assert!(refusal.message().contains("NOT_IMPLEMENTED"), "{refusal:?}");
    }
}
