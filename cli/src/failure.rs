//! What went wrong, for people and for programs: the object, the trouble, what to do next, and the exit code.

use serde::Serialize;
use std::fmt;

/// Kinds of failures; each is an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Kind {
    /// It was tried and did not work.
    Failed = 1,
    /// It was not said in a way that can be followed.
    Usage = 2,
    /// What it is about is not there.
    NotFound = 3,
    /// Something stands against it: it exists already, has changed since, is not empty, …
    Refused = 4,
    /// No broker answers.
    Unreachable = 5,
    /// The token or the certificate is missing, or not the right one.
    NotAllowed = 6,
}

/// Why a command did not do what it was to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The kind.
    pub kind: Kind,
    /// What it is about, such as "topic 'orders'"; empty where the message says all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The broker's own word for it, such as `TOPIC_NOT_FOUND`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Failure {
    /// A failure that says everything in one text.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            object: String::new(),
            message: message.into(),
            hint: None,
            reason: None,
        }
    }

    /// A command that cannot be followed.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Names what it is about.
    #[must_use]
    pub fn about(self, object: impl Into<String>) -> Self {
        Self {
            object: object.into(),
            ..self
        }
    }

    /// Says what to do next.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        self.kind as u8
    }

    /// Whether the broker refused because something would be lost.
    pub fn is_not_empty(&self) -> bool {
        self.kind == Kind::Refused
            && self
                .reason
                .as_deref()
                .is_some_and(|reason| reason.ends_with("NOT_EMPTY"))
    }

    /// As one JSON object on one line.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Document<'a> {
            error: Fields<'a>,
        }
        #[derive(Serialize)]
        struct Fields<'a> {
            #[serde(flatten)]
            failure: &'a Failure,
            exit_code: u8,
        }
        let document = Document {
            error: Fields {
                failure: self,
                exit_code: self.exit_code(),
            },
        };
        serde_json::to_string(&document).unwrap_or_else(|_| self.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: ")?;
        // The broker's texts name the object themselves.
        if !self.object.is_empty() && !self.message.contains(&self.object) {
            write!(f, "{}: ", self.object)?;
        }
        write!(f, "{}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> Failure {
        Failure::new(Kind::NotFound, "there is none").about("topic 'orders'")
    }

    #[test]
    fn the_text_names_the_object_once_and_ends_with_what_to_do() {
        let hinted = failure().hint("look for it");
        assert_eq!(
            hinted.to_string(),
            "error: topic 'orders': there is none\nhint: look for it"
        );
        let named = Failure {
            message: "there is no topic 'orders'".to_owned(),
            ..failure()
        };
        assert_eq!(named.to_string(), "error: there is no topic 'orders'");
    }

    #[test]
    fn json_has_kind_object_message_and_exit_code() {
        assert_eq!(
            failure().to_json(),
            r#"{"error":{"kind":"not_found","object":"topic 'orders'","message":"there is none","exit_code":3}}"#
        );
    }
}
