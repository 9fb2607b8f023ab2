//! Which broker, and how to get there: from flags, environment and contexts.
//!
//! `file` is the file of contexts; [`Settings::resolve`] puts everything together and is a function of values.

mod address;
mod environment;
mod file;
mod lock;

pub use address::Address;
pub use environment::Environment;
pub use file::{Context, Contexts};
pub use lock::ContextsLock;

use crate::args::Global;
use crate::failure::{Failure, Kind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a broker's admin API is by default.
pub const ADMIN_DEFAULT: &str = "127.0.0.1:8082";

/// Everything a command needs to reach a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The admin address.
    pub admin: Address,
    /// Where messages go, if it is not what the admin API names.
    pub endpoint: Option<Address>,
    /// Where the token comes from.
    pub token: TokenSource,
    /// How to be sure of the broker.
    pub tls: Tls,
    /// How long a call may take.
    pub timeout: Duration,
}

/// Where the token comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// There is none.
    None,
    /// A file.
    File(PathBuf),
    /// The environment.
    Value(String),
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::File(path) => write!(f, "File({})", path.display()),
            // Never shown, wherever it is printed.
            Self::Value(_) => f.write_str("Value"),
        }
    }
}

/// How to be sure of the broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whether TLS is spoken at all.
    pub enabled: bool,
    /// Whom to trust instead of the system's certificates.
    pub ca: Option<PathBuf>,
    /// Trust anyone.
    pub skip_verify: bool,
    /// A certificate of our own with its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Settings {
    /// Whether the file of contexts has a say: where an address is given and no context is named, it has none.
    pub fn uses_contexts(global: &Global, environment: &Environment) -> bool {
        let context_is_named = global.context.is_some() || environment.context.is_some();
        global.admin.is_none() && environment.admin.is_none() || context_is_named
    }

    /// What flags, environment and contexts come to. The more direct word counts: `--admin`, `--context`, `SLUICE_ADMIN`,
    /// `SLUICE_CONTEXT`, the context in use. An address that is given without naming a context leaves the context in use
    /// out altogether, so that its token goes to no other broker.
    ///
    /// # Errors
    /// When a context is named that is not there, or a value cannot be read.
    pub fn resolve(global: &Global, environment: &Environment, contexts: &Contexts) -> Result<Self, Failure> {
        let of_environment = |name: &Option<String>| name.clone().filter(|_| global.context.is_none());
        let admin_of_environment = of_environment(&environment.admin);
        let named = global
            .context
            .clone()
            .or_else(|| of_environment(&environment.context));
        let address_is_given = global.admin.is_some() || admin_of_environment.is_some();
        let context = match named {
            Some(name) => contexts.get(&name)?.clone(),
            None if address_is_given => Context::default(),
            None => contexts.current()?.cloned().unwrap_or_default(),
        };
        let admin = global.admin.clone().or(admin_of_environment).or(context.admin);
        let admin =
            Address::parse(admin.as_deref().unwrap_or(ADMIN_DEFAULT)).map_err(bad_address("admin"))?;
        let endpoint = global.endpoint.clone().or(context.endpoint);
        let endpoint = endpoint.as_deref().map(Address::parse).transpose();
        let identity = match (&global.cert, &global.cert_key) {
            (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
            _ => context.cert.zip(context.cert_key),
        };
        // Whom to trust is one decision: a flag replaces all of it.
        let trust_is_given = global.ca.is_some() || global.insecure_skip_verify;
        let (ca, skip_verify) = if trust_is_given {
            (global.ca.clone(), global.insecure_skip_verify)
        } else {
            (context.ca, context.insecure_skip_verify)
        };
        let token = match (&global.token_file, &environment.token, context.token_file) {
            (Some(file), _, _) => TokenSource::File(file.clone()),
            (None, None, Some(file)) => TokenSource::File(file),
            (None, Some(_), Some(file)) if global.context.is_some() => TokenSource::File(file),
            (None, Some(token), _) => TokenSource::Value(token.clone()),
            (None, None, None) => TokenSource::None,
        };
        Ok(Self {
            admin,
            endpoint: endpoint.map_err(bad_address("endpoint"))?,
            token,
            tls: Tls {
                enabled: global.tls || context.tls || ca.is_some() || skip_verify || identity.is_some(),
                ca,
                skip_verify,
                identity,
            },
            timeout: global.timeout,
        })
    }

    /// The token, read from where it is.
    ///
    /// # Errors
    /// When its file cannot be read, or holds none.
    pub fn token(&self) -> Result<Option<String>, Failure> {
        let (text, from) = match &self.token {
            TokenSource::None => return Ok(None),
            TokenSource::Value(token) => (token.clone(), "SLUICE_TOKEN".to_owned()),
            TokenSource::File(path) => (read_token(path)?, path.display().to_string()),
        };
        // The broker's own file may hold two, the newer one in the first line.
        let token = text.lines().map(str::trim).find(|line| !line.is_empty());
        match token {
            Some(token) if token.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Some(token.to_owned())),
            Some(_) => Err(
                Failure::usage("the token has blanks or characters that no token has")
                    .about(from)
                    .hint(TOKEN_HINT),
            ),
            None => Err(Failure::usage("there is no token in it")
                .about(from)
                .hint(TOKEN_HINT)),
        }
    }
}

const TOKEN_HINT: &str = "one token stands in a line, as in the broker's --admin-token-file";

fn read_token(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::new(Kind::Usage, format!("cannot be read: {error}"))
            .about(format!("token file {}", path.display()))
            .hint("name the file with the broker's token: --token-file FILE")
    })
}

fn bad_address(what: &'static str) -> impl Fn(String) -> Failure {
    move |problem| Failure::usage(problem).about(format!("--{what}"))
}

#[cfg(test)]
mod tests;
