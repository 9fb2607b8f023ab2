//! The table of requests: each type with what judges one that was decoded.

use super::{admin as operators, client};
use crate::fuzz::bounds::{bounded, measured, worded};
use crate::fuzz::run::{Checked, Verdict};
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use prost::Message;
use sluice_proto::{admin, codec, v2};
use std::fmt::Debug;

/// What the smallest request may take.
const MEMORY_BYTES_LEAST: usize = 16 << 10;
/// For each byte of a request: an empty message within one takes two bytes on its way and some hundred here, and a list that
/// grows is there twice for a moment. The bound on what a request may have in it is in front of this one.
const MEMORY_BYTES_EACH: usize = 1024;

/// A type of requests.
pub struct Decoder {
    /// Its name in the descriptors.
    pub name: &'static str,
    /// Decodes the bytes, and judges what they are.
    pub check: fn(&[u8]) -> Checked,
}

macro_rules! decoders {
    ($($package:literal $module:ident { $($request:ident $judge:expr;)* })*) => {
        /// All there are.
        pub const DECODERS: &[Decoder] = &[$($(
            Decoder {
                name: concat!($package, ".", stringify!($request)),
                check: |bytes| decoded::<$module::$request>(bytes, $judge),
            },
        )*)*];
    };
}

decoders! {
    "apache.rocketmq.v2" v2 {
        QueryRouteRequest |asked| client::route(asked.topic.as_ref(), asked.endpoints.as_ref());
        HeartbeatRequest |asked| client::names(None, asked.group.as_ref());
        SendMessageRequest client::send;
        QueryAssignmentRequest |asked| {
            client::names(asked.topic.as_ref(), asked.group.as_ref())?;
            client::route(asked.topic.as_ref(), asked.endpoints.as_ref())
        };
        ReceiveMessageRequest client::receive;
        AckMessageRequest client::acknowledge;
        ForwardMessageToDeadLetterQueueRequest |asked| {
            client::handle(&asked.receipt_handle)?;
            client::names(asked.topic.as_ref(), asked.group.as_ref())
        };
        PullMessageRequest |asked| client::queue(asked.message_queue.as_ref(), asked.group.as_ref());
        UpdateOffsetRequest |asked| client::queue(asked.message_queue.as_ref(), asked.group.as_ref());
        GetOffsetRequest |asked| client::queue(asked.message_queue.as_ref(), asked.group.as_ref());
        QueryOffsetRequest |asked| client::queue(asked.message_queue.as_ref(), None);
        EndTransactionRequest |asked| client::names(asked.topic.as_ref(), None);
        TelemetryCommand client::telemetry;
        NotifyClientTerminationRequest |asked| client::names(None, asked.group.as_ref());
        ChangeInvisibleDurationRequest |asked| {
            client::handle(&asked.receipt_handle)?;
            client::duration(asked.invisible_duration.as_ref())?;
            client::names(asked.topic.as_ref(), asked.group.as_ref())
        };
        RecallMessageRequest |asked| client::names(asked.topic.as_ref(), None);
        SyncLiteSubscriptionRequest |asked| client::names(asked.topic.as_ref(), asked.group.as_ref());
    }
    "sluice.admin.v1" admin {
        GetStatusRequest |_| Ok(());
        GetConfigRequest |_| Ok(());
        SetConfigRequest |_| Ok(());
        FenceRequest |_| Ok(());
        ListClientsRequest |asked| {
            operators::role(asked.role)?;
            operators::page(asked.page_size, &asked.page_token)
        };
        DescribeClientRequest |_| Ok(());
        GetThreadStacksRequest |_| Ok(());
        VerifyMessageRequest |asked| operators::topic(&asked.topic, None);
        CreateGroupRequest |asked| operators::group(&asked.name, asked.spec.as_ref());
        UpdateGroupRequest |asked| operators::group(&asked.name, asked.spec.as_ref());
        DeleteGroupRequest |asked| operators::group(&asked.name, None);
        DescribeGroupRequest |asked| operators::group(&asked.name, None);
        ListGroupsRequest |asked| operators::page(asked.page_size, &asked.page_token);
        GetLagRequest |asked| {
            operators::group(&asked.group, None)?;
            operators::topic(&asked.topic, None)
        };
        ListMembersRequest |asked| operators::group(&asked.group, None);
        GetOffsetsRequest |asked| operators::group(&asked.group, None);
        ResetOffsetsRequest operators::reset;
        GetMessageRequest |asked| operators::topic(&asked.topic, None);
        FindMessagesRequest |asked| {
            operators::topic(&asked.topic, None)?;
            operators::page(asked.page_size, &asked.page_token)
        };
        CreateTopicRequest |asked| operators::topic(&asked.name, asked.spec.as_ref());
        UpdateTopicRequest |asked| operators::topic(&asked.name, asked.spec.as_ref());
        DeleteTopicRequest |asked| operators::topic(&asked.name, None);
        DescribeTopicRequest |asked| operators::topic(&asked.name, None);
        ListTopicsRequest |asked| operators::page(asked.page_size, &asked.page_token);
    }
}

/// Decodes a request, encodes it again, and has it judged.
pub fn decoded<T>(bytes: &[u8], judge: fn(&T) -> anyhow::Result<()>) -> Checked
where
    T: Message + Default + PartialEq + Debug + 'static,
{
    if let Err(error) = codec::check(bytes) {
        return worded(&error).map(|()| Verdict::Refused);
    }
    if let Err(error) = codec::check_lists::<T>(bytes) {
        return worded(&error).map(|()| Verdict::Refused);
    }
    let input = Bytes::copy_from_slice(bytes);
    let (request, took) = measured(|| T::decode(input));
    bounded(took, bytes.len(), MEMORY_BYTES_LEAST, MEMORY_BYTES_EACH)?;
    let request = match request {
        Ok(request) => request,
        Err(error) => return worded(&error).map(|()| Verdict::Refused),
    };
    let again = T::decode(Bytes::from(request.encode_to_vec())).context("what was decoded cannot be")?;
    // A number that is none is not even equal to itself.
    let is_same = again == request || format!("{request:?}").contains("NaN");
    ensure!(
        is_same,
        "a request comes back as another: {request:?} as {again:?}"
    );
    judge(&request)?;
    Ok(Verdict::Taken)
}
