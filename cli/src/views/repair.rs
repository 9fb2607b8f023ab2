//! What a repair of the log costs.

use super::log::within;
use crate::output::{Align, Show, Table};
use crate::units::{count, rfc3339};
use serde::Serialize;
use sluice_store::repair::{Done, LostMessages, Plan};
use std::path::Path;

/// A repair: what is lost, and whether it is done.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Repair {
    folder: String,
    /// Whether the log is repaired now; of a sound one it is not.
    repaired: bool,
    /// Whether it was before.
    was_repaired: bool,
    /// Whether there was nothing to repair.
    was_sound: bool,
    lost: Vec<Place>,
    lost_frames: u64,
    lost_messages: Vec<Messages>,
    /// Whether these are all of them, or only those that are known.
    lost_messages_are_all: bool,
    /// How many more there can be at most; null if nobody can tell.
    more_messages_at_most: Option<u64>,
    /// Deliveries, acknowledgements and the like that follow and are given up.
    commands_given_up: u64,
    /// Since when.
    given_up_since: Option<String>,
    /// Groups that get messages again.
    groups_again: Vec<String>,
    /// Of a log that ends: since when everything is given up, whether it can be read or not.
    ends_at: Option<String>,
    /// What takes the place of parts of state that cannot be read.
    lost_state: Vec<String>,
    /// What may be lost besides and nobody can know, and what somebody must be told.
    warnings: Vec<String>,
    saved: Vec<String>,
    /// Whether something is given up that held frames.
    #[serde(skip)]
    gives_up: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Place {
    range: String,
    file: String,
    offset: u64,
    what: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Messages {
    topic: String,
    queue: Option<u32>,
    messages: u64,
    first_offset: Option<u64>,
    last_offset: Option<u64>,
    waiting_groups: Vec<String>,
}

impl From<&LostMessages> for Messages {
    fn from(lost: &LostMessages) -> Self {
        Self {
            topic: lost.topic.clone(),
            queue: lost.queue,
            messages: lost.messages,
            first_offset: lost.offsets.map(|(first, _)| first),
            last_offset: lost.offsets.map(|(_, last)| last),
            waiting_groups: lost.groups.clone(),
        }
    }
}

impl Repair {
    /// One that may be done.
    pub fn new(folder: &Path, plan: &Plan) -> Self {
        let loss = &plan.loss;
        let place = |place: &sluice_store::repair::Place| Place {
            range: place.range.map_or_else(String::new, |range| range.to_string()),
            file: within(folder, &place.file),
            offset: place.file_offset,
            what: place.what.clone(),
        };
        Self {
            folder: folder.display().to_string(),
            repaired: plan.is_done,
            was_repaired: plan.is_done,
            was_sound: false,
            lost: loss.places.iter().map(place).collect(),
            lost_frames: loss.frames,
            lost_messages: loss.messages.iter().map(Messages::from).collect(),
            lost_messages_are_all: loss.messages_are_all && loss.may_be_messages == 0,
            more_messages_at_most: loss.messages_are_all.then_some(loss.may_be_messages),
            commands_given_up: loss.void_commands,
            given_up_since: loss.since.map(rfc3339),
            groups_again: loss.groups_again.clone(),
            ends_at: loss.ends_at.map(rfc3339),
            lost_state: loss.state.clone(),
            warnings: loss.warnings.clone(),
            saved: Vec::new(),
            gives_up: loss.gives_up(),
        }
    }

    /// Takes note that it is done.
    pub fn is_done(&mut self, folder: &Path, done: &Done) {
        self.repaired = true;
        self.saved = done.saved.iter().map(|path| within(folder, path)).collect();
    }

    /// Takes note that nothing was damaged, of which nobody can tell whether it ever was.
    pub fn was_sound(&mut self) {
        self.repaired = false;
        self.was_repaired = false;
        self.was_sound = true;
    }

    /// What is lost beyond the messages that are known, in the words of a refused start.
    fn not_known(&self) -> String {
        let more = match self.lost_messages.is_empty() {
            true => "",
            false => "more ",
        };
        match self.more_messages_at_most {
            None => {
                format!("nobody can tell how many {more}are lost: what stood there cannot be read")
            }
            Some(1) => format!(
                "one message {more}at most is lost, or else what a client, a group or an administrator did"
            ),
            Some(most) => format!(
                "{} messages {more}at most are lost, or else what clients, groups or administrators did",
                count(most)
            ),
        }
    }

    fn messages(&self) -> String {
        let columns = [
            ("TOPIC", Align::Left),
            ("QUEUE", Align::Right),
            ("LOST MESSAGES", Align::Right),
            ("OFFSETS", Align::Right),
            ("WAITED FOR", Align::Left),
        ];
        let none = match (self.lost_messages_are_all, self.gives_up) {
            (true, _) => "no message is lost",
            (false, true) => "it is not known which messages are lost",
            (false, false) => "no message is known to be lost",
        };
        let mut table = Table::new(none, &columns);
        for lost in &self.lost_messages {
            let offsets = lost.first_offset.zip(lost.last_offset);
            table.row([
                lost.topic.clone(),
                lost.queue
                    .map_or_else(|| "?".to_owned(), |queue| queue.to_string()),
                count(lost.messages),
                offsets.map_or_else(|| "?".to_owned(), |(first, last)| format!("{first}-{last}")),
                lost.waiting_groups.join(", "),
            ]);
        }
        table.render()
    }

    /// Beneath the tables, where nothing is cut.
    fn warned(&self) -> impl Iterator<Item = String> + '_ {
        self.warnings.iter().map(|warning| format!("warning: {warning}"))
    }

    fn saved(&self) -> Option<String> {
        let saved = match self.saved.is_empty() {
            true => "no file".to_owned(),
            false => self.saved.join(", "),
        };
        self.repaired
            .then(|| format!("repaired: start the broker. What was replaced is saved in {saved}"))
    }
}

impl Show for Repair {
    fn text(&self, _wide: bool) -> String {
        if self.was_sound {
            return "a meta file is valid and nothing of the log is damaged: there is nothing to repair, and nothing was changed".to_owned();
        }
        if self.was_repaired {
            return "it was repaired before: nothing is damaged there any more".to_owned();
        }
        if !self.lost_state.is_empty() {
            let mut parts = vec![format!(
                "what cannot be read of state, and what takes its place:\n{}",
                self.lost_state.join("\n")
            )];
            parts.push(self.messages());
            parts.extend(self.warned());
            parts.extend(self.saved());
            return parts.join("\n\n");
        }
        let mut lost = Table::new(
            "nothing is lost",
            &[
                ("GIVEN UP", Align::Left),
                ("FILE", Align::Left),
                ("AT BYTE", Align::Right),
                ("WHAT", Align::Left),
            ],
        )
        .whole();
        for place in &self.lost {
            let row = [&place.range, &place.file, &place.offset.to_string(), &place.what];
            lost.row(row.map(Clone::clone));
        }
        let mut parts = vec![lost.render(), self.messages()];
        if !self.lost_messages_are_all && self.gives_up {
            parts.push(self.not_known());
        }
        if self.commands_given_up > 0 {
            parts.push(format!(
                "{} deliveries, acknowledgements and the like since {} are given up{}",
                count(self.commands_given_up),
                self.given_up_since.clone().unwrap_or_default(),
                match (self.groups_again.as_slice(), &self.ends_at) {
                    // They moved groups back, were about groups that are gone, or retention's.
                    ([], None) => ": no groups get messages again".to_owned(),
                    // Of groups that were made behind the end nobody has the names any more.
                    ([], Some(_)) => String::new(),
                    (groups, _) => format!(": {} get messages again", groups.join(", ")),
                }
            ));
        }
        if let Some(since) = &self.ends_at {
            parts.push(format!(
                "the log ends as it was at {since}: of what came since, read or not, nothing is left. Messages that were acknowledged since, and are not \
                 lost themselves, come again to all groups; topics and groups are as they were then; and offsets in queues that were given to messages since \
                 are given to others"
            ));
        }
        parts.extend(self.warned());
        parts.extend(self.saved());
        parts.join("\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repair() -> Repair {
        Repair {
            folder: "broker-a".to_owned(),
            repaired: false,
            was_repaired: false,
            was_sound: false,
            lost: vec![Place {
                range: "4096..5120".to_owned(),
                file: "log/0.seg".to_owned(),
                offset: 8192,
                what: "2 frames".to_owned(),
            }],
            lost_frames: 2,
            lost_messages: vec![Messages {
                topic: "orders".to_owned(),
                queue: Some(3),
                messages: 2,
                first_offset: Some(7),
                last_offset: Some(9),
                waiting_groups: vec!["readers".to_owned()],
            }],
            lost_messages_are_all: true,
            more_messages_at_most: None,
            commands_given_up: 0,
            given_up_since: None,
            groups_again: vec![],
            ends_at: None,
            lost_state: vec![],
            warnings: vec![],
            saved: vec![],
            gives_up: true,
        }
    }

    #[test]
    fn what_is_lost_is_told_by_place_topic_and_group() {
        assert_eq!(
            repair().text(false),
            "GIVEN UP     FILE        AT BYTE   WHAT\n\
             4096..5120   log/0.seg      8192   2 frames\n\n\
             TOPIC    QUEUE   LOST MESSAGES   OFFSETS   WAITED FOR\n\
             orders       3               2       7-9   readers"
        );
    }

    #[test]
    fn what_is_not_known_and_what_is_done_again_is_told_too() {
        let behind = Repair {
            repaired: true,
            lost_messages_are_all: false,
            commands_given_up: 12,
            given_up_since: Some("2026-11-27T00:00:00Z".to_owned()),
            groups_again: vec!["readers".to_owned(), "writers".to_owned()],
            saved: vec!["log/0.bak".to_owned()],
            ..repair()
        };
        let text = behind.text(false);
        assert!(!text.contains("come again to all groups"), "{text}");
        for part in [
            "nobody can tell how many more are lost",
            "12 deliveries, acknowledgements and the like since 2026-11-27T00:00:00Z are given up: readers, writers get messages again",
            "start the broker. What was replaced is saved in log/0.bak",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let only_moved_back = Repair {
            groups_again: vec![],
            ..behind
        };
        let text = only_moved_back.text(false);
        assert!(
            text.contains("are given up: no groups get messages again"),
            "{text}"
        );
    }

    #[test]
    fn of_commands_of_which_each_may_have_been_a_message_it_is_said_how_many_at_most() {
        let lost = |most, known: bool| {
            let mut lost = Repair {
                lost_messages_are_all: false,
                more_messages_at_most: Some(most),
                ..repair()
            };
            if !known {
                lost.lost_messages.clear();
            }
            lost.text(false)
        };
        for (text, said) in [
            (
                lost(1, false),
                "one message at most is lost, or else what a client, a group or an administrator did",
            ),
            (lost(1, true), "one message more at most is lost"),
            (lost(3, false), "3 messages at most are lost"),
        ] {
            assert!(text.contains(said) && !text.contains("nobody"), "{text}");
        }
    }

    #[test]
    fn of_a_folder_in_which_nothing_is_damaged_it_is_not_said_that_it_was_repaired() {
        let mut sound = Repair {
            repaired: true,
            was_repaired: true,
            ..repair()
        };
        assert!(sound.text(false).contains("it was repaired before"));
        sound.was_sound();
        let text = sound.text(false);
        assert!(
            text.contains("nothing was changed") && !text.contains("repaired before"),
            "{text}"
        );
        let json = serde_json::to_value(&sound).unwrap();
        assert_eq!(
            (&json["repaired"], &json["was_repaired"], &json["was_sound"]),
            (&false.into(), &false.into(), &true.into())
        );
    }

    #[test]
    fn of_a_log_that_ends_it_is_said_that_nothing_is_known_and_what_comes_again() {
        let ended = Repair {
            lost_messages: vec![],
            lost_messages_are_all: false,
            ends_at: Some("2026-11-27T00:00:00Z".to_owned()),
            ..repair()
        };
        let text = ended.text(false);
        for part in [
            "it is not known which messages are lost",
            "nobody can tell how many are lost",
            "Messages that were acknowledged since, and are not lost themselves, come again to all groups",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("no message is"), "{text}");
        assert!(repair().text(false).contains("LOST MESSAGES"));
        let none = Repair {
            lost_messages: vec![],
            ..repair()
        };
        assert!(none.text(false).contains("no message is lost"));
    }

    #[test]
    fn what_may_be_lost_without_anybody_knowing_is_told_whole_and_never_as_no_loss() {
        let long = "a last segment that is gone cannot be noticed ".repeat(8);
        let unsure = Repair {
            lost: vec![Place {
                what: long.clone(),
                ..repair().lost.remove(0)
            }],
            lost_messages: vec![],
            lost_messages_are_all: false,
            warnings: vec![long.clone()],
            gives_up: false,
            ..repair()
        };
        let text = unsure.text(false);
        assert!(text.contains("no message is known to be lost"), "{text}");
        assert!(text.contains(&format!("warning: {long}")), "{text}");
        assert!(
            !text.contains("no message is lost") && !text.contains('…'),
            "{text}"
        );
        assert!(!text.contains("cannot be read"), "nothing is given up: {text}");
        let json = serde_json::to_value(&unsure).unwrap();
        assert_eq!(json["lost_messages_are_all"], false);
        assert_eq!(json["warnings"][0], long);
    }
}
