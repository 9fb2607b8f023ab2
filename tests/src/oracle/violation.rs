//! What the checker found.

use std::collections::BTreeMap;

use super::{Group, Lane, Number, Place, Topic};

/// How many violations are described; all are counted.
const DESCRIBED_MAX: usize = 20;

/// A rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the checker's module describes the rules, and the names the fields"
)]
pub enum Violation {
    Lost {
        number: Number,
        group: Group,
        place: Option<Place>,
    },
    Invented {
        place: Place,
    },
    BodyDiffers {
        number: Number,
        place: Place,
    },
    OtherTopic {
        number: Number,
        place: Place,
    },
    BeyondTheQueue {
        number: Number,
        place: Place,
    },
    RefusedYetDelivered {
        number: Number,
        place: Place,
    },
    TwoMessagesAtOnePlace {
        place: Place,
        first: Number,
        second: Number,
    },
    TwoPlacesOfOneMessage {
        number: Number,
        first: Place,
        second: Place,
    },
    OtherOffsetThanAnswered {
        number: Number,
        answered: u32,
        place: Place,
    },
    OutOfOrder {
        group: Group,
        lane: Lane,
        number: Number,
        sequence: u32,
        after: u32,
    },
    DeliveredAfterAcknowledgement {
        group: Group,
        number: Number,
        place: Place,
    },
    DeliveryForgotten {
        group: Group,
        place: Place,
    },
    AgainstTime {
        topic: Topic,
        queue: u16,
        earlier: Number,
        later: Number,
    },
}

impl Violation {
    /// The name of the rule that was broken.
    fn kind(&self) -> String {
        let text = format!("{self:?}");
        text.split(' ').next().unwrap_or_default().to_owned()
    }
}

/// What was heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Sends begun.
    pub sends: u64,
    /// Sends acknowledged.
    pub acknowledged_sends: u64,
    /// Sends refused.
    pub refused_sends: u64,
    /// Sends whose answer was lost.
    pub unknown_sends: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// Deliveries to a group that had the message already.
    pub repeated_deliveries: u64,
    /// Deliveries acknowledged.
    pub acknowledged_deliveries: u64,
    /// Acknowledged sends that a group has not got yet, added up over the groups.
    pub undelivered: u64,
}

/// What the checker says.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// What was heard.
    pub count: Count,
    /// The first violations.
    pub violations: Vec<Violation>,
    /// How many there are.
    pub violation_count: u64,
    /// How many of each kind.
    pub kinds: BTreeMap<String, u64>,
}

impl Verdict {
    /// Tells whether no rule was broken.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violation_count == 0
    }

    pub(super) fn add(&mut self, violation: Violation) {
        self.violation_count += 1;
        *self.kinds.entry(violation.kind()).or_default() += 1;
        if self.violations.len() < DESCRIBED_MAX {
            self.violations.push(violation);
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Count {
            sends,
            acknowledged_sends,
            refused_sends,
            unknown_sends,
            deliveries,
            repeated_deliveries,
            acknowledged_deliveries,
            undelivered,
        } = self.count;
        writeln!(
            f,
            "{sends} sends ({acknowledged_sends} acknowledged, {refused_sends} refused, {unknown_sends} unknown), \
             {deliveries} deliveries ({repeated_deliveries} repeated, {acknowledged_deliveries} acknowledged), \
             {undelivered} undelivered, {} violations",
            self.violation_count
        )?;
        for (kind, count) in &self.kinds {
            writeln!(f, "{kind}: {count}")?;
        }
        for violation in &self.violations {
            writeln!(f, "- {violation:?}")?;
        }
        Ok(())
    }
}
