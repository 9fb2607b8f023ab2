//! A broker over a small disk, and one client that remembers what was acknowledged.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sluice_proto::v2::{self, Code};
use sluice_tests::client::{Client, Receive, code, message};
use sluice_tests::process::{Broker, Setup};
use sluice_tests::small_disk::SmallDisk;
use sluice_tests::wait;

pub const TOPIC: &str = "orders";
pub const GROUP: &str = "billing";
/// Long enough for a busy machine; retention looks every ten seconds.
pub const SOON: Duration = Duration::from_secs(60);
const BODY: usize = 48 << 10;
const DISK_MIB: u32 = 64;
/// More than the disk takes.
const SENDS_MAX: usize = 3_000;

/// What a send was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    Acknowledged,
    Refused(Code, String),
    /// There was no answer: it may be there or not.
    Unknown,
}

/// The broker goes before its disk.
pub struct Stage {
    pub broker: Broker,
    pub disk: SmallDisk,
    pub client: Client,
    pub acknowledged: BTreeSet<String>,
    pub unknown: BTreeSet<String>,
    next: usize,
}

/// The marks that a broker has unless it is told otherwise.
pub const MARKS: [(&str, &str); 3] = [
    ("--early-retention-percent", "75"),
    ("--forced-retention-percent", "85"),
    ("--refuse-sends-percent", "90"),
];

/// Without any mark.
pub fn setup(disk: &SmallDisk) -> Setup {
    Setup::new()
        .data_dir(&disk.path().join("data"))
        .flag("--segment-size", "1MiB")
        .flag("--checkpoint-seconds", "1")
}

impl Stage {
    /// With these marks.
    pub async fn new(marks: &[(&str, &str)]) -> Self {
        let disk = SmallDisk::new(DISK_MIB).unwrap();
        let setup = marks
            .iter()
            .fold(setup(&disk), |setup, (flag, percent)| setup.flag(flag, percent));
        // A file that can be changed.
        let broker = setup.config("").start().unwrap();
        let client = Client::new(&broker.endpoint()).unwrap();
        let mut stage = Self {
            broker,
            disk,
            client,
            acknowledged: BTreeSet::new(),
            unknown: BTreeSet::new(),
            next: 0,
        };
        // A group that is there has everything to read.
        assert_eq!(stage.send().await, Sent::Acknowledged);
        assert_eq!(stage.consume(1).await, 1);
        stage
    }

    /// Sends one more message.
    pub async fn send(&mut self) -> Sent {
        self.next += 1;
        let name = format!("{:06}", self.next);
        let body = format!("{name}{}", "x".repeat(BODY));
        let Ok(answer) = self.client.send(vec![message(TOPIC, body)]).await else {
            self.unknown.insert(name);
            return Sent::Unknown;
        };
        let entry = answer.entries.first().and_then(|entry| entry.status.clone());
        let status = entry.or(answer.status).unwrap();
        match code(Some(&status)) {
            Some(Code::Ok) => {
                self.acknowledged.insert(name);
                Sent::Acknowledged
            }
            Some(code) if (40_000..50_000).contains(&(code as i32)) => Sent::Refused(code, status.message),
            _ => {
                self.unknown.insert(name);
                Sent::Unknown
            }
        }
    }

    /// Sends until it is refused, and answers how.
    pub async fn send_until_refused(&mut self) -> (Code, String) {
        for _ in 0..SENDS_MAX {
            match self.send().await {
                Sent::Acknowledged => {}
                Sent::Refused(code, words) => return (code, words),
                Sent::Unknown => panic!("a send without an answer"),
            }
        }
        panic!("{SENDS_MAX} sends and none is refused");
    }

    /// Sends until one is taken, which must come by itself.
    pub async fn send_until_taken(&mut self) {
        let begun = Instant::now();
        loop {
            match self.send().await {
                Sent::Acknowledged => return,
                Sent::Refused(..) => {}
                Sent::Unknown => panic!("a send without an answer"),
            }
            assert!(
                begun.elapsed() < SOON,
                "sends are refused for ever: {}",
                self.figures()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Sends a message and receives it, and again, until a metric of the broker has come so far.
    pub async fn go_on_until(&mut self, name: &str, is_so: impl Fn(f64) -> bool) {
        let begun = Instant::now();
        while !self.broker.metric(name).is_ok_and(&is_so) {
            assert!(
                begun.elapsed() < SOON,
                "{name} does not come so far: {}",
                self.figures()
            );
            if self.send().await == Sent::Acknowledged {
                assert_eq!(self.consume(1).await, 1);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Receives and acknowledges `most` messages or a few more, or all there are, each of which must have been sent; answers how many came.
    pub async fn consume(&mut self, most: usize) -> usize {
        let mut got = 0;
        while got < most {
            let ask = Receive {
                batch: 16,
                ..Receive::new(GROUP, TOPIC)
            };
            let received = self.client.receive(&ask).await.unwrap();
            if received.messages.is_empty() {
                assert_eq!(received.code, Some(Code::MessageNotFound));
                break;
            }
            self.client
                .ack_ok(GROUP, TOPIC, &received.messages)
                .await
                .unwrap();
            got += received.messages.len();
            received.messages.iter().for_each(|message| self.take(message));
        }
        got
    }

    fn take(&mut self, message: &v2::Message) {
        assert_eq!(message.body.len(), 6 + BODY);
        let name = String::from_utf8(message.body[..6].to_vec()).unwrap();
        let known = self.acknowledged.remove(&name) || self.unknown.remove(&name);
        assert!(known, "{name} came twice, or was never sent");
    }

    /// Receives and acknowledges everything: all that was acknowledged must come, and nothing behind it that was refused.
    pub async fn drain(&mut self) {
        self.consume(usize::MAX).await;
        assert!(
            self.acknowledged.is_empty(),
            "lost: {:?}",
            self.acknowledged.iter().take(10).collect::<Vec<_>>()
        );
    }

    /// Waits until a metric of the broker has come so far.
    pub fn wait_for(&self, name: &str, is_so: impl Fn(f64) -> bool) {
        let what = format!("{name} has come so far: {}", self.figures());
        wait::until_true(&what, SOON, || self.broker.metric(name).is_ok_and(&is_so)).unwrap();
    }

    pub fn metric(&self, name: &str) -> f64 {
        self.broker.metric(name).unwrap()
    }

    pub fn refusals(&self, reason: &str) -> f64 {
        self.broker
            .metric_of("sluice_rejections_total", "reason", reason)
            .unwrap()
    }

    /// Kills the broker as it is, and starts it again.
    pub fn kill_and_restart(&mut self) {
        self.broker.kill().unwrap();
        self.broker.restart().unwrap();
        self.client = Client::new(&self.broker.endpoint()).unwrap();
    }

    /// What there is to say when something is not as it should be.
    pub fn figures(&self) -> String {
        let names = [
            "sluice_data_disk_used_ratio",
            "sluice_data_disk_level",
            "sluice_log_size_bytes",
            "sluice_checkpoints_total",
            "sluice_checkpoints_not_written_total",
        ];
        let figure = |name| format!("{name} {}", self.broker.metric(name).unwrap_or(f64::NAN));
        names.map(figure).join(", ")
    }
}
