//! A message's properties, from the client into the record and back to a client.

use crate::fuzz::bounds::{bounded, measured, worded};
use crate::fuzz::case::Case;
use crate::fuzz::run::{Checked, Verdict};
use crate::fuzz::{damage, draw};
use crate::service::body_max::BodyMax;
use crate::service::properties::tests::stored;
use crate::service::{properties, reserved, validate};
use anyhow::{Context as _, ensure};
use bolero::{Driver, ValueGenerator};
use prost::Message as _;
use sluice_core::limits;
use sluice_core::record::Record;
use sluice_proto::v2;
use std::collections::HashMap;

/// For each byte of a record's properties: a name of one letter and an empty value are an entry of a table.
const MEMORY_BYTES_EACH: usize = 64;
const MEMORY_BYTES_LEAST: usize = 4096;

type User = HashMap<String, String>;
type Decode = fn(&Record<'_>, &mut v2::SystemProperties, &mut User);

struct Messages;

impl ValueGenerator for Messages {
    type Output = Case<()>;

    fn generate<D: Driver>(&self, driver: &mut D) -> Option<Self::Output> {
        let (message, other) = (message(driver)?, message(driver)?);
        let mut bytes = message.encode_to_vec();
        damage::some(driver, &mut bytes, &other.encode_to_vec())?;
        Some(Case { bytes, origin: () })
    }
}

fn message<D: Driver>(driver: &mut D) -> Option<v2::Message> {
    let text = |driver: &mut D| match draw::once_in(driver, 2)? {
        true => draw::text(driver),
        false => Some(draw::one_of(driver, &["a", "red", "k1", "größe", "a b"])?.to_owned()),
    };
    let optional = |driver: &mut D| match draw::once_in(driver, 2)? {
        true => text(driver).map(Some),
        false => Some(None),
    };
    let keys = draw::below(driver, 4)?;
    let system = v2::SystemProperties {
        message_id: text(driver)?,
        tag: optional(driver)?,
        keys: (0..keys).map(|_| text(driver)).collect::<Option<_>>()?,
        message_group: optional(driver)?,
        trace_context: optional(driver)?,
        born_host: text(driver)?,
        ..Default::default()
    };
    let properties = draw::below(driver, 5)?;
    let one = |driver: &mut D| Some((text(driver)?, draw::text(driver)?));
    Some(v2::Message {
        user_properties: (0..properties).map(|_| one(driver)).collect::<Option<_>>()?,
        system_properties: Some(system),
        body: "x".into(),
        ..Default::default()
    })
}

/// What a client is shown of properties that another has sent.
fn expected(system: &v2::SystemProperties, user: &User) -> (v2::SystemProperties, User) {
    // Keys are stored in a row, so that a blank in one of them parts it.
    let keys = system
        .keys
        .iter()
        .flat_map(|key| key.split(' '))
        .filter(|key| !key.is_empty());
    let born_host = match system.born_host.chars().any(char::is_control) {
        true => String::new(),
        false => system.born_host.clone(),
    };
    let shown = v2::SystemProperties {
        message_id: system.message_id.clone(),
        tag: system.tag.clone(),
        keys: keys.map(str::to_owned).collect(),
        message_group: system.message_group.clone(),
        trace_context: system.trace_context.clone(),
        born_host,
        ..Default::default()
    };
    (shown, user.clone())
}

fn check(bytes: &[u8], decode: Decode) -> Checked {
    any_block(bytes, decode)?;
    let Ok(message) = v2::Message::decode(bytes) else {
        return Ok(Verdict::Refused);
    };
    if let Err(invalid) = validate::message(&message, BodyMax::GREATEST) {
        return worded(&invalid).map(|()| Verdict::Refused);
    }
    let system = message
        .system_properties
        .as_ref()
        .context("a message without an id passes")?;
    let block = match properties::encode(&message, system) {
        Ok(block) => block,
        Err(invalid) => return worded(&invalid).map(|()| Verdict::Refused),
    };
    let record = stored(&block);
    let (mut shown, mut user) = Default::default();
    decode(&Record::parse(&record)?, &mut shown, &mut user);
    let expected = expected(system, &message.user_properties);
    ensure!(
        (&shown, &user) == (&expected.0, &expected.1),
        "{expected:?} is shown as {:?}",
        (shown, user)
    );
    Ok(Verdict::Taken)
}

/// Whatever stands in a record: a name of the system's is shown to nobody as a client's.
fn any_block(block: &[u8], decode: Decode) -> anyhow::Result<()> {
    let block = &block[..block.len().min(limits::PROPERTIES_BYTES_MAX)];
    let record = stored(block);
    let record = Record::parse(&record)?;
    let (user, took) = measured(|| {
        let (mut system, mut user) = (v2::SystemProperties::default(), User::default());
        decode(&record, &mut system, &mut user);
        user
    });
    bounded(took, block.len(), MEMORY_BYTES_LEAST, MEMORY_BYTES_EACH)?;
    ensure!(
        !user.keys().any(|name| reserved::is_reserved(name)),
        "a name of the system's is shown: {user:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{regressions, run};

    #[test]
    fn properties_that_are_taken_are_shown_as_they_were_sent() {
        run::holds("properties", Messages, |case| {
            check(&case.bytes, properties::decode)
        });
    }

    #[test]
    fn what_once_failed_is_replayed() {
        regressions::replay("properties", |bytes| check(bytes, properties::decode));
    }

    #[test]
    fn a_planted_reader_that_loses_empty_values_is_found() {
        fn lossy(record: &Record<'_>, system: &mut v2::SystemProperties, user: &mut User) {
            properties::decode(record, system, user);
            user.retain(|_, value| !value.is_empty());
        }
        let found = run::finds(Messages, |case| check(&case.bytes, lossy));
        assert!(found.contains("is shown as"), "{found}");
    }
}
