//! A broker, its admin API, and clients that announce themselves.

use std::time::Duration;

use anyhow::Context as _;
use sluice_proto::admin::{Client as Shown, DescribeClientRequest, ListMembersRequest, Member};
use sluice_proto::v2;
use sluice_tests::admin::Admin;
use sluice_tests::client::{Client, Receive, Session, message, push_consumer_settings};
use sluice_tests::process::{Broker, Setup};
use sluice_tests::wait;

/// Long enough for a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

pub struct Stage {
    pub broker: Broker,
    pub admin: Admin,
}

impl Stage {
    pub fn new() -> Self {
        Self::with("topics:\n  - {name: orders, queues: 2}\ngroups:\n  - {name: workers, maxAttempts: 5}\n")
    }

    pub fn with(init: &str) -> Self {
        let broker = Setup::new().init(init).start().unwrap();
        let admin = Admin::new(&broker.admin_endpoint()).unwrap();
        Self { broker, admin }
    }

    /// Kills the broker and starts it again.
    pub fn restart(&mut self) {
        self.broker.kill().unwrap();
        self.broker.restart().unwrap();
        // The connection of before has broken.
        self.admin = Admin::new(&self.broker.admin_endpoint()).unwrap();
    }

    pub fn client(&self) -> Client {
        Client::new(&self.broker.endpoint()).unwrap()
    }

    /// A client that announces itself as a push consumer of all of `orders`.
    pub async fn push_consumer(&self, group: &str) -> (Client, Session) {
        let client = self.client();
        let settings = push_consumer_settings(&client, group, &[("orders", "*")]);
        let session = Session::open(&client, settings).await.unwrap();
        (client, session)
    }

    pub async fn send(&self, client: &Client, count: usize) {
        for number in 0..count {
            let message = message("orders", format!("m-{number:03}"));
            client.send_ok(message).await.unwrap();
        }
    }

    pub async fn describe(&self, client_id: &str) -> Shown {
        let request = DescribeClientRequest {
            client_id: client_id.to_owned(),
        };
        self.admin
            .clients()
            .describe_client(request)
            .await
            .unwrap()
            .into_inner()
    }

    pub async fn members(&self, group: &str) -> Vec<Member> {
        let request = ListMembersRequest {
            group: group.to_owned(),
        };
        let members = self.admin.groups().list_members(request).await;
        members.unwrap().into_inner().members
    }
}

/// Receives as a push consumer until there are so many, and holds them.
pub async fn push(client: &Client, group: &str, count: usize) -> Vec<v2::Message> {
    let mut messages = Vec::new();
    wait::until_async("messages come", SOON, async || {
        let receive = Receive {
            auto_renew: true,
            batch: (count - messages.len()) as i32,
            ..Receive::new(group, "orders")
        };
        messages.extend(client.receive(&receive).await.context("a receive")?.messages);
        Ok((messages.len() == count).then_some(()))
    })
    .await
    .unwrap();
    messages
}
