//! Following a topic without a group: the ends of its queues are looked at, and what has come is fetched by its place.
//! That needs no clock and no index, misses nothing and shows nothing twice.

use super::super::Outcome;
use super::look::{Pages, at};
use crate::args::TailMessages;
use crate::connect::{Admin, Asked};
use crate::failure::{Failure, Kind};
use crate::session::Session;
use crate::units::{counted, now_ms};
use crate::views::message::Message;
use crate::views::messages::Followed;
use sluice_proto::admin::{DescribeTopicRequest, FindMessagesRequest, MessagePlace, TopicQueue};
use std::collections::BTreeMap;

/// Messages of a queue that one look fetches; the others come with the next.
const AT_ONCE: u64 = 256;
/// The broker's reason where a message is there and cannot be read.
const UNREADABLE: &str = "MESSAGE_UNREADABLE";

/// Where following goes on.
struct Next {
    /// A topic that was deleted and made anew has another, and its offsets begin again.
    topic_id: u32,
    /// By queue; one that is not here is followed from its first message on.
    offsets: BTreeMap<u32, u64>,
}

pub(super) async fn tail(args: &TailMessages, session: &Session) -> Outcome {
    let admin = session.admin().await?;
    let mut shown = Shown {
        session,
        left: args.max,
    };
    // Messages before these ends are found by time, those from there on are followed.
    let (topic_id, queues) = look(&args.topic, admin).await?;
    let ends = queues.into_iter().map(|queue| (queue.queue, queue.max_offset));
    let mut next = Next {
        topic_id,
        offsets: ends.collect(),
    };
    if let Some(from) = args.from {
        earlier(&args.topic, from.resolve(now_ms()), &next, admin, &mut shown).await?;
    }
    let mut away = false;
    while !shown.is_enough() {
        let more = match follow(&args.topic, &mut next, admin, &mut shown).await {
            // A broker that starts again is followed further: nothing is lost by that.
            Err(failure) if failure.kind == Kind::Unreachable => {
                if !away {
                    session.printer().note(&format!("{failure}\nwaiting for it"));
                }
                away = true;
                false
            }
            more => {
                away = false;
                more?
            }
        };
        if !more {
            tokio::time::sleep(args.every).await;
        }
    }
    Ok(None)
}

/// Shows messages, no more than are wanted.
struct Shown<'a> {
    session: &'a Session,
    left: Option<u64>,
}

impl Shown<'_> {
    fn is_enough(&self) -> bool {
        self.left == Some(0)
    }

    fn show(&mut self, message: Message) -> Result<(), Failure> {
        if self.is_enough() {
            return Ok(());
        }
        self.left = self.left.map(|left| left - 1);
        self.session.printer().show_one_of_many(&Followed(message))
    }
}

/// Shows what came from a time on and stands before the ends.
async fn earlier(
    topic: &str,
    from_ms: u64,
    next: &Next,
    admin: &Admin,
    shown: &mut Shown<'_>,
) -> Result<(), Failure> {
    let mut pages = Pages {
        request: FindMessagesRequest {
            topic: topic.to_owned(),
            from_ms,
            ..Default::default()
        },
        ended: false,
        unreadable: 0,
        index_begins: None,
    };
    let mut left_out = LeftOut::default();
    while let Some(page) = pages.next(admin).await? {
        for found in page {
            if shown.is_enough() {
                left_out.tell(shown.session);
                return Ok(());
            }
            if next
                .offsets
                .get(&found.queue)
                .is_some_and(|end| found.offset < *end)
            {
                let fetched = fetch(topic, found.queue, found.offset, admin, &mut left_out).await?;
                fetched.map_or(Ok(()), |message| shown.show(message))?;
            }
        }
    }
    left_out.unreadable += pages.unreadable;
    left_out.tell(shown.session);
    Ok(())
}

/// Shows what has come since the last look, in the order in which it came. Tells whether there is more already.
async fn follow(topic: &str, next: &mut Next, admin: &Admin, shown: &mut Shown<'_>) -> Result<bool, Failure> {
    let (mut come, mut ends, mut left_out) = (Vec::new(), Vec::new(), LeftOut::default());
    let mut more = false;
    let (topic_id, queues) = look(topic, admin).await?;
    if next.topic_id != topic_id {
        let note = format!(
            "topic {topic} was deleted and made anew: what of the old one was not shown is gone, the new one is followed from its first message on"
        );
        shown.session.printer().note(&note);
        *next = Next {
            topic_id,
            offsets: BTreeMap::new(),
        };
    }
    for queue in queues {
        let at = next
            .offsets
            .get(&queue.queue)
            .copied()
            .unwrap_or(queue.min_offset);
        let from = at.max(queue.min_offset);
        left_out.gone += from - at;
        let to = queue.max_offset.min(from + AT_ONCE);
        more |= to < queue.max_offset;
        for offset in from..to {
            come.extend(fetch(topic, queue.queue, offset, admin, &mut left_out).await?);
        }
        ends.push((queue.queue, from.max(to)));
    }
    // Places name a topic by its name: what was fetched may be of one that was made anew meanwhile. The next look finds out.
    if !come.is_empty() && look(topic, admin).await?.0 != topic_id {
        return Ok(true);
    }
    // Only now: what was fetched is shown, and what could not be is fetched again.
    next.offsets.extend(ends);
    left_out.tell(shown.session);
    come.sort_by_key(Message::stored_ms);
    come.into_iter().try_for_each(|message| shown.show(message))?;
    Ok(more)
}

/// Messages that are not shown.
#[derive(Default)]
struct LeftOut {
    /// That cannot be read: they hide no other.
    unreadable: u64,
    /// What the broker says of the first of those.
    first: Option<Failure>,
    /// That came after the last look, and were given up by retention before this one.
    gone: u64,
}

impl LeftOut {
    fn tell(&self, session: &Session) {
        if self.unreadable > 0 {
            let left_out = counted(
                self.unreadable,
                "message that cannot be read is left out",
                "messages that cannot be read are left out",
            );
            let why = match &self.first {
                Some(first) => format!("the first is {first}"),
                None => "the broker's log says why".to_owned(),
            };
            session.printer().note(&format!("{left_out}; {why}"));
        }
        if self.gone > 0 {
            let gone = counted(self.gone, "message is not shown", "messages are not shown");
            session
                .printer()
                .note(&format!("{gone}: retention took them before they were fetched"));
        }
    }
}

/// A message; `None` if retention was faster, or if it cannot be read: both are counted.
async fn fetch(
    topic: &str,
    queue: u32,
    offset: u64,
    admin: &Admin,
    left_out: &mut LeftOut,
) -> Result<Option<Message>, Failure> {
    let place = MessagePlace {
        topic: topic.to_owned(),
        queue,
        offset,
    };
    match at(place, admin).await {
        Ok(message) => Ok(Some(message)),
        Err(failure) if failure.kind == Kind::NotFound => {
            left_out.gone += 1;
            Ok(None)
        }
        Err(failure) if failure.reason.as_deref() == Some(UNREADABLE) => {
            left_out.unreadable += 1;
            left_out.first.get_or_insert(failure);
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// The topic's id and its queues.
async fn look(topic: &str, admin: &Admin) -> Result<(u32, Vec<TopicQueue>), Failure> {
    let request = DescribeTopicRequest {
        name: topic.to_owned(),
    };
    let answer = admin.topics().describe_topic(request).await;
    let described = admin.answer(&Asked::topic(topic), answer)?;
    Ok((described.topic.map_or(0, |topic| topic.id), described.queues))
}
