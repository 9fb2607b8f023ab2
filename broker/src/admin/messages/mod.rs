//! Messages (O5).

mod find;
mod get;

use super::status::Wrong;
use super::{Admin, Answered, Outcome, Shared, answer};
use crate::engine::EngineError;
use crate::engine::find::Found;
use crate::service::stored;
use sluice_proto::admin::message_service_server::MessageService;
use sluice_proto::admin::*;
use tonic::Request;

/// Ids and keys are in a message's properties, which are no longer than this.
const TEXT_MAX: usize = sluice_core::limits::PROPERTIES_BYTES_MAX;

#[tonic::async_trait]
impl MessageService for Admin {
    async fn get_message(&self, request: Request<GetMessageRequest>) -> Answered<Message> {
        answer(get::handle(&self.0, request.into_inner()).await)
    }

    async fn find_messages(&self, request: Request<FindMessagesRequest>) -> Answered<FindMessagesResponse> {
        answer(find::handle(&self.0, request.into_inner()).await)
    }
}

/// The newest message with this id, in any topic unless one is given.
pub(super) async fn by_id(shared: &Shared, id: &str, topic: &str) -> Outcome<Found> {
    if id.is_empty() || id.len() > TEXT_MAX {
        return Err(Wrong::Request(format!("message_id has {} bytes: give a message's id", id.len())).into());
    }
    let topic = shared.topic_if_any(topic)?;
    let topic = topic.as_ref().map(|topic| topic.spec.name.as_str());
    Ok(shared.finder.by_id(id, topic).await?)
}

fn message(found: &Found, with_body: bool) -> Outcome<Message> {
    // It was read with its record already.
    let message = stored::message(found, with_body);
    Ok(message.map_err(|error| EngineError::Read(error.to_string()))?)
}
