//! `sluicectl config …`

use super::{Outcome, shown};
use crate::args::ConfigCommand;
use crate::connect::{Admin, Asked};
use crate::failure::Failure;
use crate::session::Session;
use crate::views::config::Config;
use sluice_proto::admin::{ConfigChange, GetConfigRequest, SetConfigRequest};

pub(super) async fn run(command: &ConfigCommand, session: &Session) -> Outcome {
    match command {
        ConfigCommand::Get { keys } => {
            let admin = session.admin().await?;
            let request = GetConfigRequest { keys: keys.clone() };
            let answer = admin.broker().get_config(request).await;
            shown(Config::from(admin.answer(&Asked::broker(), answer)?.entries))
        }
        ConfigCommand::Set { changes } => {
            let changes = to_changes(changes)?;
            set(changes, session.admin().await?).await
        }
        ConfigCommand::Reset { keys } => {
            let change = |key: &String| ConfigChange {
                key: key.clone(),
                value: None,
            };
            set(keys.iter().map(change).collect(), session.admin().await?).await
        }
    }
}

/// `KEY=VALUE …`, or one change as `KEY VALUE`.
fn to_changes(words: &[String]) -> Result<Vec<ConfigChange>, Failure> {
    match words {
        [key, value] if !key.contains('=') => Ok(vec![ConfigChange {
            key: key.clone(),
            value: Some(value.clone()),
        }]),
        _ => words.iter().map(|word| to_change(word)).collect(),
    }
}

fn to_change(text: &str) -> Result<ConfigChange, Failure> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(ConfigChange {
            key: key.to_owned(),
            value: Some(value.to_owned()),
        }),
        _ => Err(Failure::usage(format!("{text:?} is no change: write KEY=VALUE"))
            .hint("`sluicectl config get` shows the keys; `sluicectl config reset KEY` takes a change back")),
    }
}

async fn set(changes: Vec<ConfigChange>, admin: &Admin) -> Outcome {
    let request = SetConfigRequest { changes, epoch: 0 };
    let answer = admin.broker().set_config(request).await;
    shown(Config::from(admin.answer(&Asked::broker(), answer)?.entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_pairs_in_one_word_or_one_pair_in_two() {
        let read = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            let changes = to_changes(&words).ok()?;
            Some(
                changes
                    .into_iter()
                    .map(|change| (change.key, change.value.unwrap_or_default()))
                    .collect(),
            )
        };
        let pairs = |pairs: &[(&str, &str)]| -> Option<Vec<(String, String)>> {
            Some(
                pairs
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
            )
        };
        assert_eq!(read(&["log=debug"]), pairs(&[("log", "debug")]));
        assert_eq!(read(&["log=a=b", "x="]), pairs(&[("log", "a=b"), ("x", "")]));
        assert_eq!(read(&["log", "a=b"]), pairs(&[("log", "a=b")]));
        for words in [&["log"][..], &["=x"], &["a=1", "b"], &["a", "b", "c"]] {
            assert_eq!(read(words), None, "{words:?}");
        }
    }
}
