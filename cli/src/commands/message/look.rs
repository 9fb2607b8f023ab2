//! Looking at messages: by id, by place, by key, by time.

use super::super::{Outcome, shown};
use crate::args::{FindMessages, GetMessage};
use crate::connect::{Admin, Asked};
use crate::failure::Failure;
use crate::session::Session;
use crate::units::{now_ms, rfc3339};
use crate::views::message::Message;
use crate::views::messages::{Found, IndexBegins};
use sluice_proto::admin::get_message_request::Which;
use sluice_proto::admin::{FindMessagesRequest, GetMessageRequest, MessagePlace};

/// The largest page that the API has.
const PAGE_MAX: u32 = 1000;

pub(super) async fn get(args: &GetMessage, session: &Session) -> Outcome {
    let admin = session.admin().await?;
    let topic = args.topic.clone().unwrap_or_default();
    if let Some(id) = &args.message_id {
        let request = GetMessageRequest {
            which: Some(Which::MessageId(id.clone())),
            topic,
        };
        let answer = admin.messages().get_message(request).await;
        return shown(Message::new(admin.answer(&Asked::message(id), answer)?, true));
    }
    let place = MessagePlace {
        topic,
        queue: args.queue.unwrap_or(0),
        offset: args.offset.unwrap_or(0),
    };
    shown(at(place, admin).await?)
}

/// The message at a place, with its body.
pub(super) async fn at(place: MessagePlace, admin: &Admin) -> Result<Message, Failure> {
    let asked = Asked::message(&format!("{}/{}/{}", place.topic, place.queue, place.offset));
    let request = GetMessageRequest {
        which: Some(Which::Place(place)),
        topic: String::new(),
    };
    let answer = admin.messages().get_message(request).await;
    Ok(Message::new(admin.answer(&asked, answer)?, true))
}

pub(super) async fn find(args: &FindMessages, session: &Session) -> Outcome {
    let admin = session.admin().await?;
    let now = now_ms();
    let [from, to] = [args.from, args.to].map(|moment| moment.map(|moment| moment.resolve(now)));
    // The API takes 0 for no end at all.
    if let Some(to) = to
        && from.unwrap_or(0) >= to
    {
        return Err(Failure::usage(format!(
            "the span ends before it begins: --from is {} and --to {}",
            from.map_or_else(|| "earliest".to_owned(), rfc3339),
            rfc3339(to)
        ))
        .hint("a span such as -1h is counted back from now"));
    }
    let mut pages = Pages {
        request: FindMessagesRequest {
            topic: args.topic.clone(),
            key: args.key.clone().unwrap_or_default(),
            from_ms: from.unwrap_or(0),
            to_ms: to.unwrap_or(0),
            page_size: args.limit.min(PAGE_MAX),
            page_token: String::new(),
        },
        ended: false,
        unreadable: 0,
        index_begins: None,
    };
    let limit = args.limit as usize;
    let mut messages = Vec::new();
    while let Some(page) = pages.next(admin).await? {
        messages.extend(page);
        if messages.len() >= limit {
            break;
        }
    }
    let more = messages.len() > limit || !pages.ended;
    messages.truncate(limit);
    let unreadable = pages.unreadable;
    let index_begins = pages.index_begins.map(IndexBegins::of);
    shown(Found {
        messages,
        more,
        unreadable,
        index_begins,
    })
}

/// The pages of a search.
pub(super) struct Pages {
    pub(super) request: FindMessagesRequest,
    /// Whether the last page has been read.
    pub(super) ended: bool,
    /// Messages that may belong to the pages so far and cannot be read.
    pub(super) unreadable: u64,
    /// Where in the log the index begins, and when that was, if messages from before may be missing.
    pub(super) index_begins: Option<(u64, u64)>,
}

impl Pages {
    /// The next page; `None` behind the last one.
    pub(super) async fn next(&mut self, admin: &Admin) -> Result<Option<Vec<Message>>, Failure> {
        if self.ended {
            return Ok(None);
        }
        let answer = admin.messages().find_messages(self.request.clone()).await;
        let page = admin.answer(&Asked::topic(&self.request.topic), answer)?;
        self.ended = page.next_page_token.is_empty();
        self.request.page_token = page.next_page_token;
        self.unreadable += page.unreadable;
        if page.index_begins_later {
            self.index_begins = Some((page.index_begins_at, page.index_begins_ms));
        }
        let messages = page.messages.into_iter();
        Ok(Some(
            messages.map(|message| Message::new(message, false)).collect(),
        ))
    }
}
