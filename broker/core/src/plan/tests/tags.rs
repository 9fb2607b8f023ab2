//! Tag filters, and what they leave out.

use super::*;
use crate::hash;

fn filtered(fifo: bool, expression: &str, tags: &[&str]) -> Queue {
    let mut queue = Queue::new(fifo);
    queue.filter = TagFilter::parse(expression).unwrap();
    queue.send_tags(tags);
    queue
}

#[test]
fn expressions_say_which_tags_are_taken() {
    let cases = [
        ("*", true, true, true),
        ("", true, true, true),
        ("  ", true, true, true),
        ("a", true, false, false),
        ("a||b", true, true, false),
        (" a || b ", true, true, false),
        ("c||b", false, true, false),
    ];
    for (expression, a, b, none) in cases {
        let filter = TagFilter::parse(expression).unwrap();
        let takes = [Some("a"), Some("b"), None].map(|tag| filter.takes(tag));
        assert_eq!(takes, [a, b, none], "{expression:?}");
        assert_eq!(filter.takes_all(), none, "{expression:?}");
        let entry = |tag: Option<&str>| QueueEntry {
            tag_hash: tag.map_or(0, hash::java_string),
            flags: if tag.is_some() { crate::entry::TAGGED } else { 0 },
            ..QueueEntry::default()
        };
        let may = [Some("a"), Some("b"), None].map(|tag| filter.may_take(&entry(tag)));
        assert_eq!(may, takes, "{expression:?} by hash");
    }
}

#[test]
fn empty_alternatives_are_passed_over_and_expressions_without_a_tag_or_with_too_many_are_refused() {
    for expression in ["a||", "||a", "a|| || a"] {
        let filter = TagFilter::parse(expression).unwrap();
        assert!(filter.takes(Some("a")) && !filter.takes(Some("")) && !filter.takes(None));
    }
    for expression in ["||", "|| ||"] {
        assert_eq!(
            TagFilter::parse(expression),
            Err(FilterError::Empty(expression.to_owned()))
        );
    }
    assert!(TagFilter::parse(&vec!["t"; 1024].join("||")).is_ok());
    assert_eq!(
        TagFilter::parse(&vec!["t"; 1025].join("||")),
        Err(FilterError::TooMany(1024))
    );
    let refusal = TagFilter::parse(&"||".repeat(1 << 20)).unwrap_err().to_string();
    assert!(
        refusal.contains("||…'") && refusal.len() < 400,
        "{} bytes",
        refusal.len()
    );
}

#[test]
fn an_untagged_message_is_not_one_whose_tag_hashes_to_zero() {
    let empty_hash = TagFilter::parse("\0").unwrap();
    assert_eq!(hash::java_string("\0"), 0);
    assert!(!empty_hash.may_take(&QueueEntry::default()));
}

#[test]
fn filtered_messages_are_skipped_in_spans_and_never_come_back() {
    for fifo in [false, true] {
        let mut queue = filtered(fifo, "a", &["b", "b", "a", "", "b", "a", "b"]);
        let plan = queue.select(9);
        assert_eq!(offered(&plan), [2, 5], "fifo {fifo}");
        assert_eq!(skipped(&plan), [(0, 2), (3, 2), (6, 1)], "fifo {fifo}");
        let delivery = queue.deliver(&plan).delivery;
        assert_eq!(queue.view().floor(), QueueOffset(2));
        queue.filter = TagFilter::default();
        queue.restart();
        assert!(queue.select(9).is_empty(), "fifo {fifo}: passed for good");
        queue.settle(Change::Done, 2, delivery);
        queue.settle(Change::Done, 5, delivery);
        assert_eq!(queue.view().floor(), QueueOffset(7), "fifo {fifo}");
    }
}

#[test]
fn a_plan_may_skip_without_offering() {
    for fifo in [false, true] {
        let mut queue = filtered(fifo, "z", &["a", "b"]);
        let plan = queue.select(9);
        assert!(offered(&plan).is_empty() && !plan.is_empty() && !plan.more);
        assert_eq!(skipped(&plan), [(0, 2)]);
        assert!(queue.deliver(&plan).taken.is_empty());
        assert_eq!(queue.view().floor(), QueueOffset(2), "fifo {fifo}");
    }
}

#[test]
fn a_skip_that_was_given_back_is_looked_at_again() {
    for fifo in [false, true] {
        let mut queue = filtered(fifo, "a", &["b", "a"]);
        let plan = queue.select(9);
        plan.give_back(&mut queue.cursor);
        queue.filter = TagFilter::default();
        assert_eq!(offered(&queue.select(9)), [0, 1], "fifo {fifo}");
    }
}

#[test]
fn a_message_delivered_once_is_delivered_again_whatever_the_filter_is_then() {
    for fifo in [false, true] {
        let mut queue = filtered(fifo, "*", &["a"]);
        queue.receive(1);
        queue.clock += HIDDEN;
        queue.filter = TagFilter::parse("b").unwrap();
        assert_eq!(queue.receive(1).taken, [(QueueOffset(0), 2)], "fifo {fifo}");
    }
}
