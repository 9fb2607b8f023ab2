//! The decisions of a replica about the Lease: values in, an action out.

use super::record::Record;
use std::fmt;
use std::time::Duration;

/// Time since the process began, on a clock that never goes back.
pub type Moment = Duration;

/// How long what lasts; `retry < renew_within < duration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long others wait for a holder that is silent.
    pub duration: Duration,
    /// How long the holder goes on leading without having renewed.
    pub renew_within: Duration,
    /// From one look at the Lease to the next.
    pub retry: Duration,
}

/// What the Lease was found to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed<'a> {
    /// There is none.
    Absent,
    /// It says this.
    Found(&'a Record),
    /// Nobody could say.
    Unknown,
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write this replica down as the holder, with this count of transitions. Whether it took its place is known when the
    /// write succeeded: see [`Elector::written`].
    Write {
        /// How often the holder has changed, this change included.
        transitions: i32,
    },
    /// Look again after [`Terms::retry`].
    Wait,
    /// This replica leads no longer.
    Lost(Loss),
}

/// Why a replica leads no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Somebody else stands in the Lease.
    TakenBy(String),
    /// The API server could not be reached, or took no write, for [`Terms::renew_within`].
    NotRenewed,
}

impl fmt::Display for Loss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakenBy(holder) => write!(out, "{holder} holds it now"),
            Self::NotRenewed => {
                out.write_str("it could not be renewed in time; see whether the API server answers")
            }
        }
    }
}

/// One replica.
#[derive(Clone, Debug)]
pub struct Elector {
    identity: String,
    terms: Terms,
    /// The latest record of another holder, and when it was first seen. A holder lives as long as its record changes.
    seen: Option<(Record, Moment)>,
    /// The moment before the latest write that succeeded, while this replica leads.
    renewed: Option<Moment>,
}

impl Elector {
    /// A replica that does not lead. Its identity must differ from that of every other, earlier ones included.
    pub fn new(identity: String, terms: Terms) -> Self {
        Self {
            identity,
            terms,
            seen: None,
            renewed: None,
        }
    }

    /// What to do, given what was found.
    pub fn step(&mut self, observed: Observed<'_>, now: Moment) -> Action {
        match self.renewed {
            Some(renewed) => self.lead(observed, renewed, now),
            None => self.follow(observed, now),
        }
    }

    /// The write that [`Action::Write`] asked for has succeeded; it began at this moment.
    pub fn written(&mut self, began: Moment) {
        self.seen = None;
        self.renewed = Some(began);
    }

    /// Until when this replica leads unless it renews.
    pub fn leads_until(&self) -> Option<Moment> {
        self.renewed.map(|renewed| renewed + self.terms.renew_within)
    }

    /// Who this is.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// How long what lasts.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    fn lead(&mut self, observed: Observed<'_>, renewed: Moment, now: Moment) -> Action {
        if let Observed::Found(Record {
            holder: Some(holder), ..
        }) = observed
            && *holder != self.identity
        {
            return self.lose(Loss::TakenBy(holder.clone()));
        }
        if now >= renewed + self.terms.renew_within {
            return self.lose(Loss::NotRenewed);
        }
        match observed {
            Observed::Found(record) => Action::Write {
                transitions: record.transitions,
            },
            Observed::Absent => Action::Write { transitions: 0 },
            Observed::Unknown => Action::Wait,
        }
    }

    fn lose(&mut self, loss: Loss) -> Action {
        self.renewed = None;
        Action::Lost(loss)
    }

    fn follow(&mut self, observed: Observed<'_>, now: Moment) -> Action {
        let record = match observed {
            Observed::Unknown => return Action::Wait,
            Observed::Absent => return Action::Write { transitions: 0 },
            Observed::Found(record) => record,
        };
        let take = Action::Write {
            transitions: record.transitions.saturating_add(1),
        };
        if record.holder.is_none() {
            return take;
        }
        let since = match &self.seen {
            Some((seen, since)) if seen == record => *since,
            _ => {
                self.seen = Some((record.clone(), now));
                now
            }
        };
        let patience = record.duration.unwrap_or(self.terms.duration);
        if now >= since + patience {
            take
        } else {
            Action::Wait
        }
    }
}

#[cfg(test)]
mod tests;
