//! What is remembered from evaluation to evaluation: in the process whole, and in the status what an operator that starts anew
//! goes on from.

use crate::autoscale::{BackOff, History, Lasting, Reason, Said, Step, Time};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time as At;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use parking_lot::Mutex;
use sluice_operator_api::consumer_group::{GuardStatus, ScalingHistory, ScalingStep, Standstill};
use sluice_operator_api::{ConsumerGroup, ConsumerGroupStatus};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

/// Histories, by namespace and name; the uid tells a group from the one that had its name before.
#[derive(Default)]
pub struct Memory {
    histories: Mutex<HashMap<(String, String), (String, History)>>,
    /// When statuses were written, since the process began.
    told: Mutex<HashMap<(String, String), Duration>>,
}

impl Memory {
    /// The group's history: as it was left, or as its status has it.
    pub fn of(&self, group: &ConsumerGroup) -> History {
        let uid = group.uid().unwrap_or_default();
        match self.histories.lock().get(&key(group)) {
            Some((of, history)) if *of == uid => history.clone(),
            _ => group.status.as_ref().map(resumed).unwrap_or_default(),
        }
    }

    /// Keeps it.
    pub fn keep(&self, group: &ConsumerGroup, history: History) {
        let uid = group.uid().unwrap_or_default();
        self.histories.lock().insert(key(group), (uid, history));
    }

    /// When the group's status was written last.
    pub fn told(&self, group: &ConsumerGroup) -> Option<Duration> {
        self.told.lock().get(&key(group)).copied()
    }

    /// It was written now.
    pub fn tell(&self, group: &ConsumerGroup, now: Duration) {
        self.told.lock().insert(key(group), now);
    }

    /// The group is gone, or is scaled no longer.
    pub fn forget(&self, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        self.histories.lock().remove(&key);
        self.told.lock().remove(&key);
    }
}

fn key(group: &ConsumerGroup) -> (String, String) {
    (group.namespace().unwrap_or_default(), group.name_any())
}

/// As it stands in a status.
pub fn at(time: Time) -> At {
    let second = i64::try_from(time.0).unwrap_or(i64::MAX);
    At(Timestamp::from_second(second).unwrap_or(Timestamp::MAX))
}

fn time(at: &At) -> Time {
    Time(u64::try_from(at.0.as_second()).unwrap_or_default())
}

/// A number as statuses have it.
pub fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn unsigned(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

/// What a status keeps of a history; guards have their times where the guards are.
pub fn kept(lasting: &Lasting) -> ScalingHistory {
    let step = |step: &Step| ScalingStep {
        time: at(step.at),
        from: signed(step.from),
        to: signed(step.to),
        reason: step.reason.word().to_owned(),
        rate_before: step.rate_before.and_then(|rate| i64::try_from(rate).ok()),
        judged: step.judged,
    };
    let standstill = |(queue, done, since): &(String, u64, Time)| Standstill {
        queue: queue.clone(),
        done: i64::try_from(*done).unwrap_or(i64::MAX),
        since: at(*since),
    };
    ScalingHistory {
        steps: lasting.steps.iter().map(step).collect(),
        written: lasting.written.map(signed),
        reverted: lasting.reverts.iter().copied().map(at).collect(),
        reverted_generation: lasting.said.as_ref().map(|said| said.generation),
        reverted_force_sync: lasting.said.as_ref().and_then(|said| said.asked.clone()),
        queues: lasting.queues.map(|queues| signed(queues.get())),
        idle_since: lasting.idle_since.map(at),
        missing_since: lasting.missing_since.map(at),
        standstills: lasting.standstills.iter().map(standstill).collect(),
        back_off_until: lasting.back_off.map(|back_off| at(back_off.until)),
        back_offs: lasting.back_off.map(|back_off| signed(back_off.times)),
    }
}

/// The history that a status keeps. What somebody has put there that is none is left out.
fn resumed(status: &ConsumerGroupStatus) -> History {
    let Some(kept) = &status.history else {
        return History::default();
    };
    let step = |step: &ScalingStep| {
        let reason = Reason::ALL.iter().find(|reason| reason.word() == step.reason);
        Some(Step {
            at: time(&step.time),
            from: unsigned(step.from),
            to: unsigned(step.to),
            rate_before: step.rate_before.and_then(|rate| u64::try_from(rate).ok()),
            reason: *reason?,
            judged: step.judged,
        })
    };
    let standstill = |standstill: &Standstill| {
        let done = u64::try_from(standstill.done).ok()?;
        Some((standstill.queue.clone(), done, time(&standstill.since)))
    };
    let held = |guard: &GuardStatus| Some((guard.name.clone(), time(guard.since.as_ref()?)));
    let back_off = kept.back_off_until.as_ref().map(|until| BackOff {
        until: time(until),
        times: unsigned(kept.back_offs.unwrap_or_default()),
    });
    let said = kept.reverted_generation.map(|generation| Said {
        generation,
        asked: kept.reverted_force_sync.clone(),
    });
    History::resumed(Lasting {
        steps: kept.steps.iter().filter_map(step).collect(),
        written: kept.written.map(unsigned),
        reverts: kept.reverted.iter().map(time).collect(),
        said,
        queues: kept.queues.and_then(|queues| NonZeroU32::new(unsigned(queues))),
        idle_since: kept.idle_since.as_ref().map(time),
        missing_since: kept.missing_since.as_ref().map(time),
        standstills: kept.standstills.iter().filter_map(standstill).collect(),
        guards_held: status.guards.iter().filter_map(held).collect(),
        back_off,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(uid: &str, status: Option<ConsumerGroupStatus>) -> ConsumerGroup {
        let mut group = ConsumerGroup::new(
            "billing",
            serde_yaml::from_str("{clusterRef: {name: main}}").unwrap(),
        );
        group.metadata.uid = Some(uid.to_owned());
        group.status = status;
        group
    }

    fn lasting() -> Lasting {
        Lasting {
            steps: vec![Step {
                at: Time(90),
                from: 1,
                to: 8,
                rate_before: Some(600),
                reason: Reason::Lag,
                judged: true,
            }],
            written: Some(8),
            reverts: vec![Time(10), Time(20)],
            said: Some(Said {
                generation: 7,
                asked: Some("now".to_owned()),
            }),
            queues: NonZeroU32::new(8),
            idle_since: Some(Time(95)),
            missing_since: Some(Time(96)),
            standstills: vec![("orders/3".to_owned(), 17, Time(30))],
            guards_held: [("load".to_owned(), Time(40))].into(),
            back_off: Some(BackOff {
                until: Time(500),
                times: 2,
            }),
        }
    }

    #[test]
    fn an_operator_that_starts_anew_goes_on_from_the_status() {
        let guard = GuardStatus {
            name: "load".to_owned(),
            active: true,
            action: sluice_operator_api::consumer_group::GuardAction::HoldScaleUp,
            since: Some(at(Time(40))),
            message: String::new(),
        };
        let status = ConsumerGroupStatus {
            history: Some(kept(&lasting())),
            guards: vec![guard],
            ..ConsumerGroupStatus::default()
        };
        // As the API server hands it out.
        let status = serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap();
        let history = Memory::default().of(&group("a", Some(status)));
        assert_eq!(history, History::resumed(lasting()));
    }

    #[test]
    fn a_group_made_anew_under_the_name_begins_anew() {
        let memory = Memory::default();
        memory.keep(&group("a", None), History::resumed(lasting()));
        assert_eq!(memory.of(&group("a", None)), History::resumed(lasting()));
        assert_eq!(memory.of(&group("b", None)), History::default());
        memory.forget("", "billing");
        assert_eq!(memory.of(&group("a", None)), History::default());
    }
}
