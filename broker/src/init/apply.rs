//! What the file has is made.

use super::{Init, InitError, differences};
use crate::engine::{Engine, EngineError};
use sluice_core::command::{GroupSpec, TopicSpec};
use std::fmt;

/// Names of a kind that are said; of more than these, how many there are.
const NAMES_SAID: usize = 10;

/// What there was no room for.
#[derive(Debug)]
pub struct Left {
    /// That alone.
    pub init: Init,
    /// What the first of it was answered.
    pub why: EngineError,
}

impl Init {
    /// Makes what is absent; says where what is there differs, and leaves it as it is. What there is no room for is answered, and is
    /// made by who uses it first or by another call: a broker that is to be drained must start.
    pub async fn apply(self, engine: &Engine) -> Result<Option<Left>, InitError> {
        let (mut left, mut why) = (Self::default(), None);
        for spec in self.topics {
            if is_made(topic(engine, &spec, why.is_some()).await, &mut why)? {
                continue;
            }
            left.topics.push(spec);
        }
        for spec in self.groups {
            if is_made(group(engine, &spec, why.is_some()).await, &mut why)? {
                continue;
            }
            left.groups.push(spec);
        }
        engine.promise(&left.topics, &left.groups);
        Ok(why.map(|why| Left { init: left, why }))
    }
}

/// Whether it is there. For want of room it is not, which is no error.
fn is_made(made: Result<bool, InitError>, why: &mut Option<EngineError>) -> Result<bool, InitError> {
    match made {
        Err(InitError::Make { source, .. }) if source.may_pass() => {
            why.get_or_insert(source);
            Ok(false)
        }
        made => made,
    }
}

/// Makes the topic if it is absent, unless that is known to be in vain; answers whether it is there.
async fn topic(engine: &Engine, spec: &TopicSpec, in_vain: bool) -> Result<bool, InitError> {
    if in_vain && engine.tables().topic(&spec.name).is_none() {
        return Ok(false);
    }
    let made = engine.make_topic(spec.clone()).await;
    let topic = made.map_err(|source| InitError::Make {
        what: "topic",
        name: spec.name.clone(),
        source,
    })?;
    if let Some(differences) = differences::of_topics(&topic.spec, spec) {
        tracing::warn!(
            topic = spec.name,
            "the topic exists already and stays as it is: {differences}"
        );
    }
    Ok(true)
}

/// The same with a group.
async fn group(engine: &Engine, spec: &GroupSpec, in_vain: bool) -> Result<bool, InitError> {
    if in_vain && engine.tables().group(&spec.name).is_none() {
        return Ok(false);
    }
    let made = engine.make_group(spec.clone()).await;
    let group = made.map_err(|source| InitError::Make {
        what: "group",
        name: spec.name.clone(),
        source,
    })?;
    if let Some(differences) = differences::of_groups(&group.spec, spec) {
        tracing::warn!(
            group = spec.name,
            "the group exists already and stays as it is: {differences}"
        );
    }
    Ok(true)
}

/// What it names, as `topic 'a', topic 'b', group 'c'`.
impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topics = self.topics.iter().map(|spec| spec.name.as_str()).collect();
        let groups = self.groups.iter().map(|spec| spec.name.as_str()).collect();
        let said: Vec<String> = [("topic", topics), ("group", groups)]
            .into_iter()
            .flat_map(|(what, names): (_, Vec<&str>)| {
                let more = names.len().saturating_sub(NAMES_SAID);
                let named = names
                    .into_iter()
                    .take(NAMES_SAID)
                    .map(move |name| format!("{what} '{name}'"));
                named.chain((more > 0).then(|| format!("{more} more {what}s")))
            })
            .collect();
        f.write_str(&said.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_named_and_of_many_their_number_is_said() {
        let topics: Vec<String> = (0..12).map(|n| format!("{{name: t{n}}}")).collect();
        let text = format!("topics: [{}]\ngroups: [{{name: g}}]\n", topics.join(", "));
        let said = Init::parse(&text).unwrap().to_string();
        assert!(said.starts_with("topic 't0', topic 't1', "), "{said}");
        assert!(said.ends_with("topic 't9', 2 more topics, group 'g'"), "{said}");
    }
}
