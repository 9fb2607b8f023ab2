//! What to do about damaged files.

use super::{Damage, Remade, Verdict};
use crate::units::count;
use std::collections::BTreeSet;

impl Verdict {
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
        let mut advice = "checkpoint: start the broker, which goes on and writes new ones. What is damaged of older ones stays as it is until they go, and no start \
             reads it while a newer one is whole. Do not delete the folder checkpoint, which may hold what stands nowhere else"
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
