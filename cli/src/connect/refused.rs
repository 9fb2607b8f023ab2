//! What to do where the broker takes no messages. The protocol has one code for many causes, which the broker's words tell apart.

use sluice_proto::v2;

/// No room on the disk.
pub(super) const DISK: &str = "make room on the broker's disk, or have it keep less: `sluicectl broker status -o wide` shows how full it is, and \"A full disk\" in docs/operations.md says what to do";
/// The system lets the broker make, write or open no files.
pub(super) const FOLDER: &str = "`sluicectl broker status` shows the file and what the system says of it; SluiceFolderClosed in docs/runbook.md says what to do";
/// The broker is stopping, or its log is not well.
const UNKNOWN: &str = "the broker's log says why; a message that was on its way may be there nevertheless: `sluicectl message find TOPIC --from -5m` shows what came lately";
const PASSES: &str = "the broker has too much to do: try again in a moment, or send less at a time";
/// Too much of something that the broker's words name.
const BOUND: &str = "try again in a moment";
const ANY: &str = "`sluicectl broker status` says whether the broker refuses sends, and why; where it does not, the broker has too much to do: try again in a moment";

/// The words of the broker, and what to do.
const HINTS: [(&str, &str); 6] = [
    ("disk is full", DISK),
    ("disk is nearly full", DISK),
    ("in its data folder", FOLDER),
    ("can open no more files", FOLDER),
    ("is busy", PASSES),
    ("more is sent than the broker's disk takes", PASSES),
];

/// What to do about a call that was refused with these words of the broker for a bound.
pub(super) fn hint(text: &str) -> &'static str {
    named(text).unwrap_or(BOUND)
}

/// What to do about a send that was refused with this code and these words; `None` where any call's hint does.
pub(super) fn hint_of_send(code: v2::Code, text: &str) -> Option<&'static str> {
    match code {
        // Other words come from another version.
        v2::Code::TooManyRequests if named(text).is_none() => Some(ANY),
        v2::Code::InternalServerError | v2::Code::InternalError => Some(UNKNOWN),
        _ => None,
    }
}

fn named(text: &str) -> Option<&'static str> {
    let found = HINTS.iter().find(|(words, _)| text.contains(words));
    found.map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The broker's own words, so that a change of them is noticed here.
    const BROKER: &str = include_str!("../../../broker/src/engine/error.rs");

    #[test]
    fn each_words_are_the_brokers_and_lead_to_a_place_that_is_there() {
        for (words, said) in HINTS {
            assert!(BROKER.contains(words), "{words}");
            assert_eq!(hint(&format!("the broker: {words}: …")), said);
        }
        assert_eq!(hint("other words"), BOUND);
        let of_send = |text| hint_of_send(v2::Code::TooManyRequests, text);
        assert_eq!((of_send("other words"), of_send("is busy")), (Some(ANY), None));
        assert!(include_str!("../../../docs/operations.md").contains("\n## A full disk\n"));
        assert!(include_str!("../../../docs/runbook.md").contains("\n## SluiceFolderClosed\n"));
    }
}
