//! The file of contexts.
//!
//! ```yaml
//! current: prod
//! contexts:
//!   prod:
//!     admin: broker.example:8082
//!     tokenFile: /etc/sluice/token
//!     ca: ca.pem                     # relative to this file
//! ```

use crate::failure::{Failure, Kind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// A file beyond this is none of ours.
const BYTES_MAX: u64 = 1 << 20;

/// Named brokers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// The one in use where nobody says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, Context>,
    #[serde(skip)]
    path: Option<PathBuf>,
}

/// One named broker. What is left out is as without a context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Context {
    /// The admin address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
    /// Where messages go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The file with the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Whether TLS is spoken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
    /// Whom to trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Trust anyone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure_skip_verify: bool,
    /// A certificate of our own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_key: Option<PathBuf>,
}

impl Context {
    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [
            &mut self.token_file,
            &mut self.ca,
            &mut self.cert,
            &mut self.cert_key,
        ]
        .into_iter()
        .flatten()
    }
}

impl Contexts {
    /// Reads the file; where there is none there are no contexts.
    ///
    /// # Errors
    /// When it cannot be read, or holds something else.
    pub fn load(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let unreadable = |error: &dyn std::fmt::Display| {
            Failure::new(Kind::Usage, format!("cannot be read: {error}"))
                .about(file(path))
                .hint(
                    "name another file with SLUICECTL_CONFIG; with --admin HOST:PORT contexts are not needed",
                )
        };
        match std::fs::metadata(path) {
            // There is no such folder either where HOME is no folder.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Self {
                    path: Some(path.to_owned()),
                    ..Self::default()
                });
            }
            Err(error) => return Err(unreadable(&error)),
            Ok(found) if found.len() > BYTES_MAX => return Err(unreadable(&"it is larger than 1 MiB")),
            Ok(_) => {}
        }
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
        Self::parse(&text, path)
    }

    /// Reads the file's text. Paths in it are relative to the file.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        let parsed: Option<Self> = serde_yaml::from_str(text).map_err(|error| {
            Failure::usage(format!("is no file of contexts: {error}"))
                .about(file(path))
                .hint(format!(
                    "mend {0}, or remove it: `sluicectl context set NAME --admin HOST:PORT` makes it anew then",
                    path.display()
                ))
        })?;
        let mut contexts = parsed.unwrap_or_default();
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        for context in contexts.contexts.values_mut() {
            context.paths().for_each(|path| *path = folder.join(&*path));
        }
        contexts.path = Some(path.to_owned());
        Ok(contexts)
    }

    /// The context of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<&Context, Failure> {
        self.contexts.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
            let hint = match names[..] {
                [] => "there are none yet: make one with `sluicectl context set NAME --admin HOST:PORT`"
                    .to_owned(),
                _ => format!("there are: {}", names.join(", ")),
            };
            Failure::new(Kind::NotFound, format!("there is no context '{name}'"))
                .about(format!("context '{name}'"))
                .hint(hint)
        })
    }

    /// The context in use.
    ///
    /// # Errors
    /// When it is not there any more.
    pub fn current(&self) -> Result<Option<&Context>, Failure> {
        self.current.as_deref().map(|name| self.get(name)).transpose()
    }

    /// The name of the context in use.
    pub fn current_name(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// All contexts, by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Context)> {
        self.contexts
            .iter()
            .map(|(name, context)| (name.as_str(), context))
    }

    /// Puts a context under a name; the first one is in use from then on.
    pub fn put(&mut self, name: &str, context: Context) {
        self.contexts.insert(name.to_owned(), context);
        self.current.get_or_insert_with(|| name.to_owned());
    }

    /// Takes a context away.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn remove(&mut self, name: &str) -> Result<(), Failure> {
        self.get(name)?;
        self.contexts.remove(name);
        if self.current.as_deref() == Some(name) {
            self.current = None;
        }
        Ok(())
    }

    /// Uses a context where nobody says otherwise.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn use_context(&mut self, name: &str) -> Result<(), Failure> {
        self.get(name)?;
        self.current = Some(name.to_owned());
        Ok(())
    }

    /// Writes the file, for its owner alone, in one step: a crash leaves the old one or the new one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self) -> Result<(), Failure> {
        let Some(path) = &self.path else {
            return Err(Failure::usage("there is no place for the file of contexts")
                .hint("set SLUICECTL_CONFIG to its path, or HOME"));
        };
        let text =
            serde_yaml::to_string(self).map_err(|error| unwritable(path, &std::io::Error::other(error)))?;
        write_private(path, &text).map_err(|error| unwritable(path, &error))
    }
}

/// Under a name of its own first, which goes away again if it cannot be done.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix("config-")
        .suffix(".new")
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Where the file is, or is to be.
pub(super) fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}

/// The failure to write the file, or what stands beside it.
pub(super) fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Kind::Failed, format!("cannot be written: {error}"))
        .about(file(path))
        .hint("name a file that you may write with SLUICECTL_CONFIG")
}

fn file(path: &Path) -> String {
    format!("the file of contexts {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_file_comes_back_and_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("config.yaml");
        let mut contexts = Contexts::load(Some(&path)).unwrap();
        let context = Context {
            admin: Some("a:1".to_owned()),
            token_file: Some("/t".into()),
            ..Context::default()
        };
        contexts.put("prod", context);
        contexts.save().unwrap();
        assert_eq!(Contexts::load(Some(&path)).unwrap(), contexts);
        assert_eq!(contexts.current_name(), Some("prod"));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let text = "contexts: {lab: {ca: ca.pem, tokenFile: /abs}}";
        let contexts = Contexts::parse(text, Path::new("/etc/sluice/config.yaml")).unwrap();
        let lab = contexts.get("lab").unwrap();
        assert_eq!(lab.ca, Some("/etc/sluice/ca.pem".into()));
        assert_eq!(lab.token_file, Some("/abs".into()));
    }

    #[test]
    fn unknown_keys_are_refused_and_an_empty_file_is_none() {
        let path = Path::new("config.yaml");
        let refused = Contexts::parse("contexts: {lab: {address: x}}", path).unwrap_err();
        assert!(refused.message.contains("unknown field `address`"), "{refused}");
        assert_eq!(Contexts::parse("", path).unwrap().all().count(), 0);
    }

    #[test]
    fn deleting_the_context_in_use_leaves_none_in_use() {
        let mut contexts = Contexts::default();
        contexts.put("a", Context::default());
        contexts.put("b", Context::default());
        contexts.remove("a").unwrap();
        assert_eq!((contexts.current().unwrap(), contexts.all().count()), (None, 1));
        assert_eq!(contexts.remove("a").unwrap_err().kind, Kind::NotFound);
        contexts.use_context("b").unwrap();
        assert_eq!(contexts.current_name(), Some("b"));
    }
}
