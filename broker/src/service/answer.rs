//! The protocol's answers, as far as all of them are alike: each has a status.

use super::frames::Frames;
use super::pull_frames::PullFrames;
use crate::budget::Share;
use sluice_proto::v2::*;
use tonic::metadata::MetadataMap;

/// An answer of the protocol.
pub trait Answer: Sized {
    /// The answer that is nothing but this status.
    fn refused(status: Status) -> Self;
    /// The code of its status.
    fn code(&self) -> i32;
    /// What is said beside it.
    fn write_headers(&self, _: &mut MetadataMap) {}
    /// What is held until the answer was read, if its messages are to be counted.
    fn unread(&mut self) -> Option<Share> {
        None
    }
}

macro_rules! answers {
    ($($name:ident { $($rest:ident),* })*) => {$(
        impl Answer for $name {
            fn refused(status: Status) -> Self {
                Self { status: Some(status), $($rest: Default::default()),* }
            }

            fn code(&self) -> i32 {
                self.status.as_ref().map_or(0, |status| status.code)
            }
        }
    )*};
}

answers! {
    QueryRouteResponse { message_queues }
    QueryAssignmentResponse { assignments }
    HeartbeatResponse {}
    SendMessageResponse { entries }
    AckMessageResponse { entries }
    ChangeInvisibleDurationResponse { receipt_handle }
    ForwardMessageToDeadLetterQueueResponse {}
    NotifyClientTerminationResponse {}
    UpdateOffsetResponse {}
    GetOffsetResponse { offset }
    QueryOffsetResponse { offset }
    EndTransactionResponse {}
    RecallMessageResponse { message_id }
    SyncLiteSubscriptionResponse {}
}

impl Answer for Frames {
    fn refused(status: Status) -> Self {
        Self::only(status)
    }

    fn write_headers(&self, headers: &mut MetadataMap) {
        Self::write_headers(self, headers);
    }

    fn unread(&mut self) -> Option<Share> {
        Self::unread(self)
    }

    fn code(&self) -> i32 {
        Self::code(self)
    }
}

impl Answer for PullFrames {
    fn refused(status: Status) -> Self {
        Self::only(status)
    }

    fn unread(&mut self) -> Option<Share> {
        Self::unread(self)
    }

    fn code(&self) -> i32 {
        Self::code(self)
    }
}
