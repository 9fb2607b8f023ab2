//! Data folders of earlier releases, kept in `tests/fixtures/store/`: what is in one, and what must be found in it.
//!
//! ```text
//! tests/fixtures/store/<release>/data.tar.gz    the broker's own folder, as a kill left it
//! tests/fixtures/store/<release>/expected.json  a Fixture: written from what clients were told, not from the files
//! ```
//! `cargo run -p sluice-tests --bin store-fixture` makes them.

mod archive;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use sluice_proto::v2;

use crate::binaries;
use crate::client::message_id;
use crate::process::BROKER_NAME;

/// The packed folder.
pub const ARCHIVE: &str = "data.tar.gz";
/// What must be found in it.
pub const EXPECTED: &str = "expected.json";

/// What must be found in a data folder.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixture {
    /// What `sluice-broker --version` said.
    pub made_by: String,
    /// By name.
    pub topics: BTreeMap<String, Vec<Kept>>,
    /// What each group reads.
    pub readings: Vec<Reading>,
}

/// A message that was acknowledged to its producer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The id, as the client made it.
    pub id: String,
    /// The queue that it was found in.
    pub queue: i32,
    /// Its place there.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub born_ms: i64,
    /// Length of its body.
    pub body_bytes: usize,
    /// CRC-32 of its body.
    pub body_crc32: u32,
    /// Its tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Its keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Its message group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_group: Option<String>,
    /// Its user properties.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Of a dead letter: the topic that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// What a group has left to do in a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The tag expression that it reads with.
    pub tags: String,
    /// By id: which attempt the next delivery is. Nothing else may come. What was in flight is among them: the
    /// longest invisible duration is over by the time that another release opens the folder.
    pub left: BTreeMap<String, i32>,
    /// Messages whose attempts are used up: they are dead letters as soon as the group receives.
    pub dying: Vec<String>,
}

impl Fixture {
    /// The folders of all releases, the oldest first by name.
    ///
    /// # Errors
    /// When there are none.
    pub fn folders() -> Result<Vec<PathBuf>> {
        let all = binaries::workspace().join("tests/fixtures/store");
        let entries = std::fs::read_dir(&all).with_context(|| format!("cannot read {}", all.display()))?;
        let mut folders = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>>>()?;
        folders.sort();
        ensure!(!folders.is_empty(), "{} is empty", all.display());
        Ok(folders)
    }

    /// Reads what must be found in a folder's archive.
    ///
    /// # Errors
    /// When the file is not there or says something else.
    pub fn of(folder: &Path) -> Result<Self> {
        let path = folder.join(EXPECTED);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
    }

    /// Unpacks a folder's archive into a data folder.
    ///
    /// # Errors
    /// When it cannot be read, or written.
    pub fn unpack(folder: &Path, data_dir: &Path) -> Result<()> {
        archive::unpack(&folder.join(ARCHIVE), data_dir)
    }

    /// Writes both files of a release, from a data folder whose broker has ended.
    ///
    /// # Errors
    /// When something cannot be read or written.
    pub fn write(&self, folder: &Path, data_dir: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let text = self.to_text().context("cannot write JSON")?;
        std::fs::write(folder.join(EXPECTED), text).context("cannot write what must be found")?;
        archive::pack(data_dir, BROKER_NAME, &folder.join(ARCHIVE))
    }

    /// JSON with a message or a reading a line.
    fn to_text(&self) -> serde_json::Result<String> {
        let mut text = format!("{{\"made_by\": {},\n", serde_json::to_string(&self.made_by)?);
        text.push_str("\"topics\": {\n");
        for (number, (topic, messages)) in self.topics.iter().enumerate() {
            let separator = if number == 0 { "" } else { ",\n" };
            text += &format!(
                "{separator}{}: {}",
                serde_json::to_string(topic)?,
                lines(messages)?
            );
        }
        text += &format!("\n}},\n\"readings\": {}}}\n", lines(&self.readings)?);
        Ok(text)
    }
}

fn lines(values: &[impl Serialize]) -> serde_json::Result<String> {
    let lines: serde_json::Result<Vec<_>> = values.iter().map(serde_json::to_string).collect();
    Ok(format!("[\n{}\n]", lines?.join(",\n")))
}

impl Kept {
    /// What a received message says about itself.
    ///
    /// # Errors
    /// When something is missing that every message has.
    pub fn of(message: &v2::Message) -> Result<Self> {
        let properties = message.system_properties.as_ref();
        let properties = properties.context("the message has no system properties")?;
        let born = properties.born_timestamp.as_ref().context("no time of birth")?;
        Ok(Self {
            id: message_id(message),
            queue: properties.queue_id,
            offset: properties.queue_offset.context("no queue offset")?,
            born_ms: born.seconds * 1000 + i64::from(born.nanos / 1_000_000),
            body_bytes: message.body.len(),
            body_crc32: crc32fast::hash(&message.body),
            tag: properties.tag.clone(),
            keys: properties.keys.clone(),
            message_group: properties.message_group.clone(),
            properties: message.user_properties.clone().into_iter().collect(),
            origin: properties
                .dead_letter_queue
                .as_ref()
                .map(|dead| dead.topic.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_every_message_has_a_line() {
        let kept = |offset| Kept {
            id: format!("01{offset:032X}"),
            queue: 1,
            offset,
            born_ms: 1,
            body_bytes: 2,
            body_crc32: 3,
            tag: Some("red".to_owned()),
            keys: vec!["k".to_owned()],
            message_group: None,
            properties: BTreeMap::from([("a\"b".to_owned(), "grüße".to_owned())]),
            origin: None,
        };
        let fixture = Fixture {
            made_by: "sluice-broker 0.0.0".to_owned(),
            topics: BTreeMap::from([("a".to_owned(), vec![kept(0), kept(1)]), ("b".to_owned(), vec![])]),
            readings: vec![Reading::default(), Reading::default()],
        };
        let text = fixture.to_text().unwrap();
        assert_eq!(serde_json::from_str::<Fixture>(&text).unwrap(), fixture);
        assert_eq!(
            text.lines().filter(|line| line.starts_with("{\"id\"")).count(),
            2,
            "{text}"
        );
    }
}
