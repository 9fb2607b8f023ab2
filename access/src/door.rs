//! What lets a caller in. Without tokens and without a client CA everyone is let in: whoever opens a port sees to it that
//! it is on the loopback interface then.

use crate::tokens::{self, Current};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

const SCHEME: &str = "Bearer ";

/// Who is let in by what.
#[derive(Clone, Debug)]
pub struct Door {
    /// The tokens, if there is a file of them.
    pub tokens: Option<Current>,
    /// Whether there is a CA for clients: then plaintext is refused.
    pub client_ca: bool,
}

/// What a caller has to show.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// Whether the connection is TLS.
    pub encrypted: bool,
    /// The subject of a certificate that the client CA has signed.
    pub subject: Option<&'a Arc<str>>,
    /// The header `authorization`.
    pub authorization: Option<&'a [u8]>,
}

/// What let a caller in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// Being on this host.
    Loopback,
    /// The first or second token of the file.
    Token(usize),
    /// A certificate with this subject.
    Certificate(Arc<str>),
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => write!(f, "the loopback interface"),
            Self::Token(number) => write!(f, "token {number}"),
            Self::Certificate(subject) => write!(f, "certificate '{subject}'"),
        }
    }
}

/// Why a caller is not let in.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Denied {
    /// Plaintext where certificates are asked for.
    #[error("plaintext where certificates are asked for")]
    Plaintext,
    /// Nothing to be let in by.
    #[error("no token")]
    NoToken {
        /// Whether a certificate would do.
        or_certificate: bool,
    },
    /// A token that is none.
    #[error("a wrong token")]
    WrongToken,
    /// No certificate where nothing else would do.
    #[error("no certificate")]
    NoCertificate,
}

impl Door {
    /// What lets the caller in.
    ///
    /// # Errors
    /// Why nothing does.
    pub fn let_in(&self, shown: &Shown<'_>) -> Result<By, Denied> {
        self.check_transport(shown.encrypted)?;
        if let Some(subject) = shown.subject {
            return Ok(By::Certificate(Arc::clone(subject)));
        }
        let Some(tokens) = &self.tokens else {
            return if self.client_ca {
                Err(Denied::NoCertificate)
            } else {
                Ok(By::Loopback)
            };
        };
        let or_certificate = self.client_ca;
        let token = shown
            .authorization
            .and_then(|value| value.split_at_checked(SCHEME.len()));
        match token {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME.as_bytes()) => {
                let number = tokens::number_of(&tokens.load(), token);
                number.map(By::Token).ok_or(Denied::WrongToken)
            }
            _ => Err(Denied::NoToken { or_certificate }),
        }
    }

    /// Whoever shows certificates is not to send anything that others can read.
    ///
    /// # Errors
    /// Where plaintext is refused.
    pub fn check_transport(&self, encrypted: bool) -> Result<(), Denied> {
        if self.client_ca && !encrypted {
            return Err(Denied::Plaintext);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Tokens;

    const FIRST: &str = "first-token-0123456789";
    const SECOND: &str = "second-token-0123456789";

    fn door(tokens: bool, client_ca: bool) -> Door {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, format!("{FIRST}\n{SECOND}\n")).unwrap();
        Door {
            tokens: tokens.then(|| Tokens::open(&path, "the test").unwrap().current()),
            client_ca,
        }
    }

    #[test]
    fn tokens_and_certificates_let_in_where_they_are_asked_for_and_nothing_else_does() {
        let subject: Arc<str> = Arc::from("CN=alertmanager");
        let certificate = Ok(By::Certificate(Arc::clone(&subject)));
        let no_token = |or_certificate| Err(Denied::NoToken { or_certificate });
        let bearer = |token: &str| Some(format!("Bearer {token}"));
        for (tokens, client_ca, encrypted, subject, authorization, expected) in [
            (false, false, false, None, None, Ok(By::Loopback)),
            (false, false, true, None, bearer("anything"), Ok(By::Loopback)),
            (true, false, false, None, bearer(FIRST), Ok(By::Token(1))),
            (true, false, true, None, bearer(SECOND), Ok(By::Token(2))),
            (
                true,
                false,
                false,
                None,
                Some(format!("bearer {FIRST}")),
                Ok(By::Token(1)),
            ),
            (
                true,
                false,
                false,
                None,
                Some(format!("Basic {FIRST}")),
                no_token(false),
            ),
            (
                true,
                false,
                false,
                None,
                Some("Bearer".to_owned()),
                no_token(false),
            ),
            (true, false, false, None, None, no_token(false)),
            (
                true,
                false,
                false,
                None,
                bearer("forged-0123456789abcdef"),
                Err(Denied::WrongToken),
            ),
            (true, false, false, None, bearer(""), Err(Denied::WrongToken)),
            (false, true, true, Some(&subject), None, certificate.clone()),
            (false, true, true, None, bearer(FIRST), Err(Denied::NoCertificate)),
            (false, true, false, None, None, Err(Denied::Plaintext)),
            (true, true, true, Some(&subject), bearer("forged"), certificate),
            (true, true, true, None, bearer(FIRST), Ok(By::Token(1))),
            (true, true, true, None, None, no_token(true)),
            (true, true, false, None, bearer(FIRST), Err(Denied::Plaintext)),
        ] {
            let shown = Shown {
                encrypted,
                subject,
                authorization: authorization.as_deref().map(str::as_bytes),
            };
            let found = door(tokens, client_ca).let_in(&shown);
            assert_eq!(found, expected, "{tokens} {client_ca} {shown:?}");
        }
    }
}
