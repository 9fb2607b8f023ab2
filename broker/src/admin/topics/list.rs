//! Topics by name, a page at a time.

use crate::admin::page::{NAMES_MAX, Page, Scope};
use crate::admin::{Outcome, Shared, convert};
use crate::service::validate::is_group_topic;
use sluice_proto::admin::{ListTopicsRequest, ListTopicsResponse};

pub(super) fn handle(shared: &Shared, request: ListTopicsRequest) -> Outcome<ListTopicsResponse> {
    let system = if request.with_system { "system" } else { "" };
    let scope = Scope {
        call: "ListTopics",
        filters: &[&request.prefix, system],
    };
    let page = Page::of(scope, request.page_size, &request.page_token, NAMES_MAX)?;
    let mut topics = shared.engine.tables().all_topics();
    topics.retain(|topic| {
        let name = &topic.spec.name;
        name.starts_with(&request.prefix) && (request.with_system || !is_group_topic(name))
    });
    topics.sort_unstable_by(|one, other| one.spec.name.cmp(&other.spec.name));
    let (topics, next_page_token) = page.cut(scope, topics, |topic| &topic.spec.name);
    Ok(ListTopicsResponse {
        topics: topics.iter().map(|topic| convert::topic::topic(topic)).collect(),
        next_page_token,
    })
}
