//! Tag expressions, against what RocketMQ says that they mean, written once more in the plainest way.

use crate::fuzz::bounds::{bounded, measured, worded};
use crate::fuzz::case::Case;
use crate::fuzz::run::{Checked, Verdict};
use crate::fuzz::{damage, draw};
use anyhow::ensure;
use bolero::{Driver, ValueGenerator};
use sluice_core::entry::{QueueEntry, TAGGED};
use sluice_core::hash;
use sluice_core::plan::{FilterError, TagFilter};

const TAGS_MAX: usize = 1024;
/// For each byte of an expression: a tag of one letter with its separator takes an entry and its text.
const MEMORY_BYTES_EACH: usize = 64;
const MEMORY_BYTES_LEAST: usize = 1024;

type Parse = fn(&str) -> Result<TagFilter, FilterError>;

struct Expressions;

impl ValueGenerator for Expressions {
    type Output = Case<()>;

    fn generate<D: Driver>(&self, driver: &mut D) -> Option<Self::Output> {
        let (mut bytes, other) = (expression(driver)?.into_bytes(), expression(driver)?);
        damage::some(driver, &mut bytes, other.as_bytes())?;
        Some(Case { bytes, origin: () })
    }
}

fn expression<D: Driver>(driver: &mut D) -> Option<String> {
    if draw::once_in(driver, 50)? {
        return Some("t||".repeat(TAGS_MAX - 1 + draw::below(driver, 3)?));
    }
    let mut expression = String::new();
    for place in 0..draw::below(driver, 5)? {
        if place > 0 {
            expression += draw::one_of(driver, &["||", " || ", "||\t", "|", "|||", "\u{a0}||"])?;
        }
        expression += &draw::text(driver)?;
    }
    Some(expression)
}

/// The tags of an expression; none takes everything.
fn meant(expression: &str) -> Option<Vec<&str>> {
    let mut tags = Vec::new();
    let mut rest = expression.trim();
    if matches!(rest, "" | "*") {
        return None;
    }
    loop {
        let (tag, more) = rest.split_once("||").unwrap_or((rest, ""));
        tags.extend(Some(tag.trim()).filter(|tag| !tag.is_empty()));
        if more.is_empty() {
            return Some(tags);
        }
        rest = more;
    }
}

fn check(bytes: &[u8], parse: Parse) -> Checked {
    let expression = &*String::from_utf8_lossy(bytes);
    let (parsed, took) = measured(|| parse(expression));
    bounded(took, expression.len(), MEMORY_BYTES_LEAST, MEMORY_BYTES_EACH)?;
    let meant = meant(expression);
    let filter = match (parsed, &meant) {
        (Ok(filter), _) => filter,
        (Err(error), None) => return Err(error.into()),
        (Err(error), Some(tags)) => {
            let expected = match tags.len() {
                0 => matches!(error, FilterError::Empty(_)),
                count => count > TAGS_MAX && error == FilterError::TooMany(TAGS_MAX),
            };
            ensure!(expected, "{error}, of {} tags", tags.len());
            return worded(&error).map(|()| Verdict::Refused);
        }
    };
    ensure!(
        filter.takes_all() == meant.is_none(),
        "'{expression}' takes all, or does not"
    );
    ensure!(
        filter.takes(None) == meant.is_none(),
        "'{expression}' and a message without a tag"
    );
    let tags = meant.clone().unwrap_or_default();
    ensure!(
        meant.is_none() || (1..=TAGS_MAX).contains(&tags.len()),
        "{} tags pass",
        tags.len()
    );
    for tag in tags
        .iter()
        .take(8)
        .copied()
        .chain(["red", "blue", "a", "*", "orders"])
    {
        let takes = meant.as_ref().is_none_or(|tags| tags.contains(&tag));
        ensure!(
            filter.takes(Some(tag)) == takes,
            "'{expression}' and the tag '{tag}'"
        );
        let entry = QueueEntry {
            tag_hash: hash::java_string(tag),
            flags: TAGGED,
            ..QueueEntry::default()
        };
        ensure!(
            !takes || filter.may_take(&entry),
            "'{expression}' passes over the tag '{tag}' by its hash"
        );
    }
    if meant.is_some() {
        // An alternative in front that names nothing: a tag '*' alone would be no tag.
        let again = parse(&format!("|| {}", tags.join(" || ")))?;
        ensure!(
            again == filter,
            "'{expression}' is another once it is written again"
        );
    }
    Ok(Verdict::Taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{regressions, run};

    #[test]
    fn an_expression_takes_the_tags_that_it_names() {
        run::holds("filter", Expressions, |case| check(&case.bytes, TagFilter::parse));
    }

    #[test]
    fn what_once_failed_is_replayed() {
        regressions::replay("filter", |bytes| check(bytes, TagFilter::parse));
    }

    #[test]
    fn a_planted_reader_of_the_first_tag_alone_is_found() {
        fn first(expression: &str) -> Result<TagFilter, FilterError> {
            let mut alternatives = expression.split("||").map(str::trim);
            let first = match meant(expression) {
                Some(_) => alternatives.find(|tag| !matches!(*tag, "" | "*")),
                None => None,
            };
            TagFilter::parse(first.unwrap_or(expression))
        }
        let found = run::finds(Expressions, |case| check(&case.bytes, first));
        assert!(
            found.contains("and the tag") || found.contains("tags pass"),
            "{found}"
        );
    }
}
