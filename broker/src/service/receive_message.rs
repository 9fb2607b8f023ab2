//! `ReceiveMessage`: messages of a topic for a group, after a wait if there are none yet.
//!
//! The queue in the request is not looked at: a receive takes from all queues of the broker. Clients that know one
//! queue only depend on it.

use super::Shared;
use super::convert;
use super::delivery::{self, Frame};
use super::frames::{Counters, Frames};
use super::invalid::Invalid;
use super::metadata::Caller;
use super::named_queue;
use super::quirks::MARGIN;
use super::status::Failure;
use crate::engine::{Passed, Receive, Taken};
use sluice_core::command::{Change, GroupSpec, SettleItem};
use sluice_core::hash;
use sluice_core::limits;
use sluice_core::plan::TagFilter;
use sluice_proto::v2::{FilterExpression, FilterType, ReceiveMessageRequest};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Request;

/// The longest wait, and the one of clients that ask for none.
const POLL_MAX: Duration = Duration::from_secs(20);
/// What clients wait for an answer beyond their poll, unless they announced otherwise.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
pub(super) async fn handle(
    shared: &Shared,
    request: Request<ReceiveMessageRequest>,
) -> Result<Frames, Failure> {
    let arrived = Instant::now();
    let (metadata, extensions, mut request) = request.into_parts();
    let caller = Caller::of(&metadata, &extensions)?;
    let group = caller.group(request.group.as_ref())?;
    let queue = request.message_queue.take().ok_or(named_queue::MISSING)?;
    let topic = caller.readable_topic(queue.topic.as_ref())?;
    shared.is_here(&queue)?;
    let filter = Arc::new(filter(request.filter_expression.as_ref())?);
    let client = shared.clients.touch(caller.call())?;
    let wait = wait_of(shared, &caller, request.long_polling_timeout.as_ref());
    // Where there is no such topic, no group is made for it.
    shared.engine.may_have_topic(&topic)?;
    let group = shared.engine.group(&group).await?;
    let (invisible_ms, told_ms) = invisible(&request, &group.spec)?;
    let (max, wait) = bounded(&request, &group.spec, wait);
    let receive = Receive {
        topic: shared.engine.topic(&topic).await?,
        group,
        client: client.id,
        filter,
        max,
        invisible_ms,
        auto_renew: request.auto_renew,
        attempt_id: hash::attempt_id(request.attempt_id.as_deref().unwrap_or_default()),
        deadline: arrived + wait,
    };
    drop(topic);
    let received = receive_matching(shared, &receive).await?;
    // Who has said farewell meanwhile reads no answer: what is dropped here is there for others at once.
    if received.is_empty() || !shared.clients.is_known(caller.client_id) {
        return Ok(Frames::nothing(received.passed()));
    }
    let topic = queue.topic.unwrap_or_default();
    let namespace = caller.namespace(&topic).to_owned();
    let frame = Frame {
        topic,
        namespace,
        invisible_ms: told_ms,
        term: shared.engine.term(),
        delivered_ms: shared.engine.now(),
    };
    let counters = Counters {
        flow: Some(shared.metrics.traffic.out_of(&receive.topic, &receive.group)),
        figures: client.figures,
    };
    Ok(Frames::new(shared, received, frame, counters))
}

/// Receives until there is a message whose tag matches, and not its hash alone.
async fn receive_matching(shared: &Shared, receive: &Receive) -> Result<Taken, Failure> {
    let mut passed = Passed::default();
    loop {
        let received = shared.engine.receive(receive.clone()).await?;
        let mut received = received.beside(&mut passed);
        if receive.filter.takes_all() || received.is_empty() {
            return Ok(received);
        }
        // A record that cannot be read is left to the frames, which say so.
        let others =
            received.separate(|message| delivery::tag(message).is_ok_and(|tag| !receive.filter.takes(tag)));
        for other in others {
            let item = SettleItem {
                offset: other.offset,
                delivery: other.delivery,
            };
            // Where it fails the message comes again, and is left out again.
            if let Err(error) = shared.engine.settle(other.id, Change::Done, vec![item]).await {
                let (topic, queue) = (&*receive.topic.spec.name, other.id.at.queue.0);
                tracing::debug!(topic, queue, offset = other.offset.0, %error, "a message of another tag stays for now");
            }
        }
        if !received.is_empty() {
            return Ok(received);
        }
    }
}

/// What the request takes by its tag expression; everything without one.
pub fn filter(expression: Option<&FilterExpression>) -> Result<TagFilter, Invalid> {
    let Some(expression) = expression else {
        return Ok(TagFilter::default());
    };
    match FilterType::try_from(expression.r#type) {
        Ok(FilterType::Tag | FilterType::Unspecified) => Ok(TagFilter::parse(&expression.expression)?),
        Ok(FilterType::Sql) | Err(_) => Err(Invalid::FilterType),
    }
}

/// For how long messages are hidden, and for how long the client is told: as the client says, else as its group does.
pub fn invisible(request: &ReceiveMessageRequest, group: &GroupSpec) -> Result<(u64, u64), Invalid> {
    if request.auto_renew {
        return Ok((limits::AUTO_RENEW_MS_MAX, group.invisible_ms));
    }
    let Some(asked) = &request.invisible_duration else {
        return Ok((group.invisible_ms, group.invisible_ms));
    };
    convert::duration_ms(asked)
        .filter(|ms| (limits::INVISIBLE_MS_MIN..=limits::INVISIBLE_MS_MAX).contains(ms))
        .map(|ms| (ms, ms))
        .ok_or(Invalid::Invisible {
            min_ms: limits::INVISIBLE_MS_MIN,
        })
}

/// How many messages to hand out, and how long to wait for some. For push consumers the group's settings bound both, also
/// where a library takes up no new settings while it runs.
fn bounded(request: &ReceiveMessageRequest, group: &GroupSpec, wait: Duration) -> (usize, Duration) {
    let asked = usize::try_from(request.batch_size).unwrap_or(0);
    if request.auto_renew {
        let batch = usize::from(group.receive_batch).max(1);
        let long_poll = Duration::from_millis(group.long_poll_ms);
        (asked.clamp(1, batch), wait.min(long_poll))
    } else {
        (asked.clamp(1, limits::RECEIVE_MAX), wait)
    }
}

/// How long this caller's request waits where there is nothing yet.
pub(super) fn wait_of(
    shared: &Shared,
    caller: &Caller<'_>,
    asked: Option<&prost_types::Duration>,
) -> Duration {
    wait(asked.and_then(convert::duration), caller.timeout(), || {
        shared.clients.request_timeout(caller.client_id)
    })
}

/// How long to wait: as asked for, else what the deadline leaves; never beyond the deadline, whatever was asked for.
fn wait(
    asked: Option<Duration>,
    deadline: Option<Duration>,
    request_timeout: impl FnOnce() -> Option<Duration>,
) -> Duration {
    let wait = match (asked, deadline) {
        (Some(asked), _) => asked,
        (None, Some(deadline)) => deadline.saturating_sub(request_timeout().unwrap_or(REQUEST_TIMEOUT) / 2),
        (None, None) => POLL_MAX,
    };
    let latest = deadline.map_or(POLL_MAX, |deadline| deadline.saturating_sub(MARGIN));
    wait.min(latest).min(POLL_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn the_answer_comes_before_the_client_gives_up() {
        for (asked, deadline, request_timeout, expected_ms) in [
            (seconds(15), seconds(18), None, 15_000),
            (seconds(30), seconds(33), None, 20_000),
            (seconds(20), seconds(20), None, 19_500),
            (seconds(0), seconds(3), None, 0),
            (seconds(5), Some(Duration::from_millis(300)), None, 0),
            (None, seconds(3), seconds(3), 1500),
            (None, seconds(3), None, 1500),
            (None, seconds(30), seconds(4), 20_000),
            (None, None, None, 20_000),
            (seconds(7), None, None, 7000),
        ] {
            let waited = wait(asked, deadline, || request_timeout);
            assert_eq!(
                waited.as_millis(),
                expected_ms,
                "{asked:?} {deadline:?} {request_timeout:?}"
            );
        }
    }

    #[test]
    fn the_settings_of_the_group_bound_what_push_consumers_take() {
        let group = GroupSpec {
            receive_batch: 4,
            long_poll_ms: 5000,
            ..GroupSpec::on_first_use("g")
        };
        let seconds = Duration::from_secs;
        for (auto_renew, batch_size, waits, expected) in [
            (true, 32, 20, (4, 5)),
            (true, 3, 2, (3, 2)),
            (true, 0, 2, (1, 2)),
            (true, -1, 2, (1, 2)),
            (false, 16, 20, (16, 20)),
            (false, 100, 20, (32, 20)),
            (false, -1, 20, (1, 20)),
        ] {
            let request = ReceiveMessageRequest {
                auto_renew,
                batch_size,
                ..Default::default()
            };
            let (max, wait) = bounded(&request, &group, seconds(waits));
            assert_eq!((max, wait.as_secs()), expected, "{request:?}");
        }
    }

    #[test]
    fn the_invisible_duration_is_ten_seconds_to_twelve_hours() {
        let request = |ms: Option<u64>| ReceiveMessageRequest {
            invisible_duration: ms.map(convert::proto_duration),
            ..Default::default()
        };
        let group = GroupSpec {
            invisible_ms: 90_000,
            ..GroupSpec::on_first_use("g")
        };
        for ms in [10_000, 30_000, 12 * 3600 * 1000] {
            assert_eq!(invisible(&request(Some(ms)), &group), Ok((ms, ms)));
        }
        for ms in [0, 9999, 12 * 3600 * 1000 + 1] {
            assert!(
                matches!(
                    invisible(&request(Some(ms)), &group),
                    Err(Invalid::Invisible { .. })
                ),
                "{ms}"
            );
        }
        assert_eq!(
            invisible(&request(Some(1)), &group).unwrap_err().to_string(),
            "the invisible duration is not between 10s and 12h"
        );
        assert_eq!(
            invisible(&request(None), &group),
            Ok((90_000, 90_000)),
            "the group says it"
        );
        let renewed = ReceiveMessageRequest {
            auto_renew: true,
            ..Default::default()
        };
        assert_eq!(
            invisible(&renewed, &GroupSpec::on_first_use("g")),
            Ok((limits::AUTO_RENEW_MS_MAX, 60_000))
        );
    }

    #[test]
    fn filters_are_by_tag() {
        let expression = |kind: FilterType, text: &str| FilterExpression {
            r#type: kind.into(),
            expression: text.to_owned(),
        };
        assert!(filter(None).unwrap().takes_all());
        assert!(
            filter(Some(&expression(FilterType::Tag, "*")))
                .unwrap()
                .takes_all()
        );
        assert!(
            filter(Some(&expression(FilterType::Unspecified, "a||b")))
                .unwrap()
                .takes(Some("b"))
        );
        assert!(matches!(
            filter(Some(&expression(FilterType::Tag, "||"))),
            Err(Invalid::Filter(_))
        ));
        assert_eq!(
            filter(Some(&expression(FilterType::Sql, "a > 1"))),
            Err(Invalid::FilterType)
        );
    }
}
