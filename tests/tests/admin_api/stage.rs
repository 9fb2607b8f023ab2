//! A broker with its admin API at hand, and a little traffic.

use std::time::{Duration, Instant};

use sluice_proto::v2;
use sluice_tests::admin::{Admin, reason};
use sluice_tests::client::{Client, Receive, message};
use sluice_tests::process::{Broker, Setup};
use sluice_tests::wait;
use tonic::{Code, Response, Status};

/// Long enough for a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// A broker, started.
pub struct Stage {
    pub broker: Broker,
    pub admin: Admin,
    pub client: Client,
}

impl Stage {
    pub fn new() -> Self {
        Self::of(Setup::new())
    }

    /// With topics and groups as the file of `--init` has them.
    pub fn with(init: &str) -> Self {
        Self::of(Setup::new().init(init))
    }

    pub fn of(setup: Setup) -> Self {
        let broker = setup.start().unwrap();
        let admin = Admin::new(&broker.admin_endpoint()).unwrap();
        let client = Client::new(&broker.endpoint()).unwrap();
        Self {
            broker,
            admin,
            client,
        }
    }

    /// As `kill -9` does, and up again; connections are made anew on first use.
    pub async fn kill_and_start(&mut self) {
        self.broker.kill().unwrap();
        self.broker.restart().unwrap();
        self.admin = Admin::new(&self.broker.admin_endpoint()).unwrap();
        self.client = Client::new(&self.broker.endpoint()).unwrap();
    }

    /// Until so many receives wait.
    pub async fn until_polls(&self, polls: usize) {
        wait::until("receives wait", SOON, || {
            Ok((self.broker.metric("sluice_polls")? as usize >= polls).then_some(()))
        })
        .unwrap();
    }

    pub async fn send(&self, topic: &str, count: usize) {
        for number in 0..count {
            let message = message(topic, format!("m-{number:03}"));
            self.client.send_ok(message).await.unwrap();
        }
    }

    /// Receives so many and holds them.
    pub async fn receive(&self, group: &str, topic: &str, count: usize) -> Vec<v2::Message> {
        let deadline = Instant::now() + SOON;
        let mut messages = Vec::new();
        while messages.len() < count {
            assert!(
                Instant::now() < deadline,
                "{} of {count} messages",
                messages.len()
            );
            let receive = Receive {
                batch: (count - messages.len()) as i32,
                ..Receive::new(group, topic)
            };
            messages.extend(self.client.receive(&receive).await.unwrap().messages);
        }
        messages
    }

    /// Receives so many and acknowledges them.
    pub async fn consume(&self, group: &str, topic: &str, count: usize) {
        let messages = self.receive(group, topic, count).await;
        for batch in messages.chunks(32) {
            self.client.ack_ok(group, topic, batch).await.unwrap();
        }
    }
}

/// A call is refused with this code and reason, and says something with `part` in it.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(answer: Result<Response<T>, Status>, code: Code, why: &str, part: &str) {
    let status = answer.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (code, why),
        "{status:?}"
    );
    assert!(status.message().contains(part), "{status:?} should say {part:?}");
}
