//! Generated types, clients and servers of RocketMQ 5's gRPC API and of the broker's admin API: no logic, but for the bound on a
//! message's parts in [`codec`].
//!
//! The sources are `proto/apache/rocketmq/v2/*.proto` and `proto/sluice/admin/v1/*.proto`. Enum constants lose their type's name as a prefix
//! where they carry it: `CODE_UNSPECIFIED` is [`v2::Code::Unspecified`], `SOURCE_CLIENT` stays
//! [`v2::TransactionSource::SourceClient`]. Bodies are [`bytes::Bytes`].

pub mod codec;

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

/// Package `sluice.admin.v1`: the admin API.
#[allow(
    missing_docs,
    clippy::all,
    clippy::or_fun_call,
    clippy::redundant_clone,
    clippy::large_stack_frames,
    clippy::too_many_lines,
    reason = "generated code; its documentation is in the .proto files"
)]
pub mod admin {
    tonic::include_proto!("sluice.admin.v1");
}

/// Header of the answer to a `ReceiveMessage`: how many lost messages the group was brought past by it. Where no messages come
/// with it, there may be some behind those.
pub const LOST_HEADER: &str = "sluice-lost-messages";

/// Header of the answer to a `ReceiveMessage`: how many messages cannot be read at present and were left out of it.
pub const UNREADABLE_HEADER: &str = "sluice-unreadable-messages";

/// An encoded `FileDescriptorSet` of both APIs and what they import, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
