//! `sluicectl topic …`

use super::values::hours;
use crate::wire::TypeName;
use clap::{Args, Subcommand};
use sluice_core::units::size;

const CREATE: &str = "\
Examples:
  sluicectl topic create orders
  sluicectl topic create orders --queues 8 --type fifo
  sluicectl topic create audit --type mixed
  sluicectl topic create traces --retention-hours 6 --retention-bytes 10GiB";

const UPDATE: &str = "\
The topic is read, changed and written back; when someone else has changed it in between, nothing is done (exit code 4).
With fewer --retention-hours or --retention-bytes than before, messages that stand there go, read or not; a note says so.

Examples:
  sluicectl topic update orders --queues 16
  sluicectl topic update orders --type mixed
  sluicectl topic update traces --retention-hours 6
  sluicectl topic update traces --retention-bytes 0";

const DELETE: &str = "\
Without --yes it is refused when messages would be lost (exit code 4): that is when some group has not done all of them, or
no group reads a topic that has messages. The broker decides that together with the deletion.

Examples:
  sluicectl topic delete orders
  sluicectl topic delete orders --yes
  sluicectl topic delete orders --if-empty";

const LIST: &str = "\
Examples:
  sluicectl topic list
  sluicectl topic list --prefix shop- -o json
  sluicectl topic list --all -o wide";

const CLOSE: &str = "\
Examples:
  sluicectl topic close orders
  sluicectl topic open orders";

/// About topics.
#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Make a topic
    #[command(after_help = CREATE)]
    Create(CreateTopic),
    /// Give a topic more queues, other types or another retention
    #[command(after_help = UPDATE)]
    Update(UpdateTopic),
    /// Delete a topic with its messages
    #[command(after_help = DELETE)]
    Delete(DeleteTopic),
    /// List topics
    #[command(after_help = LIST)]
    List(ListTopics),
    /// Show a topic, its queues and who reads it
    #[command(after_help = "Examples:\n  sluicectl topic show orders\n  sluicectl topic show orders -o json")]
    Show {
        /// The topic
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Take no more messages, while consumers go on with what is there
    #[command(after_help = CLOSE)]
    Close {
        /// The topic
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Take messages again
    #[command(after_help = CLOSE)]
    Open {
        /// The topic
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Options of `topic create`.
#[derive(Debug, Args)]
pub struct CreateTopic {
    /// The topic's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How many queues; the broker's default, four, unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub queues: Option<u32>,
    /// What it takes: normal, fifo (messages with a message group, in its order) or mixed (everything that the broker takes)
    #[arg(long = "type", value_name = "TYPE", default_value = "normal", value_parser = TopicTypes::parse)]
    pub types: TopicTypes,
    /// Keep its messages for so many hours, such as 72 or 3d, more or fewer than the broker keeps others; 0 is as long as the broker keeps any
    #[arg(long, value_name = "N", value_parser = hours)]
    pub retention_hours: Option<u32>,
    /// Keep no more than so many bytes of its messages, such as 10GiB; the oldest go first, read or not. 0 is any number
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub retention_bytes: Option<u64>,
}

/// Options of `topic update`.
#[derive(Debug, Args)]
pub struct UpdateTopic {
    /// The topic
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How many queues; they never become fewer
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub queues: Option<u32>,
    /// What it takes: normal, fifo or mixed
    #[arg(long = "type", value_name = "TYPE", value_parser = TopicTypes::parse)]
    pub types: Option<TopicTypes>,
    /// Keep its messages for so many hours, such as 72 or 3d, more or fewer than the broker keeps others; 0 is as long as the broker keeps any
    #[arg(long, value_name = "N", value_parser = hours)]
    pub retention_hours: Option<u32>,
    /// Keep no more than so many bytes of its messages, such as 10GiB; the oldest go first, read or not. 0 is any number
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub retention_bytes: Option<u64>,
}

/// Options of `topic delete`.
#[derive(Debug, Args)]
pub struct DeleteTopic {
    /// The topic
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Delete it although messages are lost
    #[arg(short, long, conflicts_with = "if_empty")]
    pub yes: bool,
    /// Delete it only if nothing is lost; for scripts, which so say what they mean
    #[arg(long)]
    pub if_empty: bool,
}

/// Options of `topic list`.
#[derive(Debug, Args)]
pub struct ListTopics {
    /// Only names that begin so
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub prefix: String,
    /// Dead-letter topics too
    #[arg(short, long)]
    pub all: bool,
}

/// The types of `--type`; none is everything that the broker takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicTypes(pub Vec<TypeName>);

impl TopicTypes {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "normal" => Ok(Self(vec![TypeName::Normal])),
            "fifo" => Ok(Self(vec![TypeName::Fifo])),
            "mixed" => Ok(Self(Vec::new())),
            later @ ("delay" | "transaction" | "priority" | "lite") => Err(format!(
                "the broker does not take messages of type {later} yet: there are normal, fifo and mixed"
            )),
            _ => Err("there are normal, fifo and mixed".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_those_that_the_broker_takes_and_others_are_refused_by_name() {
        assert_eq!(TopicTypes::parse("FIFO"), Ok(TopicTypes(vec![TypeName::Fifo])));
        assert_eq!(TopicTypes::parse("mixed"), Ok(TopicTypes(vec![])));
        for later in ["delay", "transaction", "Priority", "lite"] {
            let refusal = TopicTypes::parse(later).unwrap_err();
            assert!(
                refusal.contains(&format!("type {} yet", later.to_lowercase())),
                "{refusal}"
            );
        }
        assert!(TopicTypes::parse("round").is_err());
    }
}
