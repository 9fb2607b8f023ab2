//! `sluicectl group …`

use super::values::{BackoffArg, StartArg, SubscriptionArg, Target};
use crate::units::parse_duration_ms;
use clap::{Args, Subcommand};

const CREATE: &str = "\
Examples:
  sluicectl group create readers
  sluicectl group create billing --fifo --max-attempts 5
  sluicectl group create audit --start-from latest --subscribe orders --subscribe 'payments=paid || refunded'";

const UPDATE: &str = "\
The group is read, changed and written back; when someone else has changed it in between, nothing is done (exit code 4).
Connected clients are told of changes at once.

Examples:
  sluicectl group update readers --receive-batch 16 --long-poll 10s
  sluicectl group update readers --backoff 1s,5s,30s,2m
  sluicectl group update readers --subscribe orders --unsubscribe payments";

const DELETE: &str = "\
Without --yes it is refused when the group has messages to do (exit code 4). Its dead-letter topic stays in any case.

Examples:
  sluicectl group delete readers
  sluicectl group delete readers --yes
  sluicectl group delete readers --if-empty";

const LAG: &str = "\
Ready are messages that wait to be taken, in flight those that a client holds; the lag is both. The age is that of the oldest.

Examples:
  sluicectl group lag readers
  sluicectl group lag readers --topic orders -o wide
  sluicectl group lag readers -o json
  sluicectl group lag readers --watch 5";

const RESET: &str = "\
Without --yes nothing is changed: what would be is shown. Where the group moves on, messages are skipped for good; where it
moves back, messages that were done come again; deliveries that are under way and passed over are void.

Examples:
  sluicectl group reset readers orders --to earliest
  sluicectl group reset readers orders --to time:-1h --yes
  sluicectl group reset readers orders --to time:2026-07-01T12:00:00Z
  sluicectl group reset readers orders --to offset:4711 --queue 2 --yes
  sluicectl group reset readers orders --to skip:100 --yes";

const STACK: &str = "\
Only clients whose library answers can be asked; the Java client's push consumer does.

Examples:
  sluicectl group stack readers
  sluicectl group stack readers --client host@4711@1";

const VERIFY: &str = "\
The client's listener is called with the message, and nothing is settled by it. Without --client the first connected
member is asked.

Examples:
  sluicectl group verify readers orders 01A2B3C4D5E6F70001000000010000002A";

/// About consumer groups.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Make a group
    #[command(after_help = CREATE)]
    Create(CreateGroup),
    /// Change a group
    #[command(after_help = UPDATE)]
    Update(UpdateGroup),
    /// Delete a group and its place in every topic
    #[command(after_help = DELETE)]
    Delete(DeleteGroup),
    /// List groups with their lag
    #[command(
        after_help = "Examples:\n  sluicectl group list\n  sluicectl group list --prefix shop- -o json"
    )]
    List {
        /// Only names that begin so
        #[arg(long, value_name = "TEXT", default_value = "")]
        prefix: String,
    },
    /// Show a group, how it is set up and what it reads
    #[command(
        after_help = "Examples:\n  sluicectl group show readers\n  sluicectl group show readers -o yaml"
    )]
    Show {
        /// The group
        #[arg(value_name = "GROUP")]
        name: String,
    },
    /// Show what a group has not done, by topic; with -o wide and json by queue too
    #[command(after_help = LAG)]
    Lag {
        /// The group
        #[arg(value_name = "GROUP")]
        group: String,
        /// Only this topic
        #[arg(long, value_name = "TOPIC", default_value = "")]
        topic: String,
    },
    /// Show a group's clients and what they hold
    #[command(
        after_help = "Examples:\n  sluicectl group members readers\n  sluicectl group members readers -o wide"
    )]
    Members {
        /// The group
        #[arg(value_name = "GROUP")]
        group: String,
    },
    /// Show where a group stands in each queue
    #[command(
        after_help = "Examples:\n  sluicectl group offsets readers\n  sluicectl group offsets readers orders"
    )]
    Offsets {
        /// The group
        #[arg(value_name = "GROUP")]
        group: String,
        /// Only this topic
        #[arg(value_name = "TOPIC", default_value = "", hide_default_value = true)]
        topic: String,
    },
    /// Move a group in a topic; only shows what that would do, unless --yes is given
    #[command(after_help = RESET)]
    Reset(ResetGroup),
    /// Ask a group's clients for the stacks of their threads
    #[command(after_help = STACK)]
    Stack(StackGroup),
    /// Have a client of the group handle a message as a trial
    #[command(after_help = VERIFY)]
    Verify(VerifyGroup),
}

/// Options of `group create`.
#[derive(Debug, Args)]
pub struct CreateGroup {
    /// The group's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Each message group in order: its later messages wait for its earlier ones
    #[arg(long)]
    pub fifo: bool,
    /// The rest of its set-up.
    #[command(flatten)]
    pub changes: GroupChanges,
}

/// Options of `group update`.
#[derive(Debug, Args)]
pub struct UpdateGroup {
    /// The group
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Whether each message group is kept in order
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub fifo: Option<bool>,
    /// Take these topics out of what it reads without clients
    #[arg(long, value_name = "TOPIC")]
    pub unsubscribe: Vec<String>,
    /// The rest of its set-up.
    #[command(flatten)]
    pub changes: GroupChanges,
}

/// What can be set up when a group is made, and changed later.
#[derive(Clone, Debug, Default, Args)]
pub struct GroupChanges {
    /// Deliveries of a message before it goes to the dead-letter topic [default: 17]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_attempts: Option<u32>,
    /// Waits between attempts, the last one for all further ones: TIME,TIME,…; or exponential:FIRST:MOST:FACTOR
    #[arg(long, value_name = "WAITS", value_parser = BackoffArg::parse)]
    pub backoff: Option<BackoffArg>,
    /// Where it begins in a topic that it has never read: earliest, latest or time:T [default: earliest]
    #[arg(long, value_name = "WHERE", value_parser = StartArg::parse, allow_hyphen_values = true)]
    pub start_from: Option<StartArg>,
    /// How many messages a push consumer takes at a time, 1 to 32 [default: 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32))]
    pub receive_batch: Option<u32>,
    /// How long a push consumer waits for messages, 1s to 20s [default: 20s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ms)]
    pub long_poll: Option<u64>,
    /// How long messages are hidden from others where the client does not say, 10s to 12h [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ms)]
    pub invisible: Option<u64>,
    /// Read this topic whether or not there are clients, so that the lag is known without any; TAGS is such as "a || b"
    #[arg(long, value_name = "TOPIC[=TAGS]", value_parser = SubscriptionArg::parse)]
    pub subscribe: Vec<SubscriptionArg>,
}

impl GroupChanges {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.max_attempts.is_none()
            && self.backoff.is_none()
            && self.start_from.is_none()
            && self.receive_batch.is_none()
            && self.long_poll.is_none()
            && self.invisible.is_none()
            && self.subscribe.is_empty()
    }
}

/// Options of `group delete`.
#[derive(Debug, Args)]
pub struct DeleteGroup {
    /// The group
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Delete it although it has messages to do
    #[arg(short, long, conflicts_with = "if_empty")]
    pub yes: bool,
    /// Delete it only if it has nothing to do; for scripts, which so say what they mean
    #[arg(long)]
    pub if_empty: bool,
}

/// Options of `group reset`.
#[derive(Debug, Args)]
pub struct ResetGroup {
    /// The group
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// The topic
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Where to: earliest, latest, offset:N, time:T (the first message from then on), or skip:N (skip the backlog but for
    /// the newest N messages of each queue; never back)
    #[arg(long, value_name = "WHERE", value_parser = Target::parse)]
    pub to: Target,
    /// Only this queue; may be repeated
    #[arg(long, value_name = "N")]
    pub queue: Vec<u32>,
    /// Do it
    #[arg(short, long)]
    pub yes: bool,
}

/// Options of `group stack`.
#[derive(Debug, Args)]
pub struct StackGroup {
    /// The group
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// Only this client
    #[arg(long, value_name = "ID")]
    pub client: Option<String>,
}

/// Options of `group verify`.
#[derive(Debug, Args)]
pub struct VerifyGroup {
    /// The group
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// The message's topic
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// The message
    #[arg(value_name = "MESSAGE_ID")]
    pub message_id: String,
    /// This client, not the first that there is
    #[arg(long, value_name = "ID")]
    pub client: Option<String>,
}
