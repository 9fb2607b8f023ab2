//! What a group has not done, by topic and queue (B1).

use crate::admin::{Outcome, Shared, convert};
use sluice_proto::admin::{GetLagRequest, GroupLag};

pub(super) async fn handle(shared: &Shared, request: GetLagRequest) -> Outcome<GroupLag> {
    let group = shared.group(&request.group)?;
    let topic = shared.topic_if_any(&request.topic)?;
    if topic.is_none() {
        shared.within_an_answer(&group)?;
    }
    let only = topic.map(|topic| topic.spec.name.clone());
    let group = request.group.clone();
    let topics = shared
        .look(move |engine| engine.lag(&group, only.as_deref()))
        .await??;
    let now = shared.engine.now();
    Ok(GroupLag {
        topics: topics.iter().map(|lag| convert::lag::topic(lag, now)).collect(),
        group: request.group,
    })
}
