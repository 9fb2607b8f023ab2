//! Messages of a topic by key, or by time, a page at a time and without their bodies.

use super::{TEXT_MAX, message};
use crate::admin::page::{Page, Scope};
use crate::admin::status::Wrong;
use crate::admin::{Outcome, Shared};
use crate::engine::find::{PAGE_MAX, Search};
use sluice_proto::admin::{FindMessagesRequest, FindMessagesResponse};

const PAGE_DEFAULT: u32 = 100;

pub(super) async fn handle(shared: &Shared, request: FindMessagesRequest) -> Outcome<FindMessagesResponse> {
    let topic = shared.topic(&request.topic)?;
    if request.key.len() > TEXT_MAX {
        return Err(Wrong::Request(format!(
            "the key has {} bytes: no message's has",
            request.key.len()
        ))
        .into());
    }
    let until = if request.to_ms == 0 {
        u64::MAX
    } else {
        request.to_ms
    };
    if request.key.contains(' ') {
        let wrong = "a key with spaces in it is stored as several: look for one of them";
        return Err(Wrong::Request(wrong.to_owned()).into());
    }
    if request.from_ms >= until {
        return Err(Wrong::Request(format!(
            "from_ms is {} and to_ms {until}: let the span begin before it ends",
            request.from_ms
        ))
        .into());
    }
    let (from, to) = (request.from_ms.to_string(), until.to_string());
    let scope = Scope {
        call: "FindMessages",
        filters: &[&request.topic, &request.key, &from, &to],
    };
    let size = match request.page_size {
        0 => PAGE_DEFAULT,
        size => size,
    };
    let page = Page::of(scope, size, &request.page_token, PAGE_MAX)?;
    let search = Search {
        topic: topic.spec.name.clone(),
        times: request.from_ms..until,
        max: page.size,
        after: page.after,
    };
    let found = if request.key.is_empty() {
        shared.finder.by_time(search).await?
    } else {
        shared.finder.by_key(&request.key, search).await?
    };
    let messages = found.messages.iter().map(|found| message(found, false));
    Ok(FindMessagesResponse {
        messages: messages.collect::<Outcome<_>>()?,
        unreadable: found.unreadable,
        index_begins_later: found.index_begins.is_some(),
        index_begins_at: found.index_begins.map_or(0, |(at, _)| at.0),
        index_begins_ms: found.index_begins.and_then(|(_, time)| time).unwrap_or(0),
        next_page_token: found.next.map_or_else(String::new, |next| scope.write(&next)),
    })
}
