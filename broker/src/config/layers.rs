//! Which of the places that speak of a key decides: each overrides those before it.

use super::error::ConfigError;
use super::forms::{self, CONTAINER};
use super::keys::{self, KEYS, Key};
use super::{environment, file};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// What one place says, by the names of keys.
pub(super) type Values = BTreeMap<&'static str, String>;

/// Where a value comes from, in the order in which they override each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// The profile.
    Profile,
    /// The file.
    File,
    /// A variable.
    Environment,
    /// A flag.
    Flag,
    /// A change while the broker runs.
    Live,
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Default => "default",
            Self::Profile => "profile",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
            Self::Live => "live",
        })
    }
}

/// A key as it stands.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: &'static Key,
    /// Its value, as it was written; none for a key that is absent.
    pub value: Option<String>,
    /// Where that comes from.
    pub source: Source,
    /// The same in full: the flag, the variable or the file; empty for the others.
    pub place: String,
}

/// All places together.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers {
    path: Option<PathBuf>,
    container: bool,
    file: Values,
    environment: Values,
    flags: Values,
    live: Values,
}

impl Layers {
    /// Reads the environment, and the file that it or a flag names.
    pub(super) fn read(
        flags: Values,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut layers = Self {
            environment: environment::read(variables)?,
            flags,
            ..Self::default()
        };
        for (values, place) in [
            (&layers.flags, Source::Flag),
            (&layers.environment, Source::Environment),
        ] {
            for (key, value) in known(values) {
                check(key, value, || layers.place(key, place))?;
            }
        }
        layers.path = layers.get(&keys::CONFIG, forms::path)?;
        if let Some(path) = &layers.path {
            layers.file = file::read(path)?;
        }
        layers.container = layers.need(&keys::PROFILE, forms::name)? == CONTAINER;
        Ok(layers)
    }

    /// Whether the profile is that of a container.
    pub(super) fn is_container(&self) -> bool {
        self.container
    }

    /// The key as it stands.
    pub(super) fn entry(&self, key: &'static Key) -> Entry {
        let said = [
            (Source::Live, &self.live),
            (Source::Flag, &self.flags),
            (Source::Environment, &self.environment),
            (Source::File, &self.file),
        ];
        let said = said.into_iter().find_map(|(source, values)| {
            let value = values.get(key.name)?;
            Some((source, Some(value.clone())))
        });
        let of_profile = || Some((Source::Profile, Some(self.of_profile(key)?.to_owned())));
        let (source, value) = said
            .or_else(of_profile)
            .unwrap_or_else(|| (Source::Default, key.default.map(str::to_owned)));
        Entry {
            key,
            value,
            source,
            place: self.place(key, source),
        }
    }

    /// All keys as they stand.
    pub(super) fn entries(&self) -> Vec<Entry> {
        KEYS.iter().map(|key| self.entry(key)).collect()
    }

    /// The key's value, read; none where it is absent.
    pub(super) fn get<T>(
        &self,
        key: &'static Key,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Entry { value, place, .. } = self.entry(key);
        let value = value.as_deref().map(read).transpose();
        value.map_err(|reason| ConfigError::Value {
            place: if place.is_empty() {
                key.name.to_owned()
            } else {
                place
            },
            reason,
        })
    }

    /// The value of a key that has a default.
    pub(super) fn need<T>(
        &self,
        key: &'static Key,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        self.get(key, read)?.ok_or_else(|| ConfigError::Value {
            place: key.name.to_owned(),
            reason: "it has no value".to_owned(),
        })
    }

    /// The file, and what it says.
    pub(super) fn file(&self) -> Option<(PathBuf, Values)> {
        Some((self.path.clone()?, self.file.clone()))
    }

    /// The same, but that the file says this.
    pub(super) fn with_file(&self, file: &Values) -> Self {
        Self {
            file: file.clone(),
            ..self.clone()
        }
    }

    /// The file's word on the key from other layers.
    pub(super) fn take_from_file(&mut self, key: &Key, other: &Self) {
        match other.file.get(key.name) {
            Some(value) => drop(self.file.insert(key.name, value.clone())),
            None => drop(self.file.remove(key.name)),
        }
    }

    /// The layer of changes while the broker runs.
    pub(super) fn live_mut(&mut self) -> &mut Values {
        &mut self.live
    }

    fn of_profile(&self, key: &Key) -> Option<&'static str> {
        if !self.container {
            return None;
        }
        let of_admin = key.name == keys::ADMIN_LISTEN.name;
        // Other hosts reach the admin API only where it asks who they are.
        let guards = [&keys::ADMIN_TOKEN_FILE, &keys::ADMIN_CLIENT_CA];
        if of_admin && guards.iter().all(|guard| self.entry(guard).value.is_none()) {
            return None;
        }
        key.container
    }

    fn place(&self, key: &Key, source: Source) -> String {
        match source {
            Source::Default | Source::Profile | Source::Live => String::new(),
            Source::File => file::place(self.path.as_deref().unwrap_or_else(|| Path::new("")), key.name),
            Source::Environment => key.variable.to_owned(),
            Source::Flag => format!("--{}", key.flag),
        }
    }
}

/// The keys that the place speaks of.
pub(super) fn known(values: &Values) -> impl Iterator<Item = (&'static Key, &str)> {
    let of = |key: &&'static Key| Some((*key, values.get(key.name)?.as_str()));
    KEYS.iter().filter_map(of)
}

/// Refuses a value that the key does not take.
pub(super) fn check(key: &Key, value: &str, place: impl FnOnce() -> String) -> Result<(), ConfigError> {
    key.form.check(value).map_err(|reason| ConfigError::Value {
        place: place(),
        reason,
    })
}
