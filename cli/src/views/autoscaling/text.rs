//! The same for people.

use super::{Condition, Decision, Explanation, Lag, Replicas};
use crate::output::{Align, Fields, Show, Table};
use crate::units::{ago, count, counted, span};

impl Show for Explanation {
    fn text(&self, wide: bool) -> String {
        let mut parts = vec![self.head().render()];
        if !self.guards.is_empty() {
            parts.push(self.guards());
        }
        let conditions = self.conditions(wide);
        if !conditions.is_empty() {
            parts.push(conditions);
        }
        parts.push(self.decisions());
        parts.join("\n\n")
    }
}

impl Explanation {
    fn head(&self) -> Fields {
        let own = if self.resource == self.group {
            String::new()
        } else {
            format!(" (ConsumerGroup {})", self.resource)
        };
        let mut fields = Fields::default()
            .with(
                "group",
                format!("{}{own} of the cluster {}", self.group, self.cluster),
            )
            .with("namespace", self.namespace.clone());
        let Some(target) = &self.target else {
            return fields.with("autoscaling", "none: spec.autoscaling is not given");
        };
        fields.add("scales", format!("{} {}", target.kind, target.name));
        fields.add(
            "mode",
            self.mode.map(|mode| format!("{mode:?}")).unwrap_or_default(),
        );
        fields.add(
            "replicas",
            self.replicas.as_ref().map(replicas).unwrap_or_default(),
        );
        fields.add(
            "lag",
            self.lag
                .as_ref()
                .map_or_else(|| "not known".to_owned(), lag_in_words),
        );
        let change = self.last_scale.as_ref().map(|change| {
            let when = ago(change.time_ms, self.asked_ms);
            format!("{} -> {}, {when} ({})", change.from, change.to, change.reason)
        });
        fields.add("last change", change.unwrap_or_default());
        fields
    }

    fn guards(&self) -> String {
        let columns = ["GUARD", "ACTIVE", "ACTION", "FOUND"].map(|name| (name, Align::Left));
        let mut table = Table::new("no guards", &columns);
        for guard in &self.guards {
            let active = if guard.active { "yes" } else { "no" };
            table.row([
                guard.name.clone(),
                active.to_owned(),
                format!("{:?}", guard.action),
                guard.message.clone(),
            ]);
        }
        table.render()
    }

    /// Empty if nothing is in the way.
    fn conditions(&self, all: bool) -> String {
        let columns = ["CONDITION", "STATUS", "REASON", "MESSAGE"].map(|name| (name, Align::Left));
        let mut table = Table::new("", &columns);
        let shown = (self.conditions.iter()).filter(|condition| all || condition.is_notable());
        for Condition {
            type_,
            status,
            reason,
            message,
            ..
        } in shown
        {
            table.row([type_, status, reason, message].map(String::clone));
        }
        table.render()
    }

    fn decisions(&self) -> String {
        let columns = [
            ("DECIDED", Align::Left),
            ("FROM", Align::Right),
            ("TO", Align::Right),
            ("ASKED FOR", Align::Right),
            ("LAG", Align::Right),
            ("REASON", Align::Left),
            ("LIMITED BY", Align::Left),
            ("WHY", Align::Left),
        ];
        let mut table = Table::new("nothing was decided yet", &columns);
        for decision in &self.decisions {
            let Decision {
                from,
                to,
                reason,
                message,
                ..
            } = decision;
            table.row([
                ago(decision.time_ms, self.asked_ms),
                from.to_string(),
                to.to_string(),
                decision
                    .recommended
                    .map(|number| grouped(number.into()))
                    .unwrap_or_default(),
                decision.lag.map(grouped).unwrap_or_default(),
                reason.clone(),
                decision.limited_by.clone().unwrap_or_default(),
                message.clone(),
            ]);
        }
        table.render()
    }
}

fn replicas(replicas: &Replicas) -> String {
    let mut words = Vec::new();
    for (name, number) in [
        ("current", replicas.current),
        ("desired", replicas.desired),
        ("asked for by the lag", replicas.recommended),
    ] {
        if let Some(number) = number {
            words.push(format!("{} {name}", grouped(number.into())));
        }
    }
    if let Some(cap) = replicas.cap {
        let from = replicas.cap_reason.as_ref();
        let from = from.map(|reason| format!(" ({reason})")).unwrap_or_default();
        words.push(format!("at most {cap}{from}"));
    }
    words.join(", ")
}

fn lag_in_words(lag: &Lag) -> String {
    let mut words = match (lag.ready, lag.inflight) {
        (Some(ready), Some(inflight)) => {
            vec![
                format!("{} ready", grouped(ready)),
                format!("{} in flight", grouped(inflight)),
            ]
        }
        _ => vec![grouped_as(lag.messages, "message", "messages")],
    };
    if let Some(age) = lag.age_seconds.and_then(|age| u64::try_from(age).ok())
        && age > 0
    {
        words.push(format!("the oldest waits for {}", span(age * 1000)));
    }
    if let Some(queues) = lag.queues_with_lag {
        words.push(format!("in {}", grouped_as(queues.into(), "queue", "queues")));
    }
    if lag.stuck_queues > 0 {
        words.push(format!("{} of them stuck", lag.stuck_queues));
    }
    words.join(", ")
}

fn grouped(number: i64) -> String {
    count(u64::try_from(number).unwrap_or_default())
}

fn grouped_as(number: i64, one: &str, several: &str) -> String {
    counted(u64::try_from(number).unwrap_or_default(), one, several)
}
