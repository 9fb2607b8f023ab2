//! `QueryRoute`: a topic's queues and where they are.

use super::metadata::Caller;
use super::status::{self, Failure};
use super::validate::is_group_topic;
use super::{Shared, convert, endpoints};
use sluice_core::state::Topic;
use sluice_proto::v2::{
    Broker, Endpoints, MessageQueue, Permission, QueryRouteRequest, QueryRouteResponse, Resource,
};
use tonic::Request;

/// Clients use only the brokers with this id.
const BROKER_ID: i32 = 0;

pub(super) async fn handle(
    shared: &Shared,
    request: Request<QueryRouteRequest>,
) -> Result<QueryRouteResponse, Failure> {
    let (metadata, extensions, request) = request.into_parts();
    let caller = Caller::of(&metadata, &extensions)?;
    let name = caller.readable_topic(request.topic.as_ref())?;
    let at = endpoints::for_route(
        shared.advertise.as_ref(),
        request.endpoints.as_ref(),
        caller.local(),
    )?;
    let topic = shared.engine.topic(&name).await?;
    let named = request.topic.unwrap_or_default();
    let queue = |id| message_queue(shared, &topic, &named, id, &at);
    let message_queues = (0..topic.spec.queues as i32).map(queue).collect();
    Ok(QueryRouteResponse {
        status: Some(status::ok()),
        message_queues,
    })
}

/// A queue of a topic as clients are told of it: complete, for they trust nothing less.
pub(super) fn message_queue(
    shared: &Shared,
    topic: &Topic,
    named: &Resource,
    id: i32,
    at: &Endpoints,
) -> MessageQueue {
    // Nobody sends to a dead-letter topic but the broker, and to a closed one nobody at all.
    let permission = if topic.spec.closed || is_group_topic(&topic.spec.name) {
        Permission::Read
    } else {
        Permission::ReadWrite
    };
    let broker = Broker {
        name: shared.broker_name.clone(),
        id: BROKER_ID,
        endpoints: Some(at.clone()),
    };
    MessageQueue {
        topic: Some(named.clone()),
        id,
        permission: permission.into(),
        broker: Some(broker),
        accept_message_types: convert::accepted(topic.spec.types),
    }
}
