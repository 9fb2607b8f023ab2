//! The members of a group, and what they answer.

use super::client::{Client, held_queues, millis, rate};
use super::group::subscriptions;
use crate::output::{Align, Fields, Show, Table};
use crate::units::count;
use serde::Serialize;

/// The members of a group.
#[derive(Debug, PartialEq, Serialize)]
pub struct Members {
    /// The group.
    pub group: String,
    /// By id.
    pub members: Vec<Client>,
}

impl Show for Members {
    fn text(&self, wide: bool) -> String {
        let mut columns = vec![
            ("CLIENT", Align::Left),
            ("ADDRESS", Align::Left),
            ("IDLE", Align::Right),
            ("READS", Align::Left),
            ("HOLDS", Align::Right),
            ("OLDEST", Align::Right),
            ("DONE/S", Align::Right),
            ("REFUSED", Align::Right),
            ("HANDLING", Align::Right),
        ];
        if wide {
            columns.extend([("LIBRARY", Align::Left), ("HELD QUEUES", Align::Left)]);
        }
        let mut table = Table::new("the group has no members", &columns);
        for member in &self.members {
            let figures = &member.figures;
            let idle = if member.connected {
                member.idle_seconds.to_string()
            } else {
                "gone".to_owned()
            };
            let mut row = vec![
                member.client_id.clone(),
                member.address.clone(),
                idle,
                subscriptions(&member.subscriptions),
                count(figures.inflight),
                figures.oldest_inflight_seconds.to_string(),
                rate(figures.acknowledged_per_second),
                count(figures.refused),
                figures.handling_ms_mean.map_or_else(String::new, millis),
            ];
            if wide {
                row.extend([member.library(), held_queues(&member.held)]);
            }
            table.row(row);
        }
        table.render()
    }
}

/// What clients answered to being asked for their threads' stacks.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Stacks {
    /// The group.
    pub group: String,
    /// By client.
    pub clients: Vec<Stack>,
}

/// What one client answered.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Stack {
    /// The client.
    pub client_id: String,
    /// Its stacks.
    pub stacks: Option<String>,
    /// Why there are none.
    pub error: Option<String>,
}

impl Show for Stacks {
    fn text(&self, _wide: bool) -> String {
        let one = |stack: &Stack| {
            let said = match (&stack.stacks, &stack.error) {
                (Some(stacks), _) => stacks.trim_end().to_owned(),
                (None, Some(error)) => format!("no answer: {error}"),
                (None, None) => String::new(),
            };
            format!("=== {}\n{said}", stack.client_id)
        };
        let texts: Vec<String> = self.clients.iter().map(one).collect();
        texts.join("\n\n")
    }
}

/// What a client made of a message on trial.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// The client.
    pub client_id: String,
    /// The message.
    pub message_id: String,
    /// The protocol's code.
    pub code: String,
    /// What the client said.
    pub message: String,
}

impl Show for Trial {
    fn text(&self, _wide: bool) -> String {
        Fields::default()
            .with("client", &self.client_id)
            .with("message", &self.message_id)
            .with("result", &self.code)
            .with("said", &self.message)
            .render()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::client::tests::client;

    #[test]
    fn members_are_shown_with_what_they_hold() {
        let members = Members {
            group: "readers".to_owned(),
            members: vec![client()],
        };
        assert!(
            members.text(true).contains("orders/2: 7 (30s)"),
            "{}",
            members.text(true)
        );
    }

    #[test]
    fn a_client_without_stacks_says_why() {
        let stacks = Stacks {
            group: "readers".to_owned(),
            clients: vec![Stack {
                client_id: "host@1".to_owned(),
                stacks: None,
                error: Some("its library does not answer".to_owned()),
            }],
        };
        assert_eq!(
            stacks.text(false),
            "=== host@1\nno answer: its library does not answer"
        );
    }
}
