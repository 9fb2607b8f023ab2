//! A group, with what it reads.

use crate::admin::{Outcome, Shared, convert};
use sluice_core::state::{Topic, dead_letter_topic};
use sluice_proto::admin::{DescribeGroupRequest, GroupDescription, TopicLag};

pub(super) async fn handle(shared: &Shared, request: DescribeGroupRequest) -> Outcome<GroupDescription> {
    let group = shared.group(&request.name)?;
    let name = &group.spec.name;
    let dead_letters = shared.engine.tables().topic(&dead_letter_topic(name));
    let asked = name.clone();
    let topics = shared.look(move |engine| engine.lag(&asked, None)).await??;
    let now = shared.engine.now();
    let topics = topics.iter().map(|lag| TopicLag {
        queues: Vec::new(),
        ..convert::lag::topic(lag, now)
    });
    Ok(GroupDescription {
        group: Some(convert::group::group(&group)),
        topics: topics.collect(),
        members: shared
            .clients
            .members_by_group()
            .get(name)
            .copied()
            .unwrap_or_default() as u32,
        dead_letters: dead_letters.as_deref().map_or(0, Topic::messages),
    })
}
