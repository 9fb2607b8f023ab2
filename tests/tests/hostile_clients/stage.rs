//! A broker, and what must hold of it after each attack.

use std::time::Duration;

use anyhow::Result;
use sluice_proto::v2::Code;
use sluice_tests::client::{Client, Receive, message};
use sluice_tests::process::Broker;
use sluice_tests::wait;

/// Long enough for a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// A client that behaves sends and receives.
pub async fn serves(broker: &Broker) {
    let client = Client::new(&broker.endpoint()).unwrap();
    let served = async {
        for _ in 0..10 {
            client
                .send_ok(message("orders", "of a client that behaves"))
                .await?;
        }
        let mut count = 0;
        while count < 10 {
            let received = client.receive(&Receive::new("readers", "orders")).await?;
            client.ack_ok("readers", "orders", &received.messages).await?;
            count += received.messages.len();
        }
        Ok(())
    };
    wait::within("a client that behaves is served", SOON, served)
        .await
        .unwrap();
}

/// Waits until clients have no connection any more.
pub fn nobody_is_connected(broker: &Broker) {
    wait::until("the connections are gone", SOON, || {
        Ok((connections(broker)? == 0.0).then_some(()))
    })
    .unwrap();
}

fn connections(broker: &Broker) -> Result<f64> {
    broker.metric_of("sluice_connections", "listener", "client")
}

/// How often something was refused because of a bound.
pub fn refused(broker: &Broker, reason: &str) -> f64 {
    broker
        .metric_of("sluice_rejections_total", "reason", reason)
        .unwrap()
}

/// Memory of the process that no file stands behind.
pub fn anonymous_mib(broker: &Broker) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.id().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}

/// The most memory that the process has had at one time.
pub fn memory_mib(broker: &Broker) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.id().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}

/// Waits for the answer to be one of too many requests, or of success: whatever else is a defect.
pub fn is_known(code: Option<Code>) -> bool {
    matches!(code, Some(Code::Ok | Code::TooManyRequests))
}
