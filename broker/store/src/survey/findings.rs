//! What is wrong with files, and what is worth knowing of them.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// Damage that is told one by one; what is beyond is counted.
const TOLD_MAX: usize = 1000;

/// Bytes that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file, or the folder that lacks one.
    pub file: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
    /// What that means.
    pub weight: Weight,
}

/// What becomes of what is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Nothing: nobody needs it, or what stands around it tells what it was, and whoever reads it gets that.
    Harmless,
    /// It is derived from the log, so that a start without the file makes it again.
    Derived,
    /// It stands nowhere else.
    Lost,
}

/// Something that is no damage, such as what a crash leaves and the next start clears up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file or folder.
    pub file: PathBuf,
    /// What there is to say.
    pub what: String,
}

/// Everything that was found, in the order in which it was.
#[derive(Debug, Default)]
pub struct Findings {
    /// Damage, each place once.
    pub damage: Vec<Damage>,
    /// Damage beyond what is told.
    pub untold: u64,
    /// What is worth knowing.
    pub notes: Vec<Note>,
}

impl Findings {
    pub(crate) fn truth(&mut self, file: &Path, offset: u64, what: impl Into<String>) {
        self.add(file, offset, what.into(), Weight::Lost);
    }

    pub(crate) fn derived(&mut self, file: &Path, offset: u64, what: impl Into<String>) {
        self.add(file, offset, what.into(), Weight::Derived);
    }

    pub(crate) fn harmless(&mut self, file: &Path, offset: u64, what: impl Into<String>) {
        self.add(file, offset, what.into(), Weight::Harmless);
    }

    /// The disk does not give these places of a file. They weigh as much as what was found of the file for that.
    pub(crate) fn not_given(&mut self, file: &Path, places: &[Range<u64>]) {
        let of_file = self.damage.iter().filter(|damage| damage.file == file);
        let weight = of_file.map(|damage| damage.weight).max();
        for place in places {
            let bytes = place.end - place.start;
            let what = format!("the disk gives an error there: {bytes} bytes cannot be read");
            self.add(file, place.start, what, weight.unwrap_or(Weight::Harmless));
        }
    }

    fn add(&mut self, file: &Path, offset: u64, what: String, weight: Weight) {
        let known = |damage: &Damage| damage.file == file && damage.offset == offset && damage.what == what;
        if self.damage.iter().any(known) {
            return;
        }
        if self.damage.len() == TOLD_MAX {
            self.untold += 1;
            // What weighs most is told, or nobody would know what to do.
            let lightest = self.damage.iter().map(|told| told.weight).min();
            let Some(lighter) = lightest.filter(|lightest| *lightest < weight) else {
                return;
            };
            let last = self.damage.iter().rposition(|told| told.weight == lighter);
            last.map(|last| self.damage.remove(last));
        }
        self.damage.push(Damage {
            file: file.to_owned(),
            offset,
            what,
            weight,
        });
    }

    pub(crate) fn note(&mut self, file: &Path, what: impl Into<String>) {
        self.notes.push(Note {
            file: file.to_owned(),
            what: what.into(),
        });
    }

    /// Whether nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_told_however_much_else_was_found_before() {
        let (mut findings, file) = (Findings::default(), Path::new("file"));
        let max = TOLD_MAX as u64;
        (0..max + 5).for_each(|at| findings.harmless(file, at, "it"));
        findings.derived(file, 0, "a part");
        findings.truth(file, 0, "a record");
        findings.derived(file, 1, "another part");
        assert_eq!((findings.damage.len() as u64, findings.untold), (max, 8));
        let last: Vec<_> = findings.damage[TOLD_MAX - 3..]
            .iter()
            .map(|damage| damage.weight)
            .collect();
        assert_eq!(last, [Weight::Derived, Weight::Lost, Weight::Derived]);
        (0..max).for_each(|at| findings.truth(file, at, "another record"));
        assert!(findings.damage.iter().all(|damage| damage.weight == Weight::Lost));
        assert_eq!(findings.untold, max + 8);
    }
}
