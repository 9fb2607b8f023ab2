//! What administrators changed behind a loss under terms that only what is lost fulfilled, or may have.
//!
//! A generation, an epoch, a level, and whether a topic or group was empty are decided in the log when the command comes. Behind a loss the answer
//! may be another one than it was. Which it was nobody wrote down; it is told where it may have been another, and left out where it was the same
//! for sure.

use sluice_core::command::{Command, DeleteGroup, DeleteTopic, Terms};
use sluice_core::ids::TopicId;
use sluice_core::state::{Applied, Done, Refused, Tables};
use std::collections::BTreeMap;

/// Topics and groups that are told one by one.
const TOLD_MAX: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Topic,
    Group,
}

/// What came to nothing of one topic or group.
#[derive(Debug, Default)]
struct Note {
    /// The last generation that a change of it was to make, where it stood on one that is lost.
    changed_to: Option<u64>,
    /// Changes that may have been made.
    may_be_changed: bool,
    deletion: Option<Deletion>,
    /// Whether what is lost need not have changed a topic or a group for that.
    by_what_is_void: bool,
}

#[derive(Debug)]
enum Deletion {
    /// It is there yet, and was deleted.
    Lost,
    /// It is there yet, and may have been.
    MayBeLost,
    /// It is gone, and may have been there yet. Messages that were sent to it then.
    Done(u64),
}

/// All of it.
#[derive(Debug, Default)]
pub(in crate::repair) struct Changes {
    notes: BTreeMap<(What, String), Note>,
    more: u64,
    /// The highest level of the log that could not follow.
    level: Option<u32>,
    /// What the command at hand deletes.
    deletes: Option<(What, String)>,
    /// Topics that were deleted behind the loss under terms.
    deleted: BTreeMap<TopicId, String>,
}

impl Changes {
    /// Takes in a command that is about to be applied.
    pub(super) fn before(&mut self, command: &Command<'_>, tables: &Tables) {
        self.deletes = match command {
            Command::DeleteTopic(delete) => tables
                .topic_by_id(delete.topic)
                .map(|topic| (What::Topic, topic.spec.name.clone())),
            Command::DeleteGroup(delete) => tables
                .group_by_id(delete.group)
                .map(|group| (What::Group, group.spec.name.clone())),
            _ => None,
        };
    }

    /// Takes in how it was answered now.
    pub(super) fn after(&mut self, command: &Command<'_>, answer: &Applied) {
        match (command, answer) {
            (Command::Level(_), Err(Refused::Level { asked, present })) if asked > present => {
                self.level = self.level.max(Some(*asked));
            }
            // With its number of queues kept, one that is lost would have made them more.
            (Command::PutTopic(put), Ok(_)) if !put.keep_queues => {
                self.notes.remove(&(What::Topic, put.spec.name.clone()));
            }
            (Command::PutGroup(put), Ok(_)) => {
                self.notes.remove(&(What::Group, put.spec.name.clone()));
            }
            (Command::PutTopic(put), Err(refused)) => {
                self.refused_put((What::Topic, put.spec.name.clone()), refused);
            }
            (Command::PutGroup(put), Err(refused)) => {
                self.refused_put((What::Group, put.spec.name.clone()), refused);
            }
            (Command::DeleteTopic(DeleteTopic { terms, .. }), Err(refused))
            | (Command::DeleteGroup(DeleteGroup { terms, .. }), Err(refused)) => {
                self.refused_deletion(*terms, refused);
            }
            (Command::DeleteTopic(delete), Ok(Done::TopicDeleted(_))) => {
                let is_sure = !delete.only_if_empty && delete.terms == Terms::default();
                self.deleted(delete.only_if_empty);
                if let Some((_, name)) = self.deletes.take().filter(|_| !is_sure) {
                    self.deleted.insert(delete.topic, name);
                }
            }
            (Command::DeleteGroup(delete), Ok(_)) => self.deleted(delete.only_if_empty),
            (Command::Append(_), Err(Refused::NoTopic(topic))) => self.sent_to_deleted(*topic),
            _ => {}
        }
    }

    fn note(&mut self, of: (What, String)) -> Option<&mut Note> {
        if self.notes.len() >= TOLD_MAX && !self.notes.contains_key(&of) {
            self.more += 1;
            return None;
        }
        Some(self.notes.entry(of).or_default())
    }

    fn refused_put(&mut self, of: (What, String), refused: &Refused) {
        let changed_to = match refused {
            Refused::Generation { expected, present } if expected > present => Some(expected + 1),
            refused if was_refused_then(refused) => return,
            _ => None,
        };
        let Some(note) = self.note(of) else { return };
        note.changed_to = note.changed_to.max(changed_to);
        note.may_be_changed |= changed_to.is_none();
        note.by_what_is_void |= is_by_what_is_void(refused);
    }

    fn refused_deletion(&mut self, terms: Terms, refused: &Refused) {
        let is_lost = match refused {
            Refused::Generation { expected, present } => expected > present,
            Refused::Epoch { epoch, present, .. } => epoch > present,
            _ => false,
        };
        let Some(of) = self.deletes.take().filter(|_| !was_refused_then(refused)) else {
            return;
        };
        let Some(note) = self.note(of) else { return };
        let is_sure = is_lost && terms != Terms::default();
        note.deletion = Some(if is_sure {
            Deletion::Lost
        } else {
            Deletion::MayBeLost
        });
        note.by_what_is_void |= is_by_what_is_void(refused);
    }

    /// What was noted before is of no interest then.
    fn deleted(&mut self, only_if_empty: bool) {
        let Some(of) = self.deletes.clone() else { return };
        self.notes.remove(&of);
        if only_if_empty && let Some(note) = self.note(of) {
            note.deletion = Some(Deletion::Done(0));
            note.by_what_is_void = true;
        }
    }

    fn sent_to_deleted(&mut self, topic: TopicId) {
        let Some(name) = self.deleted.get(&topic).cloned() else {
            return;
        };
        let Some(note) = self.note((What::Topic, name)) else {
            return;
        };
        match &mut note.deletion {
            Some(Deletion::Done(sent)) => *sent += 1,
            deletion => *deletion = Some(Deletion::Done(1)),
        }
    }

    /// All of it in words. Of a loss in which nothing of topics and groups was changed only what does not stand on that.
    pub(in crate::repair) fn in_words(&self, loss_may_have_changed: bool, tables: &Tables) -> Vec<String> {
        let by_void = self.notes.values().any(|note| note.by_what_is_void);
        let is_told = |note: &Note| loss_may_have_changed || by_void || note.by_what_is_void;
        let notes = self.notes.iter().filter(|(_, note)| is_told(note));
        let mut told: Vec<String> = notes.map(|(of, note)| note.in_words(of, tables)).collect();
        if let Some(level) = self.level.filter(|_| loss_may_have_changed) {
            told.push(format!(
                "the log's level {level} does not follow, for the one before is lost: what needed it since is refused; the broker raises the level again"
            ));
        }
        if self.more > 0 {
            told.push(format!(
                "and {} changes more of other topics and groups",
                self.more
            ));
        }
        told
    }
}

impl Note {
    fn in_words(&self, (what, name): &(What, String), tables: &Tables) -> String {
        let (what, generation) = match what {
            What::Topic => ("topic", tables.topic(name).map(|topic| topic.generation)),
            What::Group => ("group", tables.group(name).map(|group| group.generation)),
        };
        let mut told = Vec::new();
        if self.changed_to.is_some() || self.may_be_changed {
            told.push(match generation {
                Some(generation) => format!("its settings are those of generation {generation}"),
                None => "it was made in what is lost, and is missing".to_owned(),
            });
        }
        if let Some(changed_to) = self.changed_to {
            told.push(format!("changes up to generation {changed_to} are lost"));
        }
        if self.may_be_changed {
            told.push(
                "changes that came later may be lost, if they were not refused when they came".to_owned(),
            );
        }
        match self.deletion {
            None => {}
            Some(Deletion::Lost) => told.push("it was deleted, and is there again".to_owned()),
            Some(Deletion::MayBeLost) => {
                told.push("it may have been deleted when that was asked for, and is there again".to_owned());
            }
            Some(Deletion::Done(sent)) => {
                told.push("it is deleted, and may not have been when that was asked for: nobody can tell whether it was empty or unchanged then".to_owned());
                if sent > 0 {
                    told.push(format!(
                        "{sent} messages that were sent to it since are lost with it"
                    ));
                }
            }
        }
        format!("{what} {name}: {}", told.join("; "))
    }
}

/// Whether the answer was the same when the command came: what is lost can only have made an epoch higher, and bounds are those of the build.
fn was_refused_then(refused: &Refused) -> bool {
    match refused {
        Refused::Epoch { epoch, present, .. } => epoch < present,
        Refused::OutOfBounds(_) => true,
        // It was gone before the loss, or is by what stands behind it.
        Refused::NoTopic(_) | Refused::NoGroup(_) => true,
        _ => false,
    }
}

/// Whether messages, or what groups did with them, decide it.
fn is_by_what_is_void(refused: &Refused) -> bool {
    matches!(refused, Refused::NotEmpty(_) | Refused::InUse(_))
}
