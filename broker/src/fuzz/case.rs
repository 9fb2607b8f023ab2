//! An input of a target.

use super::regressions;
use std::fmt;

/// What is handed to a decoder, and what is known of where it comes from.
pub struct Case<O> {
    /// The input.
    pub bytes: Vec<u8>,
    /// What it was made from.
    pub origin: O,
}

/// As it is kept among the regressions.
impl<O> fmt::Debug for Case<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {} bytes", self.bytes.len())?;
        f.write_str(&regressions::written(&self.bytes))
    }
}
