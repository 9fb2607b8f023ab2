//! Pages of a list: how long they are, and where the next one begins.
//!
//! ```text
//! token: base64url( crc32c u32 over what follows and the list's scope | where the page before ended, such as a name )
//! ```
//! The checksum binds a token to its list and filters: with others it would leave out names without a word.

use super::status::Wrong;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Longest page of names; also the length where none is asked for.
pub const NAMES_MAX: usize = 1000;
/// Bytes of an answer's items, the last one's aside: what gRPC clients take unless told otherwise, less something around.
pub const BYTES_MAX: usize = (4 << 20) - (256 << 10);

/// What one list is of: the call, and its filters.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The call.
    pub call: &'static str,
    /// Its filters, each with a fixed place.
    pub filters: &'a [&'a str],
}

/// A page that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many it has at most.
    pub size: usize,
    /// What comes before it; `None` for the first page.
    pub after: Option<String>,
}

impl Page {
    /// The page that a request asks for: a longer one than `max` is cut to that.
    pub fn of(scope: Scope<'_>, size: u32, token: &str, max: usize) -> Result<Self, Wrong> {
        let size = match size as usize {
            0 => max,
            size => size.min(max),
        };
        let after = if token.is_empty() {
            None
        } else {
            Some(scope.read(token).ok_or(Wrong::PageToken)?)
        };
        Ok(Self { size, after })
    }

    /// The items of this page out of `all`, which are in order of their keys, and the token of the next page.
    pub fn cut<T>(&self, scope: Scope<'_>, mut all: Vec<T>, key: impl Fn(&T) -> &str) -> (Vec<T>, String) {
        if let Some(after) = &self.after {
            let start = all.partition_point(|item| key(item) <= after.as_str());
            all.drain(..start);
        }
        let more = all.len() > self.size;
        all.truncate(self.size);
        let next = all.last().filter(|_| more);
        let next = next.map_or_else(String::new, |last| scope.write(key(last)));
        (all, next)
    }
}

/// The first of these items, as many as fit one answer, and at least one; whether there were more.
pub fn fitting<T: prost::Message>(items: impl IntoIterator<Item = T>) -> (Vec<T>, bool) {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    for item in items {
        if bytes >= BYTES_MAX {
            return (taken, true);
        }
        bytes += item.encoded_len();
        taken.push(item);
    }
    (taken, false)
}

impl Scope<'_> {
    /// The token of the page behind `last`.
    pub fn write(self, last: &str) -> String {
        let mut bytes = self.checksum(last).to_le_bytes().to_vec();
        bytes.extend(last.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn read(self, token: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (checksum, last) = bytes.split_first_chunk()?;
        let last = std::str::from_utf8(last).ok()?;
        (u32::from_le_bytes(*checksum) == self.checksum(last)).then(|| last.to_owned())
    }

    fn checksum(self, last: &str) -> u32 {
        // Filters have no such byte: names have not, and neither have numbers.
        let parts = std::iter::once(self.call).chain(self.filters.iter().copied());
        let scope = parts.fold(0, |crc, part| {
            crc32c::crc32c_append(crc32c::crc32c_append(crc, part.as_bytes()), &[0])
        });
        crc32c::crc32c_append(scope, last.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: Scope<'_> = Scope {
        call: "ListTopics",
        filters: &["a"],
    };

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("a{n:03}")).collect()
    }

    #[test]
    fn pages_follow_each_other_without_holes() {
        for (count, size) in [(0, 3), (3, 3), (10, 3), (1, 1)] {
            let (mut seen, mut token) = (Vec::new(), String::new());
            loop {
                let page = Page::of(LIST, size, &token, 5).unwrap();
                let (items, next) = page.cut(LIST, names(count), |name| name);
                assert!(items.len() <= size as usize);
                seen.extend(items);
                token = next;
                if token.is_empty() {
                    break;
                }
            }
            assert_eq!(seen, names(count), "{count} by {size}");
        }
    }

    #[test]
    fn a_page_has_its_bound() {
        for (asked, size) in [(0, 5), (1, 1), (5, 5), (6, 5), (u32::MAX, 5)] {
            assert_eq!(Page::of(LIST, asked, "", 5).unwrap().size, size, "{asked}");
        }
    }

    #[test]
    fn a_name_that_went_away_does_not_hold_up_the_next_page() {
        let page = Page::of(LIST, 2, "", 5).unwrap();
        let (items, token) = page.cut(LIST, names(5), |name| name);
        let page = Page::of(LIST, 2, &token, 5).unwrap();
        let left = names(5).into_iter().filter(|name| *name != items[1]).collect();
        assert_eq!(page.cut(LIST, left, |name| name).0, ["a002", "a003"]);
    }

    #[test]
    fn an_answer_ends_where_it_would_become_too_long() {
        let items = |count: usize, bytes: usize| (0..count).map(move |_| "x".repeat(bytes));
        for (count, bytes, taken, more) in [
            (3, 10, 3, false),
            (0, 0, 0, false),
            (1, 2 * BYTES_MAX, 1, false),
            (2, 2 * BYTES_MAX, 1, true),
            (5, BYTES_MAX / 2, 2, true),
        ] {
            let (items, is_more) = fitting(items(count, bytes));
            assert_eq!((items.len(), is_more), (taken, more), "{count} of {bytes}");
        }
    }

    #[test]
    fn a_token_of_another_list_is_refused() {
        let token = LIST.write("a001");
        let others = [
            Scope {
                call: "ListGroups",
                ..LIST
            },
            Scope {
                filters: &["b"],
                ..LIST
            },
            Scope {
                filters: &["a", ""],
                ..LIST
            },
        ];
        for scope in others {
            assert_eq!(Page::of(scope, 0, &token, 5), Err(Wrong::PageToken), "{scope:?}");
        }
        for token in ["x", "!", "AAAA", &token[1..], &format!("{token}AA")] {
            assert_eq!(Page::of(LIST, 0, token, 5), Err(Wrong::PageToken), "{token}");
        }
        assert!(Page::of(LIST, 0, &token, 5).is_ok());
    }
}
