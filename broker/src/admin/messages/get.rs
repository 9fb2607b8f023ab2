//! A message with its body, by id or by place.

use super::{by_id, message};
use crate::admin::status::Wrong;
use crate::admin::{Outcome, Shared};
use sluice_proto::admin::{GetMessageRequest, Message, get_message_request::Which};

pub(super) async fn handle(shared: &Shared, request: GetMessageRequest) -> Outcome<Message> {
    let found = match request.which {
        Some(Which::MessageId(id)) => by_id(shared, &id, &request.topic).await?,
        Some(Which::Place(place)) => {
            let topic = shared.topic(&place.topic)?;
            shared
                .finder
                .at(&topic.spec.name, place.queue, place.offset)
                .await?
        }
        None => {
            let wrong = "the request names no message: give message_id or place";
            return Err(Wrong::Request(wrong.to_owned()).into());
        }
    };
    message(&found, true)
}
