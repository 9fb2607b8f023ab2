//! What a repair cannot know, and what somebody has to be told besides what is lost.

use super::diagnosis::{LAST_IS_NOT_MISSED, unknown_behind};
use super::loss::Loss;
use super::plan::Planner;
use crate::log::Lost;

impl Planner<'_> {
    /// Adds to `loss` what may be lost besides: with meta gone a segment that nothing else knows of, and with the durable slots gone what
    /// followed. An end that is given up says so itself.
    pub(super) fn warn(&self, loss: &mut Loss) {
        if self.end.is_some() {
            return;
        }
        if self.found.log.meta_is_lost {
            loss.may_be_more(LAST_IS_NOT_MISSED.to_owned());
        }
        for damage in &self.damage {
            if let Lost::Page {
                unknown_behind: Some(end),
                ..
            } = damage.lost
            {
                loss.may_be_more(unknown_behind(end));
            }
        }
    }
}
