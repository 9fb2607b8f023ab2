//! The command line; its help is the manual of this tool.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::units::{parse_duration, parse_size};

/// Loads and times a server that speaks RocketMQ 5's gRPC API: Sluice, RocketMQ itself, or `sluice-bench bare`.
#[derive(Debug, Parser)]
#[command(name = "sluice-bench", version, after_help = GUIDE)]
pub struct Cli {
    /// Threads of the runtime; the load needs CPU too, so leave the server its share
    #[arg(long, global = true, default_value_t = 2, value_name = "N")]
    pub workers: usize,
    /// Print the report as one JSON object on stdout; progress stays on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const GUIDE: &str = "\
How to read the figures:
  Latencies are microseconds in an HDR histogram of three digits. With --rate each send has a moment at which
  it was due, and its latency counts from then: a server that stalls for a second is charged for every message
  that would have been sent in that second (no coordinated omission). Without --rate the load is a closed loop:
  a new send leaves when an old one is answered, so latency is in flight / rate and only the rate says something.
  Samples during --warmup are thrown away.

How to compare with the ceiling:
  `sluice-bench bare` decodes, frames, writes and syncs the same requests and does nothing else. Run the server and
  it in turns with the same load on the same disk, and compare medians.

How to write sizes and times:
  SIZE is a whole number of bytes, KiB, MiB or GiB: 4096, 256KiB, 1GiB. TIME is a whole number of ms, s or m:
  500ms, 30s, 2m. A number alone is bytes, or seconds.

Exit codes: 0 done; 1 could not run; 2 wrong options; 3 ran, but requests failed or nothing was measured.";

const UNITS: &str = "\
SIZE is a whole number of bytes, KiB, MiB or GiB: 4096, 256KiB, 1GiB. TIME is a whole number of ms, s or m:
500ms, 30s, 2m. A number alone is bytes, or seconds.";

/// The kinds of runs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send as fast as the server answers, or at --rate
    #[command(after_help = UNITS)]
    Produce(ProduceArgs),
    /// Receive and acknowledge
    #[command(after_help = UNITS)]
    Consume(ConsumeArgs),
    /// Send at a steady rate and receive at the same time: time to send and time from send to delivery
    #[command(after_help = UNITS)]
    Latency(LatencyArgs),
    /// Send a few messages to each of many topics, and receive one of each for many groups: metrics have much to tell then
    #[command(after_help = UNITS)]
    Spread(SpreadArgs),
    /// Receive the same messages for many groups and settle none: state has much to keep then
    #[command(after_help = UNITS)]
    Hold(HoldArgs),
    /// Open --connections, call nothing on them, and hold them until standard input ends
    Idle(IdleArgs),
    /// Serve SendMessage with nothing but decoding, framing, writing and syncing: the ceiling
    #[command(after_help = UNITS)]
    Bare(BareArgs),
    /// Look up keys in the data folder of a stopped broker
    #[command(name = "look-up")]
    LookUp(LookUpArgs),
    /// Write a SendMessage request for h2load and print the command line that uses it
    ///
    /// h2load (Debian's package nghttp2-client) is the leanest load there is, but it cannot see grpc-status or the status in a response: a server that
    /// refuses everything looks fast. So this command first sends the request once by itself and fails unless it is
    /// answered OK; and after the run, compare the server's own count of accepted messages (Sluice: /metrics) with
    /// h2load's count of requests, or h2load's "traffic: … data" by request with the size printed here: a refusal
    /// has another size.
    #[command(name = "h2load-data", after_help = UNITS)]
    H2loadData(H2loadDataArgs),
    /// Compute percentiles from what h2load wrote to its --log-file
    #[command(name = "h2load-report", after_help = UNITS)]
    H2loadReport(H2loadReportArgs),
}

/// Which server, and through how many connections.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// Where the server listens
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "HOST:PORT")]
    pub endpoint: String,
    /// Speak TLS and accept any certificate, as the official clients do by default
    #[arg(long)]
    pub tls: bool,
    /// HTTP/2 connections
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub connections: usize,
    /// Deadline of a call; a long poll has its own time on top
    #[arg(long, default_value = "3s", value_parser = parse_duration, value_name = "TIME")]
    pub request_timeout: Duration,
    /// The topic
    #[arg(long, default_value = "bench")]
    pub topic: String,
}

/// What the messages look like.
#[derive(Debug, Clone, Args)]
pub struct Shape {
    /// Bytes of a body, incompressible
    #[arg(long, default_value = "1024", value_parser = parse_size, value_name = "SIZE")]
    pub size: u64,
    /// Give each message one key out of N different ones; 0 gives none
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub keys: u64,
    /// Send FIFO messages of N message groups; 0 sends normal messages
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub message_groups: u64,
    /// One message id and one key in every message: the worst case for an index
    #[arg(long, conflicts_with = "keys")]
    pub same_id_and_key: bool,
}

/// Options of `produce`.
#[derive(Debug, Clone, Args)]
pub struct ProduceArgs {
    /// Which server
    #[command(flatten)]
    pub target: Target,
    /// Which messages
    #[command(flatten)]
    pub shape: Shape,
    /// Send to so many topics in turns, which are called like the topic, with a number; 1 sends to the topic itself
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub topics: u16,
    /// Sends under way at once on each connection
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub in_flight: usize,
    /// How long to measure
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "TIME")]
    pub duration: Duration,
    /// Measure this many sends instead of a duration
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Sends a second in all; without it a closed loop
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub rate: Option<u64>,
    /// Load before measuring
    #[arg(long, default_value = "2s", value_parser = parse_duration, value_name = "TIME")]
    pub warmup: Duration,
    /// Write how many sends there were and how long they took, a line each few seconds, as comma-separated values
    #[arg(long, value_name = "FILE")]
    pub timeline: Option<PathBuf>,
    /// Between two lines of --timeline
    #[arg(long, default_value = "5s", value_parser = parse_duration, value_name = "TIME")]
    pub timeline_every: Duration,
}

/// Options of `spread`.
#[derive(Debug, Clone, Args)]
pub struct SpreadArgs {
    /// Which server; the topics are called like its topic, with a number
    #[command(flatten)]
    pub target: Target,
    /// Which messages
    #[command(flatten)]
    pub shape: Shape,
    /// How many topics
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub topics: u64,
    /// How many groups, each of which reads all topics
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub groups: u64,
    /// What the groups are called, before their number
    #[arg(long, default_value = "bench")]
    pub group: String,
    /// Messages sent to each topic
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub each: u64,
}

/// Options of `hold`.
#[derive(Debug, Clone, Args)]
pub struct HoldArgs {
    /// Which server, and the topic that all groups read
    #[command(flatten)]
    pub target: Target,
    /// Which messages
    #[command(flatten)]
    pub shape: Shape,
    /// How many groups
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub groups: u64,
    /// What the groups are called, before their number
    #[arg(long, default_value = "bench")]
    pub group: String,
    /// Messages sent to the topic first
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub prefill: u64,
    /// Messages that each group is to receive of each queue, all of which must be there
    #[arg(long, default_value_t = 1250, value_name = "N")]
    pub each: u64,
    /// Messages asked for by one receive
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1024))]
    pub batch: i32,
    /// Receive calls under way at once on each connection
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub receivers: usize,
}

/// Options of `idle`.
#[derive(Debug, Clone, Args)]
pub struct IdleArgs {
    /// Which server, and how many connections
    #[command(flatten)]
    pub target: Target,
}

/// How a consumer asks for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Consumer {
    /// As a push consumer: assigned queues, the server renews deliveries
    Push,
    /// As a simple consumer: queues of the route, an invisible duration a call
    Simple,
}

/// Who receives, and how it settles.
#[derive(Debug, Clone, Args)]
pub struct Reception {
    /// The consumer group
    #[arg(long, default_value = "bench")]
    pub group: String,
    /// Kind of consumer to be
    #[arg(long, value_enum, default_value_t = Consumer::Push)]
    pub consumer: Consumer,
    /// Receive calls under way at once, spread over the connections
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub receivers: usize,
    /// Messages asked for by one receive
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1024))]
    pub batch: i32,
    /// Messages acknowledged by one call: the official clients send 1
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub ack_batch: u16,
    /// Acknowledge calls under way at once; when they are used up, receivers wait
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub ack_in_flight: usize,
    /// How long a receive waits for messages
    #[arg(long, default_value = "5s", value_parser = parse_duration, value_name = "TIME")]
    pub long_poll: Duration,
    /// How long a simple consumer hides what it received
    #[arg(long, default_value = "60s", value_parser = parse_duration, value_name = "TIME")]
    pub invisible: Duration,
}

/// Options of `consume`.
#[derive(Debug, Clone, Args)]
pub struct ConsumeArgs {
    /// Which server
    #[command(flatten)]
    pub target: Target,
    /// Which messages --prefill sends
    #[command(
        flatten,
        next_help_heading = "What --prefill sends; without it these say nothing"
    )]
    pub shape: Shape,
    /// How to receive
    #[command(flatten)]
    pub reception: Reception,
    /// Send N messages first, unmeasured, and stop when as many are acknowledged
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub prefill: u64,
    /// How long to receive at most, --warmup not counted
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "TIME")]
    pub duration: Duration,
    /// Stop when this many messages are acknowledged
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Receive before measuring
    #[arg(long, default_value = "0s", value_parser = parse_duration, value_name = "TIME")]
    pub warmup: Duration,
}

/// Options of `latency`.
#[derive(Debug, Clone, Args)]
pub struct LatencyArgs {
    /// Which server
    #[command(flatten)]
    pub target: Target,
    /// Which messages
    #[command(flatten)]
    pub shape: Shape,
    /// How to receive
    #[command(flatten)]
    pub reception: Reception,
    /// Sends under way at once on each connection; must cover rate × the longest stall to be measured
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub in_flight: usize,
    /// How long to measure
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "TIME")]
    pub duration: Duration,
    /// Sends a second in all
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub rate: u64,
    /// Load before measuring
    #[arg(long, default_value = "2s", value_parser = parse_duration, value_name = "TIME")]
    pub warmup: Duration,
}

/// When the bare server syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Flush {
    /// Answer after fdatasync
    Sync,
    /// Answer after the write; fdatasync every 500 ms or 4 MiB
    Async,
}

/// Options of `bare`.
#[derive(Debug, Clone, Args)]
pub struct BareArgs {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8082", value_name = "ADDR")]
    pub listen: SocketAddr,
    /// Where the segments go: put it on the disk of the server to be compared
    #[arg(long, default_value = "./sluice-bare", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// When to sync
    #[arg(long, value_enum, default_value_t = Flush::Sync)]
    pub flush: Flush,
    /// Bytes of a segment
    #[arg(long, default_value = "1GiB", value_parser = parse_size, value_name = "SIZE")]
    pub segment_size: u64,
    /// Segments to fill with zeros and sync before the first request; then written round robin
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub prefill_segments: u16,
    /// Print a line a second while there is traffic
    #[arg(long)]
    pub stats: bool,
}

/// Options of `look-up`.
#[derive(Debug, Clone, Args)]
pub struct LookUpArgs {
    /// The stopped broker's own folder: DATA-DIR/BROKER-NAME
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// The cluster that it belongs to
    #[arg(long, default_value = "DefaultCluster", value_name = "NAME")]
    pub cluster_name: String,
    /// The topic
    #[arg(long, default_value = "bench")]
    pub topic: String,
    /// Ask for key-0 to key-(N-1), which is what `produce --keys N` sends
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub keys: u64,
    /// How many look-ups
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub look_ups: u64,
    /// At most so many messages each, the newest
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub limit: usize,
}

/// Options of `h2load-data`.
#[derive(Debug, Clone, Args)]
pub struct H2loadDataArgs {
    /// Where the server listens
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "HOST:PORT")]
    pub endpoint: String,
    /// Speak TLS
    #[arg(long)]
    pub tls: bool,
    /// The topic
    #[arg(long, default_value = "bench")]
    pub topic: String,
    /// Which messages
    #[command(flatten)]
    pub shape: Shape,
    /// Where to write the request
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Connections in the printed command
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub connections: usize,
    /// Streams a connection in the printed command
    #[arg(long, default_value_t = 32, value_name = "N")]
    pub in_flight: usize,
    /// Requests in the printed command
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    pub requests: u64,
    /// Do not send the request to see whether the server accepts it
    #[arg(long)]
    pub no_check: bool,
}

/// Options of `h2load-report`.
#[derive(Debug, Clone, Args)]
pub struct H2loadReportArgs {
    /// What h2load wrote to its --log-file
    pub file: PathBuf,
    /// Leave out requests begun in this time from the first one
    #[arg(long, default_value = "0s", value_parser = parse_duration, value_name = "TIME")]
    pub skip: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
