//! The log begins later, and some of what leaves is written again.

use super::Writer;
use sluice_core::command::{EncodedCommand, Expire, Minimum, NewCarry, Place, Trim};
use sluice_core::ids::{PhysicalOffset, QueueOffset};

/// Messages that are carried at a time.
const CARRIED: usize = 20;

impl Writer {
    /// Ends links, carries some of what leaves, and lets the log begin later; now and then with a mistake.
    pub fn retain(&mut self) {
        let before = self.state.tables().bounds().start;
        let start = before.0 + (self.physical - before.0) * self.random.below(8) / 8;
        let start = PhysicalOffset(start);
        self.trim(before, start, Vec::new());
        let carries: Vec<EncodedCommand> = self
            .leaving(start)
            .iter()
            .map(|place| self.carry(*place))
            .collect();
        if !carries.is_empty() {
            self.frame(carries);
        }
        let mut minimums = Vec::new();
        for (at, entries) in &self.queues.0 {
            let leaves = |offset: &usize| {
                let entry = self.queues.current(*at, QueueOffset(*offset as u64));
                entry.is_some_and(|entry| entry.physical < start)
            };
            let first = (0..entries.len())
                .rfind(leaves)
                .map(|offset| QueueOffset(offset as u64 + 1));
            minimums.extend(first.map(|first| Minimum { at: *at, first }));
        }
        if self.random.below(4) == 0 {
            let wrong = PhysicalOffset(self.physical + 1);
            self.trim(wrong, wrong, Vec::new());
        }
        self.trim(start, start, minimums);
    }

    /// A part of each of some queues goes, with whatever is carried of it, or not.
    pub fn expire(&mut self) {
        let mut expire = Expire::default();
        for (at, entries) in self
            .queues
            .0
            .iter()
            .filter(|(at, _)| at.queue.0.is_multiple_of(2))
        {
            let end = entries.len() as u64;
            let first = self.random.below(end / 2 + 2);
            expire.minimums.push(Minimum {
                at: *at,
                first: QueueOffset(first),
            });
            let dropped = (0..4).map(|_| (*at, QueueOffset(self.random.below(first + 1))));
            expire.dropped.extend(dropped);
        }
        self.frame(vec![expire.encode(self.clock)]);
    }

    /// Some of the places whose records leave.
    fn leaving(&mut self, start: PhysicalOffset) -> Vec<Place> {
        let mut places = Vec::new();
        for (at, entries) in &self.queues.0 {
            for offset in (0..entries.len() as u64).map(QueueOffset) {
                if let Some(entry) = self
                    .queues
                    .current(*at, offset)
                    .filter(|entry| entry.physical < start)
                {
                    places.push(Place {
                        at: *at,
                        offset,
                        entry,
                    });
                }
            }
        }
        let mut some = Vec::new();
        while some.len() < CARRIED && !places.is_empty() {
            let one = self.random.below(places.len() as u64) as usize;
            some.push(places.swap_remove(one));
        }
        some
    }

    fn carry(&self, place: Place) -> EncodedCommand {
        let carry = NewCarry {
            topic: place.at.topic,
            old: place.entry.physical,
            record: b"a record",
            places: &[place],
        };
        carry.encode(self.clock)
    }

    fn trim(&mut self, start: PhysicalOffset, links_from: PhysicalOffset, minimums: Vec<Minimum>) {
        let trim = Trim {
            start,
            links_from,
            minimums,
        };
        let trim = trim.encode(self.clock);
        self.frame(vec![trim]);
    }
}
