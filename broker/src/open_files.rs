//! The limit on open files, and who gets which share of it. A connection is an open file, and so is what the store
//! writes to: were connections not held to a share, any number of idle clients could stop the store.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;

/// HTTP connections at one time: probes and a few scrapers.
const HTTP_MAX: u64 = 64;
/// Connections to the admin port at one time: an operator, a few people and their tools.
const ADMIN_MAX: u64 = 64;
/// What is left of fewer is too little for a store with a handful of queues.
const LIMIT_MIN: u64 = 128;

/// The process may open too few files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the limit on open files is {limit}, and the broker needs at least {LIMIT_MIN}: raise the hard limit, by ulimit -Hn or systemd's LimitNOFILE="
)]
pub struct TooFew {
    limit: u64,
}

/// How many open files each kind of connection may take. The rest, three eighths at least, is for the store: from a
/// limit of 1,024 on that is more than all its caches of open files hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    limit: u64,
    /// Clients' connections.
    pub connections: u32,
    /// HTTP connections.
    pub http: usize,
    /// Connections to the admin port.
    pub admin: u32,
}

impl Shares {
    /// Raises the limit as far as the system allows, since many grant 1,024 until they are asked, and shares it out.
    /// Clients are to have as many `connections` if that allows it; where many are `expected`, a low limit is a warning.
    pub fn of_this_process(connections: u64, expected: bool) -> Result<Self, TooFew> {
        let granted = getrlimit(Resource::Nofile);
        let wanted = Rlimit {
            current: granted.maximum,
            ..granted
        };
        let limit = match setrlimit(Resource::Nofile, wanted) {
            Ok(()) => wanted.current,
            Err(error) => {
                tracing::warn!(%error, "the limit on open files stays as it is");
                granted.current
            }
        };
        // None is no limit at all.
        let shares = Self::of(limit.unwrap_or(u64::MAX), connections)?;
        shares.say_if_below(connections, expected);
        Ok(shares)
    }

    fn of(limit: u64, connections: u64) -> Result<Self, TooFew> {
        if limit < LIMIT_MIN {
            return Err(TooFew { limit });
        }
        Ok(Self {
            limit,
            connections: u32::try_from(connections.min(limit / 2)).unwrap_or(u32::MAX),
            http: HTTP_MAX.min(limit / 16) as usize,
            admin: ADMIN_MAX.min(limit / 16) as u32,
        })
    }

    fn say_if_below(self, wanted: u64, expected: bool) {
        if u64::from(self.connections) >= wanted {
            return;
        }
        let text = format!(
            "clients may have {} connections at a time, half of the limit on open files, which is {}: raise it to {} for {wanted} connections",
            self.connections,
            self.limit,
            2 * wanted
        );
        if expected {
            tracing::warn!("{text}");
        } else {
            tracing::info!("{text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_the_store_its_share_of_any_limit() {
        for (limit, wanted, connections, few) in [
            (128, 16_384, 64, 8),
            (200, 16_384, 100, 12),
            (1024, 16_384, 512, 64),
            (1024, 10, 10, 64),
            (32_767, 16_384, 16_383, 64),
            (32_768, 16_384, 16_384, 64),
            (32_768, 50_000, 16_384, 64),
            (u64::MAX, 16_384, 16_384, 64),
            (u64::MAX, 1 << 20, 1 << 20, 64),
        ] {
            let shares = Shares::of(limit, wanted).unwrap();
            let given = (shares.connections, shares.http, shares.admin);
            assert_eq!(given, (connections, few as usize, few), "{limit}");
            let taken = u64::from(connections) + 2 * u64::from(few);
            assert!(limit - taken >= limit / 8 * 3, "{limit}");
        }
    }

    #[test]
    fn too_few_open_files_are_refused() {
        let error = Shares::of(127, 16_384).unwrap_err().to_string();
        assert!(
            error.contains("is 127") && error.contains("at least 128"),
            "{error}"
        );
    }
}
