//! Free ports on the loopback interface that stay free while a broker is down.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};
use parking_lot::Mutex;

use crate::seed;

/// Below the ports that systems give to outgoing connections: a client that tries to reach a stopped broker could be
/// given its very port otherwise, and then talk to itself.
const FROM: u16 = 12_000;
const TO: u16 = 32_000;
const TRIES: usize = 200;

static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port nothing listens on, given to nobody else in this process.
///
/// # Errors
/// When none is found.
pub fn free() -> Result<u16> {
    let mut chance = seed::Chance::new(seed::entropy());
    for _ in 0..TRIES {
        let port = FROM + u16::try_from(chance.below(u64::from(TO - FROM)))?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && GIVEN.lock().insert(port) {
            return Ok(port);
        }
    }
    bail!("no free port between {FROM} and {TO} in {TRIES} tries")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports: BTreeSet<_> = (0..50).map(|_| free().unwrap()).collect();
        assert_eq!(ports.len(), 50);
    }
}
