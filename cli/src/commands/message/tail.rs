//! Following a topic without a group: the ends of its queues are looked at, and what has come is fetched by its place.
//! That needs no clock and no index, misses nothing and shows nothing twice.

use super::super::Outcome;
use super::look::{self, Pages};
use crate::args::TailMessages;
use crate::connect::{Admin, Asked};
use crate::failure::{Failure, Kind};
use crate::session::Session;
use crate::units::now_ms;
use crate::views::message::Message;
use crate::views::messages::Followed;
use sluice_proto::admin::{DescribeTopicRequest, FindMessagesRequest, MessagePlace, TopicQueue};
use std::collections::BTreeMap;

/// Messages of a queue that one look fetches; the others come with the next.
const AT_ONCE: u64 = 256;

/// Where following goes on, by queue.
type Next = BTreeMap<u32, u64>;

pub(super) async fn tail(args: &TailMessages, session: &Session) -> Outcome {
    let admin = session.admin().await?;
    let mut shown = Shown {
        session,
        left: args.max,
    };
    // Messages before these ends are found by time, those from there on are followed.
    let mut next: Next = queues(&args.topic, admin)
        .await?
        .into_iter()
        .map(|queue| (queue.queue, queue.max_offset))
        .collect();
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
    ends: &Next,
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
    };
    while let Some(page) = pages.next(admin).await? {
        for found in page {
            if shown.is_enough() {
                return Ok(());
            }
            if ends.get(&found.queue).is_some_and(|end| found.offset < *end) {
                fetch(topic, found.queue, found.offset, admin)
                    .await?
                    .map_or(Ok(()), |message| shown.show(message))?;
            }
        }
    }
    Ok(())
}

/// Shows what has come since the last look, in the order in which it came. Tells whether there is more already.
async fn follow(topic: &str, next: &mut Next, admin: &Admin, shown: &mut Shown<'_>) -> Result<bool, Failure> {
    let (mut come, mut ends) = (Vec::new(), Vec::new());
    let mut more = false;
    for queue in queues(topic, admin).await? {
        // A queue that was added is followed from its first message on.
        let at = next.get(&queue.queue).copied().unwrap_or(queue.min_offset);
        let from = at.max(queue.min_offset);
        let to = queue.max_offset.min(from + AT_ONCE);
        more |= to < queue.max_offset;
        for offset in from..to {
            come.extend(fetch(topic, queue.queue, offset, admin).await?);
        }
        ends.push((queue.queue, from.max(to)));
    }
    // Only now: what was fetched is shown, and what could not be is fetched again.
    next.extend(ends);
    come.sort_by_key(Message::stored_ms);
    come.into_iter().try_for_each(|message| shown.show(message))?;
    Ok(more)
}

/// A message; `None` if retention was faster.
async fn fetch(topic: &str, queue: u32, offset: u64, admin: &Admin) -> Result<Option<Message>, Failure> {
    let place = MessagePlace {
        topic: topic.to_owned(),
        queue,
        offset,
    };
    match look::at(place, admin).await {
        Ok(message) => Ok(Some(message)),
        Err(failure) if failure.kind == Kind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

async fn queues(topic: &str, admin: &Admin) -> Result<Vec<TopicQueue>, Failure> {
    let request = DescribeTopicRequest {
        name: topic.to_owned(),
    };
    let answer = admin.topics().describe_topic(request).await;
    Ok(admin.answer(&Asked::topic(topic), answer)?.queues)
}
