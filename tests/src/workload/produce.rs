//! A producer: sends at its pace, one message at a time, and tells the checker.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sluice_proto::v2;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::plan::{LANES, TOPICS};
use super::{Shared, body};
use crate::client::{Client, code, fifo_message, message};
use crate::oracle::{Lane, Number, Topic};

/// The gate closes a moment after the broker was killed; a call that failed waits as long before it looks.
const AFTER_FAILURE: Duration = Duration::from_millis(20);

pub(super) struct Producer {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Client,
    pub(super) topic: Topic,
    pub(super) every: Duration,
    pub(super) offset: Duration,
}

pub(crate) enum Answer {
    Acknowledged(u32),
    /// The broker says that it stored nothing.
    Refused,
    Lost,
}

impl Producer {
    pub(super) async fn run(self) {
        let mut lanes: Vec<_> = (0..LANES).map(|_| self.new_lane()).collect();
        let mut ticks = interval_at(Instant::now() + self.offset, self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for turn in 0.. {
            ticks.tick().await;
            let opened = self.shared.gate.pass().await;
            if !self.shared.sending.load(Ordering::Relaxed) {
                return;
            }
            let lane = turn % LANES;
            if self.send(lanes[lane]).await {
                continue;
            }
            sleep(AFTER_FAILURE).await;
            // Only a killed broker surely stores nothing any more; after anything else the lost message may still be
            // stored, behind its successors.
            if self.shared.gate.pass().await == opened {
                lanes[lane] = self.new_lane();
            }
        }
    }

    fn new_lane(&self) -> Option<Lane> {
        let fifo = TOPICS[self.topic].fifo;
        fifo.then(|| self.shared.next_lane.fetch_add(1, Ordering::Relaxed))
    }

    /// Tells whether there was an answer.
    async fn send(&self, lane: Option<Lane>) -> bool {
        let number: Number = self.shared.next_number.fetch_add(1, Ordering::Relaxed);
        let body = body::of(self.shared.run, number);
        let hash = body::hash(&body);
        let topic = TOPICS[self.topic].name;
        let message = match lane {
            Some(lane) => fifo_message(topic, &format!("lane-{lane}"), body),
            None => message(topic, body),
        };
        self.shared
            .oracle
            .lock()
            .send_begins(number, self.topic, lane, hash);
        let answer = match self.client.send(vec![message]).await {
            Ok(response) => judge(&response),
            Err(_) => Answer::Lost,
        };
        let mut oracle = self.shared.oracle.lock();
        match answer {
            Answer::Acknowledged(offset) => {
                oracle.send_acknowledged(number, offset);
                self.shared.meter.sends.fetch_add(1, Ordering::Relaxed);
            }
            Answer::Refused => oracle.send_refused(number),
            Answer::Lost => oracle.send_lost_its_answer(number),
        }
        !matches!(answer, Answer::Lost)
    }
}

/// What an answer says about its one message.
pub(crate) fn judge(response: &v2::SendMessageResponse) -> Answer {
    let entry = response.entries.first();
    let status = entry
        .and_then(|entry| entry.status.as_ref())
        .or(response.status.as_ref());
    match code(status) {
        Some(v2::Code::Ok) => entry
            .and_then(|entry| u32::try_from(entry.offset).ok())
            .map_or(Answer::Lost, Answer::Acknowledged),
        // 4xxxx: the request was turned away.
        Some(code) if (40_000..50_000).contains(&(code as i32)) => Answer::Refused,
        _ => Answer::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_says_that_nothing_was_stored() {
        let answer = |code: v2::Code| {
            let status = Some(v2::Status {
                code: code.into(),
                message: String::new(),
            });
            let entry = v2::SendResultEntry {
                status: status.clone(),
                offset: 3,
                ..Default::default()
            };
            judge(&v2::SendMessageResponse {
                status,
                entries: vec![entry],
            })
        };
        assert!(matches!(answer(v2::Code::Ok), Answer::Acknowledged(3)));
        assert!(matches!(answer(v2::Code::TooManyRequests), Answer::Refused));
        assert!(matches!(answer(v2::Code::InternalServerError), Answer::Lost));
        assert!(matches!(judge(&v2::SendMessageResponse::default()), Answer::Lost));
    }
}
