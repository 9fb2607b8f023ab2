//! Groups by name, a page at a time, with what they have not done.

use crate::admin::page::{NAMES_MAX, Page, Scope};
use crate::admin::{Outcome, Shared, convert};
use crate::engine::Engine;
use sluice_core::state::Group;
use sluice_proto::admin::{GroupSummary, ListGroupsRequest, ListGroupsResponse};

pub(super) async fn handle(shared: &Shared, request: ListGroupsRequest) -> Outcome<ListGroupsResponse> {
    let scope = Scope {
        call: "ListGroups",
        filters: &[&request.prefix],
    };
    let page = Page::of(scope, request.page_size, &request.page_token, NAMES_MAX)?;
    let mut groups = shared.engine.tables().all_groups();
    groups.retain(|group| group.spec.name.starts_with(&request.prefix));
    groups.sort_unstable_by(|one, other| one.spec.name.cmp(&other.spec.name));
    let (groups, next_page_token) = page.cut(scope, groups, |group| &group.spec.name);
    let members = shared.clients.members_by_group();
    let summaries = shared.look(move |engine| {
        let summarise = |group: &Group| GroupSummary {
            members: members.get(&group.spec.name).copied().unwrap_or_default() as u32,
            ..summary(engine, group)
        };
        groups.iter().map(|group| summarise(group)).collect()
    });
    Ok(ListGroupsResponse {
        groups: summaries.await?,
        next_page_token,
    })
}

fn summary(engine: &Engine, group: &Group) -> GroupSummary {
    let (tables, now) = (engine.tables(), engine.now());
    let subscriptions = tables.subscriptions_of(group.id).into_iter();
    let by_queue = subscriptions.filter_map(|(topic, subscription)| {
        let topic = tables.topic_by_id(topic)?;
        Some(engine.lag_by_queue(group, &topic, &subscription, now))
    });
    let lag = convert::lag::sum(by_queue.flatten());
    GroupSummary {
        group: Some(convert::group::group(group)),
        members: 0,
        ready: lag.ready,
        inflight: lag.in_flight,
        lag: lag.messages(),
        age_ms: lag.age_ms(now),
        uncounted: lag.uncounted,
    }
}
