//! What a group has to do, asked of Prometheus, as the decision takes it.

use crate::autoscale::{Lag, Missing, MissingKind, QueueLag};
use crate::prometheus::{Client, ErrorKind, QueryError, Question, Sample, Selection};
use std::num::NonZeroU32;

/// Which numbers are a group's, and how old they may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LagQueries {
    /// The group's series.
    pub selection: Selection,
    /// A query of the resource's own for what waits, in place of the default one.
    pub own: Option<String>,
    /// The greatest age of a sample, in seconds.
    pub max_age_seconds: u32,
}

impl LagQueries {
    /// What the group has not done, at `now` in seconds since 1970. The single queues are there if brokers report them; how
    /// much of a queue is done is not known from Prometheus, so none is ever stuck.
    ///
    /// # Errors
    /// When there is no number that can be believed.
    pub async fn lag(&self, server: &Client, now: u64) -> Result<Lag, Missing> {
        let (ready, inflight, by_queue) = (self.ready(), self.inflight(), self.selection.lag_by_queue());
        let (ready, inflight, queues) = tokio::join!(
            server.count(&ready, now),
            server.count(&inflight, now),
            server.vector(&by_queue)
        );
        let ready = ready.map_err(missing)?;
        let inflight = match inflight {
            // A query of one's own may be about what no broker knows of.
            Err(error) if error.kind == ErrorKind::Empty && self.own.is_some() => 0,
            answer => answer.map_err(missing)?,
        };
        let queues = queues.map_err(missing)?;
        Ok(Lag {
            ready,
            inflight,
            queues: queues.iter().filter_map(queue).collect(),
            left_out: None,
        })
    }

    /// How old the oldest message is that is not done, in seconds. A query of one's own says nothing of it, and it may be about other
    /// messages than the brokers' series are.
    pub async fn age_seconds(&self, server: &Client, now: u64) -> Option<u64> {
        if self.own.is_some() {
            return None;
        }
        let question = self.question(self.selection.lag_age(), None);
        Some(server.count(&question, now).await.ok()? / 1_000)
    }

    /// How many queues can be read, in the topics that the lag is counted in; none if the brokers' series are not there.
    ///
    /// # Errors
    /// When there is no number that can be believed.
    pub async fn queues(&self, server: &Client, now: u64) -> Result<Option<NonZeroU32>, Missing> {
        let question = self.question(self.selection.queues(), None);
        match server.count(&question, now).await {
            Ok(count) => Ok(u32::try_from(count).ok().and_then(NonZeroU32::new)),
            Err(error) if error.kind == ErrorKind::Empty => Ok(None),
            Err(error) => Err(missing(error)),
        }
    }

    fn ready(&self) -> Question {
        match &self.own {
            Some(own) => self.question(own.clone(), None),
            None => self.question(self.selection.ready(), Some(self.selection.age())),
        }
    }

    fn inflight(&self) -> Question {
        self.question(self.selection.inflight(), None)
    }

    fn question(&self, query: String, age_query: Option<String>) -> Question {
        Question {
            query,
            age_query,
            max_age_seconds: self.max_age_seconds,
        }
    }
}

/// A sample of one queue; what is no number of messages is left out, since the total has it too and says so.
fn queue(sample: &Sample) -> Option<QueueLag> {
    let label = |name: &str| sample.labels.get(name).map_or("", String::as_str);
    Some(QueueLag {
        queue: format!("{}/{}/{}", label("node_id"), label("topic"), label("queue_id")),
        ready: sample.count().ok()?,
        done: None,
    })
}

/// Why there is no number, in the decision's words.
fn missing(error: QueryError) -> Missing {
    let kind = match error.kind {
        ErrorKind::Unreachable
        | ErrorKind::Slow
        | ErrorKind::Unauthorized
        | ErrorKind::Redirected
        | ErrorKind::Status
        | ErrorKind::TooLarge
        | ErrorKind::Malformed => MissingKind::Unreachable,
        ErrorKind::Refused => MissingKind::Refused,
        ErrorKind::Several => MissingKind::Several,
        ErrorKind::Empty => MissingKind::Empty,
        ErrorKind::NotANumber => MissingKind::NotANumber,
        ErrorKind::Stale => MissingKind::Stale,
    };
    Missing {
        kind,
        detail: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_named_by_broker_topic_and_number() {
        let labels = [("node_id", "broker-a"), ("topic", "orders"), ("queue_id", "3")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let sample = |value| Sample {
            labels: labels.clone().into(),
            time: 0.0,
            value,
        };
        let wanted = QueueLag {
            queue: "broker-a/orders/3".to_owned(),
            ready: 7,
            done: None,
        };
        assert_eq!(queue(&sample(7.0)), Some(wanted));
        assert_eq!(queue(&sample(-1.0)), None);
    }

    #[test]
    fn each_kind_of_error_is_a_kind_of_missing_reading() {
        for (kind, wanted) in [
            (ErrorKind::Unreachable, MissingKind::Unreachable),
            (ErrorKind::Slow, MissingKind::Unreachable),
            (ErrorKind::Refused, MissingKind::Refused),
            (ErrorKind::Several, MissingKind::Several),
            (ErrorKind::Empty, MissingKind::Empty),
            (ErrorKind::NotANumber, MissingKind::NotANumber),
            (ErrorKind::Stale, MissingKind::Stale),
        ] {
            let error = QueryError {
                kind,
                server: "http://p".to_owned(),
                detail: "why".to_owned(),
            };
            let missing = missing(error.clone());
            assert_eq!((missing.kind, missing.detail), (wanted, error.to_string()));
        }
    }
}
