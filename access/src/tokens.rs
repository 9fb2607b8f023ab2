//! The tokens that let a request in: up to two, one a line of a file that is read again when it changes. Two, so that a
//! new one can be handed out before the old one goes.
//!
//! Only their hashes are kept, and these are compared in constant time: how long a wrong token takes says nothing.

use crate::stamp::{self, Stamp};
use arc_swap::ArcSwap;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use subtle::{Choice, ConstantTimeEq as _};
use thiserror::Error;

const TOKENS_MAX: usize = 2;
/// Fewer characters can be guessed.
const TOKEN_CHARACTERS_MIN: usize = 16;
const TOKEN_CHARACTERS_MAX: usize = 512;
const FILE_BYTES_MAX: u64 = 16 << 10;

/// Why a file of tokens cannot be used. No text shows any of its content.
#[derive(Debug, Error)]
pub enum TokensError {
    /// It cannot be read.
    #[error("cannot read the tokens in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds something else.
    #[error("the file of tokens {} {reason}: write one or two tokens, each on a line of its own, such as `openssl rand -hex 32` makes", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

type Hash = [u8; SHA256_OUTPUT_LEN];

/// The present tokens' hashes, shared by whoever checks and whoever reads the file again.
pub type Current = Arc<ArcSwap<Vec<Hash>>>;

/// A file of tokens.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    stamp: Stamp,
    current: Current,
    taker: &'static str,
}

impl Tokens {
    /// Reads the file. `taker` is what the log calls that which lets callers in by it.
    ///
    /// # Errors
    /// When it cannot be read, or holds no usable token.
    pub fn open(path: &Path, taker: &'static str) -> Result<Self, TokensError> {
        let stamp = Stamp::of(path);
        let current = Arc::new(ArcSwap::from_pointee(read(path)?));
        Ok(Self {
            path: path.to_owned(),
            stamp,
            current,
            taker,
        })
    }

    /// The tokens as they are at any time.
    pub fn current(&self) -> Current {
        Arc::clone(&self.current)
    }

    /// Looks at the file until the end of the process. What cannot be used leaves the present tokens in place.
    pub async fn keep_current(self) {
        stamp::look_again(self, "the tokens", Self::look).await;
    }

    fn look(mut self) -> Self {
        let stamp = Stamp::of(&self.path);
        if stamp != self.stamp {
            self.stamp = stamp;
            match read(&self.path) {
                Ok(tokens) => {
                    tracing::info!(file = %self.path.display(), tokens = tokens.len(), "{} takes the changed tokens from now on, and no others", self.taker);
                    self.current.store(Arc::new(tokens));
                }
                Err(error) => {
                    let error = format!("{:#}", anyhow::Error::new(error));
                    tracing::warn!(error, "the changed tokens cannot be used; the old ones stay");
                }
            }
        }
        self
    }
}

/// Which of the tokens this one is, from 1.
pub(crate) fn number_of(tokens: &[Hash], token: &[u8]) -> Option<usize> {
    let offered = hash(token);
    // All of them, whichever it is.
    let equal: Vec<Choice> = tokens.iter().map(|known| known.ct_eq(&offered)).collect();
    let place = equal.into_iter().position(bool::from)?;
    Some(place + 1)
}

fn read(path: &Path) -> Result<Vec<Hash>, TokensError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|source| TokensError::Read {
            path: path.to_owned(),
            source,
        })?;
    parse(&text).map_err(|reason| TokensError::Content {
        path: path.to_owned(),
        reason,
    })
}

fn parse(text: &str) -> Result<Vec<Hash>, String> {
    let lines: Vec<_> = text.lines().map(str::trim).enumerate().collect();
    let tokens: Vec<_> = lines.into_iter().filter(|(_, line)| !line.is_empty()).collect();
    match tokens.len() {
        0 => return Err("holds no token".to_owned()),
        count if count > TOKENS_MAX => return Err(format!("holds {count} tokens, and two are taken")),
        _ => {}
    }
    for (line, token) in &tokens {
        let line = line + 1;
        let length = token.len();
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "has other characters than letters, digits and punctuation in line {line}"
            ));
        }
        if !(TOKEN_CHARACTERS_MIN..=TOKEN_CHARACTERS_MAX).contains(&length) {
            return Err(format!(
                "has {length} characters in line {line}, and a token has {TOKEN_CHARACTERS_MIN} to {TOKEN_CHARACTERS_MAX}"
            ));
        }
    }
    Ok(tokens.iter().map(|(_, token)| hash(token.as_bytes())).collect())
}

fn hash(token: &[u8]) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(digest(&SHA256, token).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "first-token-0123456789";
    const SECOND: &str = "second-token-0123456789";

    #[test]
    fn one_or_two_tokens_are_taken_and_told_apart() {
        let tokens = parse(&format!("\n {FIRST} \n\n{SECOND}\n")).unwrap();
        assert_eq!(number_of(&tokens, FIRST.as_bytes()), Some(1));
        assert_eq!(number_of(&tokens, SECOND.as_bytes()), Some(2));
        let cut = &FIRST[..FIRST.len() - 1];
        for other in ["", "first", cut, "first-token-0123456789x"] {
            assert_eq!(number_of(&tokens, other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn what_holds_no_usable_token_is_refused_without_showing_it() {
        for (text, reason) in [
            (String::new(), "holds no token"),
            ("\n  \n".to_owned(), "holds no token"),
            (format!("{FIRST}\n{SECOND}\n{FIRST}3"), "3 tokens"),
            ("short".to_owned(), "5 characters in line 1"),
            (format!("\n{}", "x".repeat(513)), "513 characters in line 2"),
            (format!("{FIRST} {SECOND}"), "other characters"),
            ("größe-0123456789-0123".to_owned(), "other characters"),
        ] {
            let refusal = parse(&text).unwrap_err();
            assert!(refusal.contains(reason), "{refusal}");
            assert!(
                !refusal.contains(FIRST) && !refusal.contains("short"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn a_changed_file_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, FIRST).unwrap();
        let tokens = Tokens::open(&path, "the test").unwrap();
        let current = tokens.current();
        let number = |token: &str| number_of(&current.load(), token.as_bytes());
        std::fs::write(&path, format!("{SECOND}\n{FIRST}\n")).unwrap();
        let tokens = tokens.look();
        assert_eq!((number(FIRST), number(SECOND)), (Some(2), Some(1)));
        std::fs::write(&path, "").unwrap();
        let tokens = tokens.look();
        assert_eq!((number(FIRST), number(SECOND)), (Some(2), Some(1)));
        std::fs::write(&path, SECOND).unwrap();
        drop(tokens.look());
        assert_eq!((number(FIRST), number(SECOND)), (None, Some(1)));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = anyhow::Error::new(Tokens::open(Path::new("/no/such/tokens"), "the test").unwrap_err());
        let text = format!("{error:#}");
        assert!(text.contains("/no/such/tokens: No such file"), "{text}");
    }
}
