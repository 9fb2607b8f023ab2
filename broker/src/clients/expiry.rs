//! Who is gone, and whose deliveries come back: decided from what was seen, without a clock of its own.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Without a call for so long a client is gone, connected or not: they send a heartbeat every 10 to 30 s.
const SILENT_MAX: Duration = Duration::from_secs(120);
/// So long a client without any connection may take to come back. After a restart of the broker that is all of them.
const GRACE: Duration = Duration::from_secs(30);

/// A client as the table has it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its id.
    pub id: Arc<str>,
    /// Its last call.
    pub last_seen: Instant,
    /// Whether it has a connection or a telemetry stream.
    pub connected: bool,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Clients to forget.
    pub forget: Vec<Arc<str>>,
    /// Clients, known or not, whose deliveries are to come back where the broker renews them.
    pub release: Vec<Arc<str>>,
}

#[derive(Clone, Copy, Debug)]
enum Stranger {
    /// May come back until then.
    Waiting(Instant),
    /// Its deliveries were released. The state names it until they go to others.
    Released,
}

/// What has to be remembered from one look to the next.
#[derive(Debug, Default)]
pub struct Watch {
    disconnected_since: HashMap<Arc<str>, Instant>,
    /// Holders of deliveries that are no clients.
    strangers: HashMap<Arc<str>, Stranger>,
}

impl Watch {
    /// Judges `clients` and those who hold deliveries.
    pub fn decide(&mut self, now: Instant, clients: &[Seen], holders: &BTreeSet<Arc<str>>) -> Decision {
        let mut decision = Decision::default();
        let mut here = BTreeSet::new();
        let mut disconnected_since = HashMap::new();
        for client in clients {
            let since = self.disconnected_since.get(&client.id).copied().unwrap_or(now);
            let silent = now.saturating_duration_since(client.last_seen) >= SILENT_MAX;
            // A call by a connection that closed since counts as a sign of life too.
            let away = now.saturating_duration_since(since.max(client.last_seen));
            if silent || (!client.connected && away >= GRACE) {
                decision.forget.push(Arc::clone(&client.id));
                self.strangers
                    .insert(Arc::clone(&client.id), Stranger::Waiting(now));
                continue;
            }
            here.insert(Arc::clone(&client.id));
            if !client.connected {
                disconnected_since.insert(Arc::clone(&client.id), since);
            }
        }
        self.disconnected_since = disconnected_since;
        self.strangers
            .retain(|id, _| holders.contains(id) && !here.contains(id));
        for holder in holders.iter().filter(|holder| !here.contains(*holder)) {
            let until = now + GRACE;
            match self
                .strangers
                .entry(Arc::clone(holder))
                .or_insert(Stranger::Waiting(until))
            {
                Stranger::Waiting(until) if *until <= now => decision.release.push(Arc::clone(holder)),
                Stranger::Waiting(_) | Stranger::Released => {}
            }
        }
        decision
    }

    /// The deliveries of this client have been released. Without this, the next decision names it again.
    pub fn released(&mut self, id: &Arc<str>) {
        if let Some(stranger) = self.strangers.get_mut(id) {
            *stranger = Stranger::Released;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: [&str; 0] = [];

    fn ids(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().copied().map(Arc::from).collect()
    }

    fn holders(names: &[&str]) -> BTreeSet<Arc<str>> {
        ids(names).into_iter().collect()
    }

    fn seen(id: &str, last_seen: Instant, connected: bool) -> Seen {
        Seen {
            id: Arc::from(id),
            last_seen,
            connected,
        }
    }

    fn decision(forget: &[&str], release: &[&str]) -> Decision {
        Decision {
            forget: ids(forget),
            release: ids(release),
        }
    }

    #[test]
    fn a_connected_client_stays_as_long_as_it_is_heard_of() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let held = holders(&["c"]);
        for (seconds, last_seen, expected) in [
            (0, 0, decision(&NOBODY, &NOBODY)),
            (100, 0, decision(&NOBODY, &NOBODY)),
            (200, 110, decision(&NOBODY, &NOBODY)),
            (230, 110, decision(&["c"], &["c"])),
        ] {
            let client = seen("c", start + Duration::from_secs(last_seen), true);
            let now = start + Duration::from_secs(seconds);
            assert_eq!(watch.decide(now, &[client], &held), expected, "at {seconds} s");
        }
    }

    #[test]
    fn a_client_without_connections_has_thirty_seconds_to_come_back() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let none = holders(&NOBODY);
        for (seconds, connected, forget) in [
            (0, true, &NOBODY[..]),
            (10, false, &NOBODY),
            (39, false, &NOBODY),
            (39, true, &NOBODY),
            (45, false, &NOBODY),
            (74, false, &NOBODY),
            (75, false, &["c"]),
        ] {
            let client = seen("c", start, connected);
            let now = start + Duration::from_secs(seconds);
            assert_eq!(
                watch.decide(now, &[client], &none),
                decision(forget, &NOBODY),
                "at {seconds} s"
            );
        }
    }

    #[test]
    fn holders_that_do_not_come_back_after_a_start_are_released_once() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let held = holders(&["back", "gone"]);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(watch.decide(at(0), &[], &held), decision(&NOBODY, &NOBODY));
        let back = || [seen("back", at(20), true)];
        assert_eq!(watch.decide(at(29), &back(), &held), decision(&NOBODY, &NOBODY));
        assert_eq!(watch.decide(at(30), &back(), &held), decision(&NOBODY, &["gone"]));
        assert_eq!(
            watch.decide(at(31), &back(), &held),
            decision(&NOBODY, &["gone"]),
            "until it has worked"
        );
        watch.released(&Arc::from("gone"));
        assert_eq!(watch.decide(at(32), &back(), &held), decision(&NOBODY, &NOBODY));
        assert_eq!(
            watch.decide(at(33), &back(), &holders(&["back"])),
            decision(&NOBODY, &NOBODY)
        );
        assert_eq!(
            watch.decide(at(40), &back(), &held),
            decision(&NOBODY, &NOBODY),
            "a new absence, a new grace"
        );
        assert_eq!(watch.decide(at(70), &back(), &held), decision(&NOBODY, &["gone"]));
    }

    #[test]
    fn a_client_that_is_forgotten_is_released_at_once() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let held = holders(&["c"]);
        let late = start + SILENT_MAX;
        assert_eq!(
            watch.decide(late, &[seen("c", start, true)], &held),
            decision(&["c"], &["c"])
        );
        watch.released(&Arc::from("c"));
        assert_eq!(watch.decide(late, &[], &held), decision(&NOBODY, &NOBODY));
    }
}
