//! Questions to clients through their telemetry streams: the stacks of their threads, and how they would handle a
//! message (B11). What becomes of a question without an answer, [`crate::clients`] says.

use super::delivery;
use super::metadata::without_namespace;
use crate::clients::{Answer, AskError, Clients};
use crate::engine::find::Found;
use sluice_core::codec::Malformed;
use sluice_proto::v2::telemetry_command::Command;
use sluice_proto::v2::{Code, PrintThreadStackTraceCommand, Resource, VerifyMessageCommand};
use std::time::Duration;
use thiserror::Error;

/// Why a client was not asked, or has not done what it was asked for.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum QuestionError {
    /// There is no answer.
    #[error(transparent)]
    Unanswered(#[from] AskError),
    /// The client says that it cannot.
    #[error("client '{client}' cannot do that: it answers {code}{}", colon(.message))]
    Refused {
        /// Who was asked.
        client: String,
        /// The protocol's code.
        code: String,
        /// What it says beside it.
        message: String,
    },
    /// The message's record is damaged.
    #[error("the message cannot be shown to a client: {0}")]
    Damaged(#[from] Malformed),
}

fn colon(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}

/// How a client has handled a message as a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The protocol's code, such as `OK` or `FAILED_TO_CONSUME_MESSAGE`.
    pub code: String,
    /// What it says beside it.
    pub message: String,
}

/// The stacks of a client's threads, as its library writes them.
pub async fn thread_stacks(
    clients: &Clients,
    client: &str,
    within: Duration,
) -> Result<String, QuestionError> {
    let question = |nonce| Command::PrintThreadStackTraceCommand(PrintThreadStackTraceCommand { nonce });
    let answer = clients.ask(client, within, question).await?;
    let verdict = verdict(&answer);
    match answer.stacks {
        Some(stacks) if verdict.code == Code::Ok.as_str_name() => Ok(stacks),
        _ => Err(refused(client, verdict)),
    }
}

/// Has a client handle a message as a trial: nothing is settled by it. Only push consumers can.
pub async fn verify(
    clients: &Clients,
    client: &str,
    message: &Found,
    within: Duration,
) -> Result<Verdict, QuestionError> {
    let namespace = clients.namespace(client).unwrap_or_default();
    let topic = Resource {
        name: without_namespace(&namespace, &message.topic.spec.name).to_owned(),
        resource_namespace: namespace.clone(),
    };
    let message = delivery::unsettled(message, topic, &namespace)?;
    let question = |nonce| {
        Command::VerifyMessageCommand(VerifyMessageCommand {
            nonce,
            message: Some(message),
        })
    };
    let verdict = verdict(&clients.ask(client, within, question).await?);
    let cannot = [
        Code::NotImplemented,
        Code::Unsupported,
        Code::VerifyFifoMessageUnsupported,
    ];
    if cannot.iter().any(|code| code.as_str_name() == verdict.code) {
        return Err(refused(client, verdict));
    }
    Ok(verdict)
}

/// What the answer says of how it went. Libraries that leave that out have done it.
fn verdict(answer: &Answer) -> Verdict {
    let Some(status) = &answer.status else {
        return Verdict {
            code: Code::Ok.as_str_name().to_owned(),
            message: String::new(),
        };
    };
    let code = match Code::try_from(status.code) {
        Ok(Code::Unspecified) => Code::Ok.as_str_name().to_owned(),
        Ok(code) => code.as_str_name().to_owned(),
        Err(_) => status.code.to_string(),
    };
    Verdict {
        code,
        message: status.message.clone(),
    }
}

fn refused(client: &str, verdict: Verdict) -> QuestionError {
    QuestionError::Refused {
        client: client.to_owned(),
        code: verdict.code,
        message: verdict.message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_proto::v2::Status;

    #[test]
    fn an_answer_is_read_with_and_without_a_status() {
        let status = |code, message: &str| {
            Some(Status {
                code,
                message: message.to_owned(),
            })
        };
        for (status, code, message) in [
            (None, "OK", ""),
            (status(0, ""), "OK", ""),
            (status(20_000, "fine"), "OK", "fine"),
            (status(60_000, ""), "FAILED_TO_CONSUME_MESSAGE", ""),
            (status(99_999, ""), "99999", ""),
        ] {
            let answer = Answer { status, stacks: None };
            let expected = Verdict {
                code: code.to_owned(),
                message: message.to_owned(),
            };
            assert_eq!(verdict(&answer), expected);
        }
    }

    #[test]
    fn a_refusal_says_who_refuses_and_why() {
        let verdict = |message: &str| Verdict {
            code: "UNSUPPORTED".to_owned(),
            message: message.to_owned(),
        };
        for (message, expected) in [
            ("", "client 'c' cannot do that: it answers UNSUPPORTED"),
            (
                "not in C#",
                "client 'c' cannot do that: it answers UNSUPPORTED: not in C#",
            ),
        ] {
            assert_eq!(refused("c", verdict(message)).to_string(), expected);
        }
    }
}
