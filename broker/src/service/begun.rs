//! A call under way, as those see it who measure: metrics always, and a span where spans are wanted.

use super::convert::{code_name, is_success};
use crate::metrics::{Call, Rpc};
use crate::spans::CallSpan;

/// To be finished with the code of the answer; dropped without one, the call was cancelled.
pub(super) struct Begun<'a> {
    pub(super) call: Call<'a>,
    /// In a box: the futures of all calls are as large as this.
    pub(super) span: Option<Box<CallSpan>>,
}

impl Begun<'_> {
    pub(super) fn rpc(&self) -> Rpc {
        self.call.rpc()
    }

    pub(super) fn finish(self, code: i32) {
        if let Some(span) = self.span {
            span.finish(code_name(code), is_success(code));
        }
        self.call.finish(code);
    }
}
