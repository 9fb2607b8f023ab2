//! What a consumer group reads and how it is given messages.

use k8s_openapi::jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The factor of an exponential back-off in percent unless given.
const MULTIPLIER_PERCENT: i32 = 200;

/// A topic that a group reads.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// The topic's name on the brokers, which is spec.topicName of its Topic where it has one. A dead-letter topic can be read too.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[A-Za-z0-9_%|-]+$"))]
    pub topic: String,
    /// Which of its messages. Those that are left out are no lag.
    #[serde(default)]
    pub filter: Filter,
}

/// Which messages of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// `Tag`: by their tags.
    #[serde(default, rename = "type")]
    pub type_: FilterType,
    /// A tag expression such as `paid || refunded`, up to 1024 characters; `*`, the default, is every message.
    #[serde(default = "all_tags")]
    #[schemars(length(min = 1, max = 1024))]
    pub expression: String,
}

fn all_tags() -> String {
    "*".to_owned()
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            type_: FilterType::Tag,
            expression: all_tags(),
        }
    }
}

/// By what messages are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum FilterType {
    /// By their tags.
    #[default]
    Tag,
}

/// In which order messages are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum DeliveryOrder {
    /// In none.
    #[default]
    Concurrent,
    /// In each message group's.
    Fifo,
}

/// Where a group begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.time) == (self.position == 'Time')")
    .message("time belongs to the position Time, and to no other"))]
pub struct StartFrom {
    /// `Earliest`, the default: at the first message. `Latest`: behind the last one. `Time`: at the first that came at `time` or
    /// later.
    #[serde(default)]
    pub position: StartPosition,
    /// The time for the position `Time`, such as `2026-01-31T15:04:05Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 40),
        regex(
            pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
        )
    )]
    pub time: Option<String>,
}

impl StartFrom {
    /// The time, if one is given that there is: the 30th of February is written as others are.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.time.as_ref()?.parse().ok()
    }
}

/// Where a group begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum StartPosition {
    /// At the first message.
    #[default]
    Earliest,
    /// Behind the last message.
    Latest,
    /// At a time.
    Time,
}

/// How often a message is tried.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Deliveries of a message before it goes to the dead-letter topic, the first included, 1 to 1000; 17 unless given.
    #[serde(default = "max_attempts")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_attempts: i32,
    /// How long a message waits between its deliveries; RocketMQ's 18 steps, from 1 second to 2 hours, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
}

fn max_attempts() -> i32 {
    17
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: max_attempts(),
            backoff: None,
        }
    }
}

/// How long a message waits between its deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.stepsSeconds) == (self.type == 'Customized')")
        .message("stepsSeconds belongs to a back-off of type Customized, and is needed there"),
    validation = Rule::new("has(self.initialSeconds) == (self.type == 'Exponential') && has(self.maxSeconds) == (self.type == 'Exponential')")
        .message("initialSeconds and maxSeconds belong to a back-off of type Exponential, and are needed there"),
    validation = Rule::new("!has(self.multiplierPercent) || self.type == 'Exponential'")
        .message("multiplierPercent belongs to a back-off of type Exponential"),
    validation = Rule::new("!has(self.initialSeconds) || !has(self.maxSeconds) || self.initialSeconds <= self.maxSeconds")
        .message("initialSeconds is more than maxSeconds"),
)]
pub struct Backoff {
    /// `Customized`: one wait an attempt, from `stepsSeconds`. `Exponential`: each wait is the one before times
    /// `multiplierPercent`, from `initialSeconds` to `maxSeconds`.
    #[serde(rename = "type")]
    pub type_: BackoffType,
    /// One wait an attempt in seconds, 0 to 43200 each, up to 64; the last one serves all further attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(range(min = 0, max = 43_200)))]
    pub steps_seconds: Option<Vec<i32>>,
    /// The first wait in seconds, 1 to 43200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 43_200))]
    pub initial_seconds: Option<i32>,
    /// The longest wait in seconds, 1 to 43200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 43_200))]
    pub max_seconds: Option<i32>,
    /// What a wait is multiplied by, in percent, 100 to 10000; 200, which doubles, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 10_000))]
    pub multiplier_percent: Option<i32>,
}

impl Backoff {
    /// What a wait is multiplied by, in percent.
    pub fn multiplier_percent(&self) -> i32 {
        self.multiplier_percent.unwrap_or(MULTIPLIER_PERCENT)
    }
}

/// The ways of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum BackoffType {
    /// One wait an attempt.
    Customized,
    /// Each wait a multiple of the one before.
    Exponential,
}

/// How consumers receive.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tuning {
    /// How many messages a push consumer takes at a time, 1 to 32; 32 unless given. Fewer share a small backlog out to more
    /// consumers.
    #[serde(default = "receive_batch")]
    #[schemars(range(min = 1, max = 32))]
    pub receive_batch: i32,
    /// How long a push consumer waits for messages, in seconds, 1 to 20; 20 unless given.
    #[serde(default = "long_poll_seconds")]
    #[schemars(range(min = 1, max = 20))]
    pub long_poll_seconds: i32,
    /// How long messages are hidden from others where the client does not say, in seconds, 10 to 43200; 60 unless given.
    #[serde(default = "invisible_seconds")]
    #[schemars(range(min = 10, max = 43_200))]
    pub invisible_seconds: i32,
}

fn receive_batch() -> i32 {
    32
}

fn long_poll_seconds() -> i32 {
    20
}

fn invisible_seconds() -> i32 {
    60
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            receive_batch: receive_batch(),
            long_poll_seconds: long_poll_seconds(),
            invisible_seconds: invisible_seconds(),
        }
    }
}
