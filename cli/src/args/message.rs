//! `sluicectl message …`

use super::values::at_least_one;
use crate::units::{Moment, parse_duration, parse_some_time};
use clap::{Args, Subcommand};
use std::time::Duration;

const SEND: &str = "\
Examples:
  sluicectl message send orders hello
  sluicectl message send orders '{\"id\":7}' --tag created --key 7 --key customer-3
  sluicectl message send orders 'step 1' --group-key customer-3
  cat invoice.pdf | sluicectl message send invoices -
  sluicectl message send orders test --count 1000";

const RECEIVE: &str = "\
Without --ack the messages come again, to this group, when --invisible has passed; each time counts as an attempt, and a
message that has had as many as the group gives becomes a dead letter. To look at messages without a group, use `sluicectl message tail` or `find`.

Examples:
  sluicectl message receive readers orders
  sluicectl message receive readers orders --ack --max 10 --wait 30s
  sluicectl message receive readers orders --ack --follow
  sluicectl message receive readers orders --tags 'created || paid' -o json";

const TAIL: &str = "\
No group is needed, and nothing is changed by it. With -o json each message is a line.

Examples:
  sluicectl message tail orders
  sluicectl message tail orders --from -10m
  sluicectl message tail orders --from earliest
  sluicectl message tail orders --max 100 -o json";

const GET: &str = "\
Examples:
  sluicectl message get 01A2B3C4D5E6F70001000000010000002A
  sluicectl message get --topic orders --queue 3 --offset 4711
  sluicectl message get 01A2B3C4D5E6F70001000000010000002A -o json";

const FIND: &str = "\
By key the newest come first, by time the oldest. Bodies are left out: `sluicectl message get` shows a message with its body.

Examples:
  sluicectl message find orders --key customer-3
  sluicectl message find orders --from -1h
  sluicectl message find orders --from 2026-07-01T12:00:00Z --to 2026-07-01T12:05:00Z -o json";

/// About messages.
#[derive(Debug, Subcommand)]
pub enum MessageCommand {
    /// Send messages
    #[command(after_help = SEND)]
    Send(SendMessages),
    /// Receive messages as a consumer of a group
    #[command(after_help = RECEIVE)]
    Receive(ReceiveMessages),
    /// Follow a topic's new messages
    #[command(after_help = TAIL)]
    Tail(TailMessages),
    /// Show a message with its body
    #[command(after_help = GET)]
    Get(GetMessage),
    /// Find messages by key or by time
    #[command(after_help = FIND)]
    Find(FindMessages),
}

/// Options of `message send`.
#[derive(Debug, Args)]
pub struct SendMessages {
    /// The topic
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// The body; - reads it from standard input
    #[arg(value_name = "BODY", allow_hyphen_values = true)]
    pub body: String,
    /// A tag, by which groups filter
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
    /// A key, by which it can be found; may be repeated
    #[arg(long, value_name = "KEY", value_parser = parse_key)]
    pub key: Vec<String>,
    /// The message group: its messages are kept in order
    #[arg(long, value_name = "GROUP")]
    pub group_key: Option<String>,
    /// A property of your own; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_property)]
    pub property: Vec<(String, String)>,
    /// Send it so many times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    pub count: u64,
}

/// Where keys are kept they stand with blanks in between.
fn parse_key(text: &str) -> Result<String, String> {
    match text.split_whitespace().count() {
        1 if !text.contains(char::is_whitespace) => Ok(text.to_owned()),
        0 => Err("a key has at least one character".to_owned()),
        _ => Err("a key has no blanks: give --key for each of several".to_owned()),
    }
}

fn parse_property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// Options of `message receive`.
#[derive(Debug, Args)]
pub struct ReceiveMessages {
    /// The group
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// The topic
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Acknowledge what was received and shown: it is done, and does not come again
    #[arg(long)]
    pub ack: bool,
    /// Go on until interrupted; a broker that is away is waited for. With -o json each batch is a document on a line
    #[arg(long, conflicts_with_all = ["max", "wait"])]
    pub follow: bool,
    /// How many messages at most
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub max: u32,
    /// How long to wait for the first
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub wait: Duration,
    /// How long messages that are not acknowledged are hidden from others, at least 10s
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub invisible: Duration,
    /// Only messages with these tags, such as 'a || b'
    #[arg(long, value_name = "TAGS", default_value = "*")]
    pub tags: String,
}

/// Options of `message tail`.
#[derive(Debug, Args)]
pub struct TailMessages {
    /// The topic
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Begin with messages from then on, such as -10m or earliest, not with new ones
    #[arg(long, value_name = "T", value_parser = Moment::parse, allow_hyphen_values = true)]
    pub from: Option<Moment>,
    /// End after so many messages
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub max: Option<u64>,
    /// How often to look for new ones
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = parse_some_time)]
    pub every: Duration,
}

/// Options of `message get`.
#[derive(Debug, Args)]
pub struct GetMessage {
    /// The message's id
    #[arg(value_name = "ID", required_unless_present = "offset")]
    pub message_id: Option<String>,
    /// The topic to look in, if the id is not enough
    #[arg(long, value_name = "TOPIC", required_unless_present = "message_id")]
    pub topic: Option<String>,
    /// The queue, with --topic and --offset instead of an id
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "message_id",
        requires = "offset",
        default_value_if("offset", clap::builder::ArgPredicate::IsPresent, "0")
    )]
    pub queue: Option<u32>,
    /// The offset in the queue
    #[arg(long, value_name = "N", conflicts_with = "message_id", requires = "topic")]
    pub offset: Option<u64>,
}

/// Options of `message find`.
#[derive(Debug, Args)]
pub struct FindMessages {
    /// The topic
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Only messages with this key
    #[arg(long, value_name = "KEY", value_parser = parse_key)]
    pub key: Option<String>,
    /// Only messages from then on
    #[arg(long, value_name = "T", value_parser = Moment::parse, allow_hyphen_values = true)]
    pub from: Option<Moment>,
    /// Only messages from before then
    #[arg(long, value_name = "T", value_parser = Moment::parse, allow_hyphen_values = true)]
    pub to: Option<Moment>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}
