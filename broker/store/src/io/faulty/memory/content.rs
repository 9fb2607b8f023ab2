//! The content of a file: what is durable of it, and what no sync has covered.

use super::crash::Coin;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

#[derive(Default)]
pub(super) struct Content {
    pub(super) durable: Vec<u8>,
    pub(super) current: Vec<u8>,
    pub(super) pending: Vec<Change>,
    /// A sync of everything has lost what was pending, and no sync of this file has told of it yet.
    pub(super) lost: bool,
}

#[derive(Clone)]
pub(super) enum Change {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Content {
    pub(super) fn change(&mut self, change: Change) {
        apply(&change, &mut self.current);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            apply(&change, &mut self.durable);
        }
    }

    pub(super) fn survivor(&self, coin: &mut Coin) -> Vec<u8> {
        let mut content = self.durable.clone();
        for change in &self.pending {
            match change {
                Change::SetLen(_) if coin.keep() => apply(change, &mut content),
                Change::SetLen(_) => {}
                Change::Write { at, bytes } => tear(*at, bytes, &mut content, coin),
            }
        }
        content
    }
}

fn apply(change: &Change, content: &mut Vec<u8>) {
    match change {
        Change::SetLen(len) => content.resize(*len, 0),
        Change::Write { at, bytes } => {
            let end = at + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*at..end].copy_from_slice(bytes);
        }
    }
}

/// Writes those sectors of a write that the coin keeps.
fn tear(at: usize, bytes: &[u8], content: &mut Vec<u8>, coin: &mut Coin) {
    let mut done = 0;
    while done < bytes.len() {
        let start = at + done;
        let n = (SECTOR - start % SECTOR).min(bytes.len() - done);
        if coin.keep() {
            let bytes = bytes[done..done + n].to_vec();
            apply(&Change::Write { at: start, bytes }, content);
        } else if content.len() < start + n && coin.keep() && coin.keep() {
            content.resize(start + n, 0); // The length was journalled, the data was not written.
        }
        done += n;
    }
}
