//! What calls are about, as far as a span tells it.

use sluice_proto::v2::*;
use tonic::Streaming;

/// A request, or the stream of them.
pub trait Asked {
    /// The topic that it names, if it names one.
    fn topic(&self) -> Option<&str> {
        None
    }

    /// The consumer group that it names, if it names one.
    fn group(&self) -> Option<&str> {
        None
    }
}

fn name(resource: Option<&Resource>) -> Option<&str> {
    resource.map(|resource| resource.name.as_str())
}

/// Each with what it has of a topic and a group.
macro_rules! asked {
    ($($request:ident { $($field:ident),* })*) => {$(
        impl Asked for $request {
            $(fn $field(&self) -> Option<&str> {
                name(self.$field.as_ref())
            })*
        }
    )*};
}

asked! {
    QueryRouteRequest { topic }
    QueryAssignmentRequest { topic, group }
    HeartbeatRequest { group }
    AckMessageRequest { topic, group }
    ChangeInvisibleDurationRequest { topic, group }
    ForwardMessageToDeadLetterQueueRequest { topic, group }
    NotifyClientTerminationRequest { group }
    EndTransactionRequest { topic }
    RecallMessageRequest { topic }
    SyncLiteSubscriptionRequest { topic, group }
}

impl Asked for SendMessageRequest {
    /// That of all its messages, as every client sends them.
    fn topic(&self) -> Option<&str> {
        name(self.messages.first()?.topic.as_ref())
    }
}

/// Each whose topic is that of a queue, with what it has of a group.
macro_rules! asked_of_a_queue {
    ($($request:ident { $($field:ident),* })*) => {$(
        impl Asked for $request {
            fn topic(&self) -> Option<&str> {
                name(self.message_queue.as_ref()?.topic.as_ref())
            }

            $(fn $field(&self) -> Option<&str> {
                name(self.$field.as_ref())
            })*
        }
    )*};
}

asked_of_a_queue! {
    ReceiveMessageRequest { group }
    PullMessageRequest { group }
    UpdateOffsetRequest { group }
    GetOffsetRequest { group }
    QueryOffsetRequest {}
}

impl Asked for Streaming<TelemetryCommand> {}
