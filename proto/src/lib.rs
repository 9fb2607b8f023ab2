//! Generated types, client and server of RocketMQ 5's gRPC API: no logic.
//!
//! The sources are `proto/apache/rocketmq/v2/*.proto`. Enum constants lose their type's name as a prefix
//! where they carry it: `CODE_UNSPECIFIED` is [`v2::Code::Unspecified`], `SOURCE_CLIENT` stays
//! [`v2::TransactionSource::SourceClient`]. Bodies are [`bytes::Bytes`].

/// Package `apache.rocketmq.v2`.
#[allow(
    missing_docs,
    clippy::all,
    clippy::or_fun_call,
    clippy::redundant_clone,
    clippy::large_stack_frames,
    clippy::too_many_lines,
    reason = "generated code; its documentation is in the .proto files"
)]
pub mod v2 {
    tonic::include_proto!("apache.rocketmq.v2");
}
