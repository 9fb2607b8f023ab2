//! Calls: how many, how long, with which code.

use super::register;
use crate::service::convert::{code_name, is_success};
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntGauge, Registry};
use sluice_proto::v2::Code;
use std::sync::OnceLock;
use std::time::Instant;

/// In milliseconds: RocketMQ's steps, and finer ones where a broker without a page cache to write to is at home.
const BUCKETS: [f64; 16] = [
    0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 50.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0,
];

/// The calls of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rpc {
    QueryRoute,
    QueryAssignment,
    Heartbeat,
    SendMessage,
    ReceiveMessage,
    AckMessage,
    ChangeInvisibleDuration,
    ForwardMessageToDeadLetterQueue,
    NotifyClientTermination,
    Telemetry,
    PullMessage,
    UpdateOffset,
    GetOffset,
    QueryOffset,
    EndTransaction,
    RecallMessage,
    SyncLiteSubscription,
}

impl Rpc {
    const COUNT: usize = Self::SyncLiteSubscription as usize + 1;

    /// The call's name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::QueryRoute => "QueryRoute",
            Self::QueryAssignment => "QueryAssignment",
            Self::Heartbeat => "Heartbeat",
            Self::SendMessage => "SendMessage",
            Self::ReceiveMessage => "ReceiveMessage",
            Self::AckMessage => "AckMessage",
            Self::ChangeInvisibleDuration => "ChangeInvisibleDuration",
            Self::ForwardMessageToDeadLetterQueue => "ForwardMessageToDeadLetterQueue",
            Self::NotifyClientTermination => "NotifyClientTermination",
            Self::Telemetry => "Telemetry",
            Self::PullMessage => "PullMessage",
            Self::UpdateOffset => "UpdateOffset",
            Self::GetOffset => "GetOffset",
            Self::QueryOffset => "QueryOffset",
            Self::EndTransaction => "EndTransaction",
            Self::RecallMessage => "RecallMessage",
            Self::SyncLiteSubscription => "SyncLiteSubscription",
        }
    }
}

/// Latencies by call and code.
#[derive(Debug)]
pub struct RpcMetrics {
    latency: HistogramVec,
    /// The children for code OK: nearly all calls are observed without a look into the table.
    done: [OnceLock<Histogram>; Rpc::COUNT],
    running: IntGauge,
}

impl RpcMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let options = HistogramOpts::new(
            "rocketmq_rpc_latency_milliseconds",
            "Calls by the time they took, in milliseconds; a receive's or pull's includes its wait",
        );
        let labels = [
            "request_code",
            "response_code",
            "protocol_type",
            "is_long_polling",
            "result",
        ];
        let running = IntGauge::new("sluice_rpc_running", "Calls that have not been answered yet")?;
        Ok(Self {
            latency: register(
                registry,
                HistogramVec::new(options.buckets(BUCKETS.to_vec()), &labels)?,
            )?,
            done: [const { OnceLock::new() }; Rpc::COUNT],
            running: register(registry, running)?,
        })
    }

    /// A call begins. It is observed when the answer to this is dropped: without a code it was cancelled.
    pub fn begin(&self, rpc: Rpc) -> Call<'_> {
        self.running.inc();
        Call {
            metrics: self,
            rpc,
            started: Instant::now(),
            code: None,
        }
    }

    fn observe(&self, rpc: Rpc, code: Option<i32>, started: Instant) {
        self.running.dec();
        let millis = started.elapsed().as_secs_f64() * 1000.0;
        if code == Some(Code::Ok.into()) {
            self.done[rpc as usize]
                .get_or_init(|| self.child(rpc, code))
                .observe(millis);
        } else {
            self.child(rpc, code).observe(millis);
        }
    }

    fn child(&self, rpc: Rpc, code: Option<i32>) -> Histogram {
        let (name, result) = match code {
            None => ("CANCELLED", "cancelled"),
            Some(code) if is_success(code) => (code_name(code), "success"),
            Some(code) => (code_name(code), "process_request_failed"),
        };
        let long_polling = match rpc {
            Rpc::ReceiveMessage | Rpc::PullMessage => "true",
            _ => "false",
        };
        self.latency
            .with_label_values(&[rpc.name(), name, "grpc", long_polling, result])
    }
}

/// A call under way.
#[derive(Debug)]
pub struct Call<'a> {
    metrics: &'a RpcMetrics,
    rpc: Rpc,
    started: Instant,
    code: Option<i32>,
}

impl Call<'_> {
    /// Which call it is.
    pub fn rpc(&self) -> Rpc {
        self.rpc
    }

    /// The call is answered with this code.
    pub fn finish(mut self, code: i32) {
        self.code = Some(code);
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.metrics.observe(self.rpc, self.code, self.started);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_code_and_result() {
        let metrics = RpcMetrics::new(&Registry::new()).unwrap();
        for code in [Code::Ok, Code::Ok, Code::TopicNotFound] {
            metrics.begin(Rpc::SendMessage).finish(code.into());
        }
        drop(metrics.begin(Rpc::ReceiveMessage));
        metrics
            .begin(Rpc::PullMessage)
            .finish(Code::MessageNotFound.into());
        metrics.begin(Rpc::GetOffset).finish(Code::OffsetNotFound.into());
        for (labels, count) in [
            (["SendMessage", "OK", "grpc", "false", "success"], 2),
            (
                [
                    "SendMessage",
                    "TOPIC_NOT_FOUND",
                    "grpc",
                    "false",
                    "process_request_failed",
                ],
                1,
            ),
            (["ReceiveMessage", "CANCELLED", "grpc", "true", "cancelled"], 1),
            (["PullMessage", "MESSAGE_NOT_FOUND", "grpc", "true", "success"], 1),
            (["GetOffset", "OFFSET_NOT_FOUND", "grpc", "false", "success"], 1),
        ] {
            assert_eq!(
                metrics.latency.with_label_values(&labels).get_sample_count(),
                count,
                "{labels:?}"
            );
        }
        assert_eq!(metrics.running.get(), 0);
    }
}
