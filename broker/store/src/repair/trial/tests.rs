//! What the trial fold lets pass.

use super::*;
use crate::log::{FrameBuilder, FrameKind, ShardUuid};
use bytes::Bytes;
use sluice_core::command::{CreateTopic, EncodedCommand, NewMessage, Types};
use sluice_core::ids::Term;
use sluice_core::record::NewRecord;

fn frame(index: u64, at: u64, command: &EncodedCommand) -> Frame {
    let seed = ShardUuid::default().into();
    let (index, at) = (LogIndex(index), PhysicalOffset(at));
    let mut bytes = Vec::new();
    let mut builder = FrameBuilder::begin(&mut bytes, seed, at, Term(1), index, FrameKind::Commands);
    builder.push(command.as_bytes());
    builder.finish();
    Frame::check(&Bytes::from(bytes), seed, 1 << 20).unwrap()
}

fn topic(name: &str) -> EncodedCommand {
    let spec = CreateTopic {
        name: name.to_owned(),
        queues: 1,
        types: Types::ALL,
    };
    spec.encode(1)
}

fn message(id: u32, name: &str) -> EncodedCommand {
    let host = "127.0.0.1:1".parse().unwrap();
    let record = NewRecord {
        topic: name,
        queue: 0,
        body: b"body",
        properties: b"",
        born_ms: 5,
        born_host: host,
        store_ms: 5,
        store_host: host,
    };
    let message = NewMessage {
        topic: TopicId(id),
        tag: None,
        message_group: None,
        record,
    };
    message.encode()
}

/// Whether what follows the loss of `lost`, of so many topics, still means what it did.
fn is_safe(before: &[EncodedCommand], behind: &[EncodedCommand]) -> bool {
    let lost_at = PhysicalOffset(10_000);
    let mut trial = Trial::new(
        LogPosition::default(),
        State::new(),
        Some(lost_at),
        None,
        PhysicalOffset(0),
    );
    for (n, command) in (0..).zip(before) {
        trial.see(Seen::Frame(&frame(n, n * 1000, command), false));
    }
    trial.see(Seen::Gap(lost_at));
    for (n, command) in (0..).zip(behind) {
        trial.see(Seen::Frame(&frame(50 + n, 20_000 + n * 1000, command), false));
    }
    trial.problem.is_none()
}

#[test]
fn a_message_that_would_go_to_another_topic_is_noticed_by_its_records_topic() {
    let a = topic("a");
    assert!(is_safe(
        std::slice::from_ref(&a),
        &[message(0, "a"), topic("b"), message(1, "b")]
    ));
    // Of three topics the second was made in what is lost: the third one has its id now.
    assert!(!is_safe(std::slice::from_ref(&a), &[topic("c"), message(1, "b")]));
    assert!(!is_safe(std::slice::from_ref(&a), &[topic("c"), message(2, "c")]));
    assert!(!is_safe(&[], &[message(0, "a")]));
    assert!(is_safe(&[a], &[topic("c")]));
}

/// What is said of an end at the log's first frame, behind which these stand.
fn cut(frames: &[Seen<'_>], is_damaged: bool) -> String {
    let start = PhysicalOffset(0);
    let mut trial = Trial::new(LogPosition::default(), State::new(), None, Some(start), start);
    for seen in frames {
        let (Seen::Frame(frame, _) | Seen::Partly(frame)) = seen else {
            continue;
        };
        trial.see(match seen {
            Seen::Partly(_) => Seen::Partly(frame),
            _ => Seen::Frame(frame, false),
        });
    }
    trial.cut_in_words(is_damaged)
}

#[test]
fn an_end_says_what_stands_behind_it_and_nothing_where_nothing_does() {
    let (one, two) = (frame(0, 0, &message(1, "a")), frame(1, 1000, &topic("b")));
    let bytes = one.end().0 - one.start().0;
    assert_eq!(cut(&[], false), "");
    assert_eq!(cut(&[], true), ", of which nothing can be read");
    assert_eq!(
        cut(&[Seen::Frame(&one, true)], true),
        format!(", with one whole frame ({bytes} bytes, one message)")
    );
    assert_eq!(
        cut(&[Seen::Frame(&one, true), Seen::Partly(&two)], true),
        format!(
            ", with one whole frame ({bytes} bytes, one message) and one frame of which a part can be read (0 messages)"
        )
    );
}
