//! Tag filters: `a || b`, `*`.

use crate::entry::QueueEntry;
use crate::excerpt::excerpt;
use crate::hash;
use thiserror::Error;

/// Why a tag expression is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FilterError {
    /// Separators without a tag.
    #[error("the tag expression '{0}' names no tag: write tags as a||b, or * for all")]
    Empty(String),
    /// More alternatives than anyone needs.
    #[error("the tag expression has more than {0} tags")]
    TooMany(usize),
}

/// The tags that a subscription takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagFilter {
    /// Tag and hash; empty takes everything.
    tags: Vec<(i32, String)>,
}

impl TagFilter {
    const TAGS_MAX: usize = 1024;

    /// Reads `a || b`; `*` and the empty expression take everything, with and without a tag. Like RocketMQ it takes no
    /// notice of an empty alternative beside others.
    pub fn parse(expression: &str) -> Result<Self, FilterError> {
        let expression = expression.trim();
        if expression.is_empty() || expression == "*" {
            return Ok(Self::default());
        }
        let mut tags = Vec::new();
        for tag in expression
            .split("||")
            .map(str::trim)
            .filter(|tag| !tag.is_empty())
        {
            tags.push((hash::java_string(tag), tag.to_owned()));
            if tags.len() > Self::TAGS_MAX {
                return Err(FilterError::TooMany(Self::TAGS_MAX));
            }
        }
        if tags.is_empty() {
            return Err(FilterError::Empty(excerpt(expression).into_owned()));
        }
        Ok(Self { tags })
    }

    /// Whether everything is taken.
    pub fn takes_all(&self) -> bool {
        self.tags.is_empty()
    }

    /// Whether a message with this entry may match: its tag's hash does.
    pub fn may_take(&self, entry: &QueueEntry) -> bool {
        self.tags.is_empty() || self.tags.iter().any(|(hash, _)| entry.has_tag(*hash))
    }

    /// Whether a message with this tag matches.
    pub fn takes(&self, tag: Option<&str>) -> bool {
        self.tags.is_empty() || tag.is_some_and(|tag| self.tags.iter().any(|(_, wanted)| wanted == tag))
    }
}
