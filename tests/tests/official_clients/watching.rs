//! The official client while it is watched: settings that reach it as it runs, the stacks of its threads, and messages
//! that it tries (B7, B11).

use std::time::Duration;

use serde_json::json;
use sluice_proto::admin::{
    Backoff, Client, CustomizedBackoff, GetThreadStacksRequest, GroupSpec, ListClientsRequest,
    UpdateGroupRequest, VerifyMessageRequest, VerifyMessageResponse, backoff,
};
use sluice_tests::admin::Admin;
use tokio::runtime::{Builder, Runtime};
use tonic::{Code, Status};

use sluice_tests::driver::Language;

use crate::stage::{SOON, Stage, numbered, of_kind, text};

/// The admin API beside a stage whose clients run by themselves.
pub struct Watcher {
    runtime: Runtime,
    admin: Admin,
}

impl Watcher {
    pub fn of(stage: &Stage) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let admin = runtime.block_on(async { Admin::new(&stage.broker.admin_endpoint()) });
        Self {
            admin: admin.unwrap(),
            runtime,
        }
    }

    /// The only client of the group; of producers if that is empty.
    pub fn only_client(&self, group: &str) -> Client {
        let list = async {
            self.admin
                .clients()
                .list_clients(ListClientsRequest::default())
                .await
        };
        let clients = self.runtime.block_on(list).unwrap().into_inner().clients;
        let mut of_group = clients.into_iter().filter(|client| client.group == group);
        let client = of_group.next().unwrap();
        assert!(of_group.next().is_none());
        client
    }

    pub fn update(&self, group: &str, spec: GroupSpec) -> u32 {
        let request = UpdateGroupRequest {
            name: group.to_owned(),
            spec: Some(spec),
            ..UpdateGroupRequest::default()
        };
        let updated = async { self.admin.groups().update_group(request).await };
        self.runtime.block_on(updated).unwrap().into_inner().clients_told
    }

    pub fn stacks(&self, client_id: &str) -> String {
        let request = GetThreadStacksRequest {
            client_id: client_id.to_owned(),
            timeout_ms: 20_000,
        };
        let stacks = async { self.admin.clients().get_thread_stacks(request).await };
        self.runtime.block_on(stacks).unwrap().into_inner().stacks
    }

    pub fn verify(&self, client_id: &str, message_id: &str) -> Result<VerifyMessageResponse, Status> {
        let request = VerifyMessageRequest {
            client_id: client_id.to_owned(),
            topic: "orders".to_owned(),
            message_id: message_id.to_owned(),
            timeout_ms: 20_000,
        };
        let verdict = async { self.admin.clients().verify_message(request).await };
        self.runtime.block_on(verdict).map(tonic::Response::into_inner)
    }
}

fn waits(steps_ms: &[u64]) -> GroupSpec {
    let steps = CustomizedBackoff {
        steps_ms: steps_ms.to_vec(),
    };
    GroupSpec {
        backoff: Some(Backoff {
            strategy: Some(backoff::Strategy::Customized(steps)),
        }),
        ..GroupSpec::default()
    }
}

#[test]
fn a_changed_back_off_is_the_clients_from_then_on() {
    let stage = Stage::with_init(
        Language::Java,
        &["{name: orders}"],
        &["{name: workers, backoff: [1h]}"],
    );
    stage.producer("orders");
    stage.push_consumer("worker", "workers", "orders", json!({"failFirst": 1}));
    let watcher = Watcher::of(&stage);
    assert_eq!(watcher.update("workers", waits(&[1000])), 1);
    // The settings are on their way before the message is: an answer by the same stream comes behind them.
    watcher.stacks(&watcher.only_client("workers").client_id);
    stage.send_bodies("orders", &numbered(1));
    // The client itself says for how long a message is hidden that its handler has refused.
    let events = stage.handled("worker", 1, SOON);
    let received: Vec<_> = events.iter().filter(|event| event.kind == "received").collect();
    assert_eq!(received.len(), 2);
    let waited = received[1].at - received[0].at;
    assert!(waited >= Duration::from_millis(900), "{waited:?}");
}

#[test]
fn the_client_shows_the_stacks_of_its_threads() {
    let stage = Stage::new(Language::Java);
    stage.producer("orders");
    stage.push_consumer("worker", "workers", "orders", json!({"holdMs": 60_000}));
    stage.send_bodies("orders", &numbered(1));
    stage
        .driver
        .wait_for("a message is being handled", SOON, |events| {
            (!events.is_empty()).then_some(())
        })
        .unwrap();
    let watcher = Watcher::of(&stage);
    let worker = watcher.only_client("workers");
    assert_eq!(
        (worker.language.as_str(), worker.version.is_empty()),
        ("JAVA", false)
    );
    let stacks = watcher.stacks(&worker.client_id);
    assert!(
        stacks.contains("dev.sluice.driver.PushConsumers.handle"),
        "where the handler sleeps: {stacks}"
    );
    let producer = watcher.only_client("");
    assert_eq!(producer.topics, ["orders"]);
    assert!(!watcher.stacks(&producer.client_id).is_empty());
}

#[test]
fn the_client_tries_a_message_and_says_how_that_went() {
    let stage = Stage::with_init(
        Language::Java,
        &["{name: orders}"],
        &["{name: workers}", "{name: failers}"],
    );
    stage.producer("orders");
    stage.push_consumer("worker", "workers", "orders", json!({}));
    let ids = stage.send_bodies("orders", &numbered(1));
    stage.handled("worker", 1, SOON);
    stage.settled();
    let watcher = Watcher::of(&stage);
    let worker = watcher.only_client("workers").client_id;

    assert_eq!(watcher.verify(&worker, &ids[0]).unwrap().code, "OK");

    let events = stage.handled("worker", 2, SOON);
    let handled = of_kind(&events, "handled");
    assert_eq!(
        (text(handled[1], "messageId"), text(handled[1], "body")),
        (ids[0].clone(), "m-000".to_owned())
    );
    let figures = watcher.only_client("workers").figures.unwrap();
    assert_eq!(
        (figures.delivered, figures.acknowledged),
        (1, 1),
        "a trial is no delivery"
    );

    stage.push_consumer("failer", "failers", "orders", json!({"failFirst": 100}));
    let failer = watcher.only_client("failers").client_id;
    assert_eq!(
        watcher.verify(&failer, &ids[0]).unwrap().code,
        "FAILED_TO_CONSUME_MESSAGE"
    );
    let producer = watcher.only_client("").client_id;
    let cannot = watcher.verify(&producer, &ids[0]).unwrap_err();
    assert_eq!(cannot.code(), Code::Unimplemented, "{cannot:?}");
    assert!(cannot.message().contains("answers NOT_IMPLEMENTED"), "{cannot:?}");
}
