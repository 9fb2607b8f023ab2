//! What a group has not done, by topic and queue (B1).

use crate::admin::{Outcome, Shared, convert};
use sluice_proto::admin::{GetLagRequest, GroupLag};

pub(super) async fn handle(shared: &Shared, request: GetLagRequest) -> Outcome<GroupLag> {
    shared.group(&request.group)?;
    let topic = shared.topic_if_any(&request.topic)?;
    let only = topic.as_ref().map(|topic| topic.spec.name.as_str());
    let topics = shared.engine.lag(&request.group, only).await?;
    let now = shared.engine.now();
    Ok(GroupLag {
        topics: topics.iter().map(|lag| convert::lag::topic(lag, now)).collect(),
        group: request.group,
    })
}
