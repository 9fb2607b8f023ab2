//! Whether the files of a broker are sound.

use super::log::within;
use crate::output::{Align, Show, Table};
use crate::units::{count, counted, size};
use serde::Serialize;
use sluice_core::command::Kind;
use sluice_store::repair::way_on;
use sluice_store::survey::{CheckpointSurvey, Survey, Weight};
use std::collections::BTreeSet;
use std::path::Path;

/// What a verification has found.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    folder: String,
    sound: bool,
    damage: Vec<Damage>,
    /// Places beyond those that are listed.
    damage_unlisted: u64,
    /// What is lost with what is damaged of the log.
    lost: Vec<String>,
    /// Damaged places of the log of which `lost` does not tell.
    lost_unlisted: u64,
    /// What goes on without it.
    repair_command: Option<String>,
    /// What a start over these files would say that refuses them.
    start_refused: Option<String>,
    notes: Vec<Note>,
    checked: Checked,
    /// Whether one of meta.a and meta.b can be used: a start needs no more, and writes the other one again.
    #[serde(skip)]
    meta_is_usable: bool,
    /// Whether a start could make queue files and index again.
    #[serde(skip)]
    remade: Remade,
    /// Up to where checkpoints, queue files and index were compared with what the log adds up to.
    compared_to_offset: Option<u64>,
}

/// Whether queue files and index can be made again from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remade {
    Yes,
    /// What stood before the log's start is in the checkpoint there alone, and that is not whole.
    NotWithoutBase,
    /// The log has lost frames, and a checkpoint behind them alone knows the state.
    NotAcrossALoss,
}

impl Remade {
    fn of(survey: &Survey) -> Self {
        let first = survey.log.first.physical;
        let is_base =
            |checkpoint: &CheckpointSurvey| checkpoint.whole && checkpoint.position.physical == first;
        if first.0 > 0 && !survey.checkpoints.iter().any(is_base) {
            Self::NotWithoutBase
        } else if survey
            .log
            .repaired
            .iter()
            .any(|repaired| !repaired.state_is_known)
        {
            Self::NotAcrossALoss
        } else {
            Self::Yes
        }
    }

    fn reason(self) -> Option<&'static str> {
        match self {
            Self::Yes => None,
            Self::NotWithoutBase => Some("the checkpoint at the log's start is not whole"),
            Self::NotAcrossALoss => Some("a repair stands in the log for what was lost"),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Damage {
    file: String,
    offset: u64,
    what: String,
    /// Whether a start without the file makes it again from the log.
    derived: bool,
    /// Whether nothing is lost with it: nobody needs it, or what stands around it tells what it was.
    harmless: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Note {
    file: String,
    what: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Checked {
    segments: u64,
    log_bytes: u64,
    frames: u64,
    commands: u64,
    messages: u64,
    checkpoints: u64,
    queues: u64,
    queue_files: u64,
    index_files: u64,
    index_items: u64,
}

impl Verdict {
    /// Of a folder that was surveyed; `lost` says what is lost with what is damaged of the log, from its first place on.
    pub fn new(folder: &Path, survey: Survey, lost: Vec<String>) -> Self {
        // Where state comes first, the refusal of a start says so.
        let of_state = survey.refused.as_deref().and_then(|refused| {
            let (_, command) = refused.rsplit_once(": ")?;
            command
                .ends_with("--accept-lost-state")
                .then(|| command.to_owned())
        });
        let repair_command = of_state.or_else(|| way_on(folder, &survey.log));
        let remade = Remade::of(&survey);
        let segments = &survey.log.segments;
        let of_kind = |kind: Kind| {
            segments
                .iter()
                .filter_map(move |segment| segment.commands.get(&(kind as u8)))
                .sum()
        };
        let checked = Checked {
            segments: segments.len() as u64,
            log_bytes: survey.log.end.physical.0 - survey.log.first.physical.0,
            frames: segments.iter().map(|segment| segment.frames).sum(),
            commands: segments
                .iter()
                .flat_map(|segment| segment.commands.values())
                .sum(),
            messages: of_kind(Kind::Append),
            checkpoints: survey.checkpoints.len() as u64,
            queues: survey.queues.len() as u64,
            queue_files: survey.queues.iter().map(|queue| queue.files).sum(),
            index_files: survey.index.runs + survey.index.sorted,
            index_items: survey.index.items,
        };
        let damage = survey.findings.damage.into_iter().map(|damage| Damage {
            file: within(folder, &damage.file),
            offset: damage.offset,
            what: damage.what,
            derived: damage.weight == Weight::Derived,
            harmless: damage.weight == Weight::Harmless,
        });
        let notes = survey.findings.notes.into_iter().map(|note| Note {
            file: within(folder, &note.file),
            what: note.what,
        });
        let damage: Vec<Damage> = damage.collect();
        Self {
            folder: folder.display().to_string(),
            sound: damage.is_empty() && survey.refused.is_none(),
            damage,
            damage_unlisted: survey.findings.untold,
            lost_unlisted: survey.log.damage.len().saturating_sub(lost.len()) as u64,
            lost,
            repair_command,
            start_refused: survey.refused,
            notes: notes.collect(),
            checked,
            meta_is_usable: !survey.log.meta_is_lost,
            remade,
            compared_to_offset: survey.folded_to.map(|position| position.physical.0),
        }
    }

    /// What is wrong in one line, and what to do about it; `None` if nothing is.
    pub fn advice(&self) -> Option<(String, String)> {
        if let Some(refused) = &self.start_refused {
            let problem = match self.damage.len() as u64 + self.damage_unlisted {
                0 => "a start refuses it".to_owned(),
                places => format!("{}, and a start is refused", places_are_damaged(places)),
            };
            return Some((problem, refused.clone()));
        }
        if self.sound {
            return None;
        }
        let places = self.damage.len() as u64 + self.damage_unlisted;
        let problem = places_are_damaged(places);
        Some((problem, self.what_to_do()))
    }

    fn what_to_do(&self) -> String {
        let is_spare = |damage: &Damage| self.meta_is_usable && is_meta(&damage.file);
        if self
            .damage
            .iter()
            .any(|damage| !damage.derived && !damage.harmless && !is_spare(damage))
        {
            let restore = "a start goes on, for it does not read what is damaged, and groups get what can be read of it one by one; nothing but a backup has the rest. Restore the damaged files of log/ from one";
            return match &self.repair_command {
                None => restore.to_owned(),
                Some(command) => {
                    format!(
                        "{restore}, or, once groups have what can be read, go on without what is damaged: {command}"
                    )
                }
            };
        }
        let mut advice = Vec::new();
        let (harmless, damaged): (Vec<&Damage>, Vec<&Damage>) =
            self.damage.iter().partition(|damage| damage.harmless);
        if let Some(first) = harmless.first() {
            advice.push(format!(
                "{}: nothing is lost, for the broker reads every message as it was. Look at the disk (dmesg, SMART)",
                first.file
            ));
        }
        let (spare, derived): (Vec<&Damage>, Vec<&Damage>) =
            damaged.into_iter().partition(|damage| is_spare(damage));
        if let Some(damage) = spare.first() {
            let other = if damage.file == META[0] { META[1] } else { META[0] };
            advice.push(format!(
                "{} is one of a pair, and {other} is sound: start the broker, which goes on with that one and writes both again",
                damage.file
            ));
        }
        let mut folders: BTreeSet<&str> = derived
            .iter()
            .map(|damage| derived_folder(&damage.file))
            .collect();
        if folders.remove(CHECKPOINT) {
            advice.push(self.about_checkpoints());
        }
        if self.remade != Remade::Yes && folders.remove(INDEX) {
            advice.push(self.about_index());
        }
        if !folders.is_empty() {
            advice.push(self.about_derived(&Vec::from_iter(folders).join(" and ")));
        }
        advice.join("; ")
    }

    /// A start uses another checkpoint, and once retention has taken a part of the log the one at its start is no copy of anything.
    fn about_checkpoints(&self) -> String {
        let mut advice = "checkpoint: start the broker, which goes on and writes new ones. Do not delete the folder checkpoint, which may hold what stands nowhere else"
            .to_owned();
        if self.remade == Remade::NotWithoutBase {
            advice.push_str(
                ". The one at the log's start is lost, so that queue files and index cannot be made again until retention has moved \
                 the log's start: copy the folder now",
            );
        }
        advice
    }

    /// It serves look-ups alone, and the next start goes on without what was in it.
    fn about_index(&self) -> String {
        let reason = self.remade.reason().unwrap_or_default();
        format!(
            "{INDEX}: start the broker. If it needs what is damaged it makes the index anew from the newest checkpoint on, for nothing can \
             make what was before again: {reason}. Messages that stand before it are then not found by key or message id; everything else works, \
             and nothing is lost"
        )
    }

    fn about_derived(&self, files: &str) -> String {
        match self.remade.reason() {
            None => format!(
                "while the broker is stopped, delete {files}, and the next start makes it again from the log"
            ),
            Some(reason) => format!(
                "{files}: do not delete it, for nothing can make all of it again: {reason}. Bring it back from a backup of this moment, or copy the \
                 folder and start the broker: it finds again what log and checkpoints tell, at this start where a file is gone or cut off, else at \
                 the next one after the damage was met; messages whose place nobody knows count as lost"
            ),
        }
    }
}

const META: [&str; 2] = ["meta.a", "meta.b"];
const CHECKPOINT: &str = "checkpoint";
const INDEX: &str = "index";

fn is_meta(file: &str) -> bool {
    META.contains(&file)
}

/// So many places, in words.
pub fn places_are_damaged(places: u64) -> String {
    match places {
        1 => "1 place is damaged".to_owned(),
        places => format!("{} places are damaged", count(places)),
    }
}

/// What to delete so that a start makes it again: the whole folder, or the one file that stands beside segments.
fn derived_folder(file: &str) -> &str {
    match file.split_once('/') {
        Some((folder @ ("queue" | "index" | CHECKPOINT), _)) => folder,
        _ => file,
    }
}

impl Show for Verdict {
    fn text(&self, _wide: bool) -> String {
        let mut parts = Vec::new();
        if !self.damage.is_empty() {
            let columns = [
                ("DAMAGED FILE", Align::Left),
                ("AT BYTE", Align::Right),
                ("WHAT", Align::Left),
            ];
            let mut table = Table::new("", &columns).whole();
            for damage in &self.damage {
                table.row([
                    damage.file.clone(),
                    damage.offset.to_string(),
                    damage.what.clone(),
                ]);
            }
            parts.push(table.render());
        }
        if self.damage_unlisted > 0 {
            parts.push(format!(
                "and {}",
                counted(self.damage_unlisted, "place more", "places more")
            ));
        }
        if !self.lost.is_empty() {
            let mut lost = self.lost.join("\n");
            if self.lost_unlisted > 0 {
                let more = counted(self.lost_unlisted, "place more", "places more");
                lost.push_str(&format!("\nand {more} of the log: `sluicectl log repair` with --dry-run tells what is lost with each"));
            }
            parts.push(lost);
        }
        if !self.notes.is_empty() {
            let notes: Vec<String> = self
                .notes
                .iter()
                .map(|note| format!("note: {}: {}", note.file, note.what))
                .collect();
            parts.push(notes.join("\n"));
        }
        let checked = &self.checked;
        let verdict = if self.sound { "sound" } else { "DAMAGED" };
        parts.push(format!(
            "{verdict}: {} ({}) with {}, {} and {}; {}; {} in {}; {} with {}",
            counted(checked.segments, "segment", "segments"),
            size(checked.log_bytes),
            counted(checked.frames, "frame", "frames"),
            counted(checked.commands, "command", "commands"),
            counted(checked.messages, "message", "messages"),
            counted(checked.checkpoints, "checkpoint", "checkpoints"),
            counted(checked.queues, "queue", "queues"),
            counted(checked.queue_files, "file", "files"),
            counted(checked.index_files, "index file", "index files"),
            counted(checked.index_items, "item", "items"),
        ));
        if self.compared_to_offset.is_none() {
            parts.push(
                "checkpoints, queue files and index were not compared with the log, for not all of it can be read".to_owned(),
            );
        }
        parts.join("\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(damage: &[(&str, Weight)]) -> Verdict {
        let one = |(file, weight): &(&str, Weight)| Damage {
            file: (*file).to_owned(),
            offset: 4096,
            what: "the checksum is wrong".to_owned(),
            derived: *weight == Weight::Derived,
            harmless: *weight == Weight::Harmless,
        };
        Verdict {
            folder: "broker-a".to_owned(),
            sound: damage.is_empty(),
            damage: damage.iter().map(one).collect(),
            damage_unlisted: 0,
            lost: vec![],
            lost_unlisted: 0,
            repair_command: None,
            start_refused: None,
            notes: vec![],
            checked: Checked {
                segments: 1,
                log_bytes: 2048,
                frames: 3,
                commands: 4,
                messages: 5,
                checkpoints: 6,
                queues: 7,
                queue_files: 8,
                index_files: 9,
                index_items: 10,
            },
            meta_is_usable: true,
            remade: Remade::Yes,
            compared_to_offset: Some(2048),
        }
    }

    #[test]
    fn sound_files_are_a_line_and_damaged_ones_a_table() {
        assert_eq!(
            verdict(&[]).text(false),
            "sound: 1 segment (2.0 KiB) with 3 frames, 4 commands and 5 messages; 6 checkpoints; \
             7 queues in 8 files; 9 index files with 10 items"
        );
        let cut = Verdict {
            lost: vec!["one".to_owned(), "another".to_owned()],
            lost_unlisted: 1095,
            ..verdict(&[("log/0.seg", Weight::Lost)])
        };
        let told = cut.text(false);
        assert!(told.contains("\none\nanother\nand 1,095 places more"), "{told}");
        let damaged = verdict(&[("log/0.seg", Weight::Lost)]).text(false);
        assert!(
            damaged.starts_with(
                "DAMAGED FILE   AT BYTE   WHAT\nlog/0.seg         4096   the checksum is wrong\n"
            ),
            "{damaged}"
        );
    }

    #[test]
    fn the_advice_follows_from_what_is_damaged() {
        assert_eq!(verdict(&[]).advice(), None);
        let (problem, advice) = verdict(&[
            ("queue/0/1/0.cq", Weight::Derived),
            ("queue/0/2/0.cq", Weight::Derived),
            ("log/0.sparse", Weight::Derived),
        ])
        .advice()
        .unwrap();
        assert_eq!(problem, "3 places are damaged");
        assert!(advice.contains("delete log/0.sparse and queue,"), "{advice}");
        let (problem, advice) = verdict(&[("log/0.seg", Weight::Lost)]).advice().unwrap();
        assert_eq!(problem, "1 place is damaged");
        assert!(advice.contains("backup"), "{advice}");
        let advice = verdict(&[("log/0.seg", Weight::Harmless)]).advice().unwrap().1;
        assert!(
            advice.starts_with("log/0.seg: nothing is lost") && !advice.contains("backup"),
            "{advice}"
        );
        let both = [("log/0.seg", Weight::Harmless), ("index/1.run", Weight::Derived)];
        let advice = verdict(&both).advice().unwrap().1;
        assert!(
            advice.contains("log/0.seg: nothing is lost") && advice.contains("delete index,"),
            "{advice}"
        );
        let spare = [("meta.a", Weight::Lost), ("index/1.run", Weight::Derived)];
        let advice = verdict(&spare).advice().unwrap().1;
        assert!(
            advice.contains("meta.b is sound") && advice.contains("delete index,"),
            "{advice}"
        );
        assert!(!advice.contains("backup"), "{advice}");
        let lost = Verdict {
            remade: Remade::NotWithoutBase,
            ..verdict(&[
                ("checkpoint/7.root", Weight::Derived),
                ("index/1.run", Weight::Derived),
            ])
        };
        let advice = lost.advice().unwrap().1;
        assert!(
            advice.contains("Do not delete the folder") && advice.contains("copy the folder now"),
            "{advice}"
        );
        assert!(advice.contains("index: start the broker"), "{advice}");
        let repaired = Verdict {
            remade: Remade::NotAcrossALoss,
            ..verdict(&[
                ("queue/0/1/0.cq", Weight::Derived),
                ("index/1.run", Weight::Derived),
            ])
        };
        let advice = repaired.advice().unwrap().1;
        assert!(
            advice.contains("queue: do not delete it")
                && advice.contains("finds again what log and checkpoints tell")
                && advice.contains("not found by key or message id"),
            "{advice}"
        );
        let refused = Verdict {
            start_refused: Some("it says why, and what to do".to_owned()),
            ..verdict(&[("meta.a", Weight::Lost), ("meta.b", Weight::Lost)])
        };
        let (problem, advice) = refused.advice().unwrap();
        assert_eq!(problem, "2 places are damaged, and a start is refused");
        assert_eq!(advice, "it says why, and what to do");
        let level = Verdict {
            start_refused: Some("a newer build".to_owned()),
            ..verdict(&[])
        };
        assert_eq!(level.advice().unwrap().0, "a start refuses it");
    }
}
