//! Clients, and members of groups.

use super::group::{Subscription, subscriptions};
use crate::output::{Align, Fields, Show, Table};
use crate::units::{Seconds, count, seconds, span};
use serde::Serialize;
use sluice_proto::admin;
use sluice_proto::admin::ClientRole;

/// A client.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Client {
    /// Its id.
    pub client_id: String,
    /// `producer`, `consumer` or `unknown`.
    pub role: &'static str,
    /// A consumer's group.
    pub group: Option<String>,
    /// What a producer sends to.
    pub topics: Vec<String>,
    /// As it says.
    pub language: String,
    /// Of its library.
    pub version: String,
    /// Of its last call.
    pub address: String,
    /// Whether it is there.
    pub connected: bool,
    /// Since its last call.
    pub idle_seconds: Seconds,
    /// What it reads.
    pub subscriptions: Vec<Subscription>,
    /// What it holds.
    pub held: Vec<Held>,
    /// How it fares.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What it holds of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The topic.
    pub topic: String,
    /// The queue.
    pub queue: u32,
    /// Messages.
    pub messages: u64,
    /// Age of the oldest delivery.
    pub oldest_seconds: Seconds,
}

/// How it fares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Messages that it was given.
    pub delivered: u64,
    /// Of them done.
    pub acknowledged: u64,
    /// Of them refused: they are to come again.
    pub refused: u64,
    /// Over the last minute.
    pub delivered_per_second: f64,
    /// Over the last minute.
    pub acknowledged_per_second: f64,
    /// From delivery to acknowledgement, over the last minute.
    pub handling_ms_mean: Option<f64>,
    /// The longest of these.
    pub handling_ms_max: Option<f64>,
    /// Messages that it holds.
    pub inflight: u64,
    /// Age of the oldest of them.
    pub oldest_inflight_seconds: Seconds,
    /// Messages that it has sent.
    pub sent: u64,
    /// Over the last minute.
    pub sent_per_second: f64,
}

impl From<admin::ClientFigures> for Figures {
    fn from(figures: admin::ClientFigures) -> Self {
        Self {
            delivered: figures.delivered,
            acknowledged: figures.acknowledged,
            refused: figures.refused,
            delivered_per_second: figures.delivered_per_second,
            acknowledged_per_second: figures.acknowledged_per_second,
            handling_ms_mean: figures.handling_ms_mean,
            handling_ms_max: figures.handling_ms_max,
            inflight: figures.inflight,
            oldest_inflight_seconds: seconds(figures.oldest_inflight_ms),
            sent: figures.sent,
            sent_per_second: figures.sent_per_second,
        }
    }
}

fn held(held: Vec<admin::Held>) -> Vec<Held> {
    let one = |held: admin::Held| Held {
        topic: held.topic,
        queue: held.queue,
        messages: held.messages,
        oldest_seconds: seconds(held.oldest_ms),
    };
    held.into_iter().map(one).collect()
}

impl From<admin::Client> for Client {
    fn from(client: admin::Client) -> Self {
        let role = match ClientRole::try_from(client.role) {
            Ok(ClientRole::Producer) => "producer",
            Ok(ClientRole::Consumer) => "consumer",
            Ok(ClientRole::Unspecified) | Err(_) => "unknown",
        };
        Self {
            client_id: client.client_id,
            role,
            group: Some(client.group).filter(|group| !group.is_empty()),
            topics: client.topics,
            language: client.language,
            version: client.version,
            address: client.address,
            connected: client.connected,
            idle_seconds: seconds(client.idle_ms),
            subscriptions: client.subscriptions.into_iter().map(Subscription::from).collect(),
            held: held(client.held),
            figures: client.figures.unwrap_or_default().into(),
        }
    }
}

impl Client {
    /// A member of a group.
    pub fn of_member(group: &str, member: admin::Member) -> Self {
        Self {
            client_id: member.client_id,
            role: "consumer",
            group: Some(group.to_owned()),
            topics: Vec::new(),
            language: member.language,
            version: member.version,
            address: member.address,
            connected: member.connected,
            idle_seconds: seconds(member.idle_ms),
            subscriptions: member.subscriptions.into_iter().map(Subscription::from).collect(),
            held: held(member.held),
            figures: member.figures.unwrap_or_default().into(),
        }
    }

    pub(super) fn library(&self) -> String {
        [self.language.as_str(), self.version.as_str()]
            .join(" ")
            .trim()
            .to_owned()
    }

    fn subject(&self) -> String {
        match &self.group {
            Some(group) => group.clone(),
            None => self.topics.join(", "),
        }
    }
}

/// Clients by id.
#[derive(Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Clients(pub Vec<Client>);

impl Show for Clients {
    fn text(&self, wide: bool) -> String {
        let mut columns = vec![
            ("CLIENT", Align::Left),
            ("ROLE", Align::Left),
            ("GROUP OR TOPICS", Align::Left),
            ("ADDRESS", Align::Left),
            ("IDLE", Align::Right),
            ("HOLDS", Align::Right),
            ("OLDEST", Align::Right),
        ];
        if wide {
            columns.extend([
                ("LIBRARY", Align::Left),
                ("IN/S", Align::Right),
                ("OUT/S", Align::Right),
            ]);
        }
        let mut table = Table::new("no clients", &columns);
        for client in &self.0 {
            let figures = &client.figures;
            let idle = if client.connected {
                client.idle_seconds.to_string()
            } else {
                "gone".to_owned()
            };
            let mut row = vec![
                client.client_id.clone(),
                client.role.to_owned(),
                client.subject(),
                client.address.clone(),
                idle,
                count(figures.inflight),
                figures.oldest_inflight_seconds.to_string(),
            ];
            if wide {
                row.extend([
                    client.library(),
                    rate(figures.sent_per_second),
                    rate(figures.delivered_per_second),
                ]);
            }
            table.row(row);
        }
        table.render()
    }
}

pub(super) fn rate(per_second: f64) -> String {
    format!("{per_second:.1}")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float is cut to what fits, and times are not negative"
)]
pub(super) fn millis(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.1}ms")
    } else {
        span(ms as u64)
    }
}

pub(super) fn held_queues(held: &[Held]) -> String {
    let texts: Vec<String> = held
        .iter()
        .map(|held| {
            format!(
                "{}/{}: {} ({})",
                held.topic,
                held.queue,
                count(held.messages),
                held.oldest_seconds
            )
        })
        .collect();
    texts.join(", ")
}

impl Show for Client {
    fn text(&self, _wide: bool) -> String {
        let figures = &self.figures;
        let handling = match (figures.handling_ms_mean, figures.handling_ms_max) {
            (Some(mean), Some(max)) => format!("{} on average, {} at most", millis(mean), millis(max)),
            _ => String::new(),
        };
        Fields::default()
            .with("client", &self.client_id)
            .with("role", self.role)
            .with("group", self.group.clone().unwrap_or_default())
            .with("topics", self.topics.join(", "))
            .with("subscriptions", subscriptions(&self.subscriptions))
            .with("library", self.library())
            .with("address", &self.address)
            .with("connected", if self.connected { "yes" } else { "no" })
            .with("idle", self.idle_seconds.to_string())
            .with(
                "sent",
                format!(
                    "{}, {} a second",
                    count(figures.sent),
                    rate(figures.sent_per_second)
                ),
            )
            .with(
                "delivered",
                format!(
                    "{}, {} a second",
                    count(figures.delivered),
                    rate(figures.delivered_per_second)
                ),
            )
            .with(
                "acknowledged",
                format!(
                    "{}, {} a second",
                    count(figures.acknowledged),
                    rate(figures.acknowledged_per_second)
                ),
            )
            .with("refused", count(figures.refused))
            .with("handling", handling)
            .with("holds", count(figures.inflight))
            .with("oldest held", figures.oldest_inflight_seconds.to_string())
            .with("held queues", held_queues(&self.held))
            .render()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::output::{Format, Report as _};
    use serde_json::{Value, json};

    pub(in crate::views) fn client() -> Client {
        Client::from(admin::Client {
            client_id: "host@1".to_owned(),
            role: ClientRole::Consumer.into(),
            group: "readers".to_owned(),
            language: "JAVA".to_owned(),
            version: "5.2.0".to_owned(),
            address: "10.0.0.7:5000".to_owned(),
            connected: true,
            idle_ms: 1500,
            held: vec![admin::Held {
                topic: "orders".to_owned(),
                queue: 2,
                messages: 7,
                oldest_ms: 30_000,
            }],
            figures: Some(admin::ClientFigures {
                delivered: 100,
                acknowledged: 93,
                handling_ms_mean: Some(12.5),
                handling_ms_max: Some(40.0),
                inflight: 7,
                oldest_inflight_ms: 30_000,
                ..Default::default()
            }),
            ..Default::default()
        })
    }

    #[test]
    fn a_client_in_json_has_its_figures() {
        let json: Value = serde_json::from_str(&client().render(Format::Json, false)).unwrap();
        assert_eq!(
            (&json["role"], &json["group"]),
            (&json!("consumer"), &json!("readers"))
        );
        assert_eq!(
            (&json["delivered"], &json["handling_ms_mean"]),
            (&json!(100), &json!(12.5))
        );
        assert_eq!(
            json["held"],
            json!([{"topic": "orders", "queue": 2, "messages": 7, "oldest_seconds": 30}])
        );
    }

    #[test]
    fn lists_are_tables_with_what_each_holds() {
        let clients = Clients(vec![client()]);
        assert_eq!(
            clients.text(false),
            "CLIENT   ROLE       GROUP OR TOPICS   ADDRESS         IDLE   HOLDS   OLDEST\n\
             host@1   consumer   readers           10.0.0.7:5000   1.5s       7      30s"
        );
    }
}
