//! The queries about a consumer group that count nothing twice.
//!
//! A message's lag may be in several series: several Prometheus servers scrape a broker, and brokers of RocketMQ report what
//! they hold for others, under the same `node_id`. So the greatest of them counts for each broker, topic and queue, and these
//! are summed.

use std::fmt::Write;

/// Which series are a group's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    matchers: String,
    group: String,
}

/// A name that cannot be selected by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionInvalid {
    /// A label's name.
    #[error("{0:?} is no label's name: it takes letters, digits and underscores, and begins with no digit")]
    Label(String),
    /// No group.
    #[error("the consumer group's name is empty")]
    NoGroup,
}

impl Selection {
    /// The series of a group in all topics that it reads, among those with the given labels, such as `cluster`.
    ///
    /// # Errors
    /// When a name is none.
    pub fn new(group: &str, labels: &[(&str, &str)]) -> Result<Self, SelectionInvalid> {
        if group.is_empty() {
            return Err(SelectionInvalid::NoGroup);
        }
        let mut matchers = String::new();
        for (name, value) in labels {
            if !is_label(name) {
                return Err(SelectionInvalid::Label((*name).to_owned()));
            }
            // Writing to a string cannot fail.
            let _ = write!(matchers, "{name}={},", quoted(value));
        }
        Ok(Self {
            matchers,
            group: format!("consumer_group={},", quoted(group)),
        })
    }

    /// Of these series those of a namespace's brokers, where the label says which. Clusters of one name are told apart by
    /// it; a Prometheus that scrapes one namespace need not give the label.
    #[must_use]
    pub fn of_namespace(mut self, namespace: &str) -> Self {
        let either = quoted(&format!("|{}", literal(namespace)));
        // Writing to a string cannot fail.
        let _ = write!(self.matchers, "namespace=~{either},");
        self
    }

    /// Messages that nobody holds.
    pub fn ready(&self) -> String {
        self.total("rocketmq_consumer_ready_messages", r#"is_retry="false","#)
    }

    /// Messages that consumers hold, or that wait for a retry.
    pub fn inflight(&self) -> String {
        self.total("rocketmq_consumer_inflight_messages", r#"is_retry="false","#)
    }

    /// How old the oldest sample is that goes into [`Selection::ready`], in seconds by the server's own clock.
    pub fn age(&self) -> String {
        let series = self.series("rocketmq_consumer_ready_messages", r#"is_retry="false","#);
        format!("time() - min(max by (node_id, topic) (timestamp({series})))")
    }

    /// How old the oldest message is that is not done, in milliseconds. A greatest value counts nothing twice.
    pub fn lag_age(&self) -> String {
        let series = self.series(
            "rocketmq_consumer_lag_latency_milliseconds",
            r#"is_retry="false","#,
        );
        format!("max({series})")
    }

    /// Messages not done, by the labels `node_id`, `topic` and `queue_id`. Brokers have these series only with
    /// `queueMetrics`, and messages that consumers hold are among them.
    pub fn lag_by_queue(&self) -> String {
        let series = self.series("rocketmq_consumer_queue_lag_messages", "");
        format!("max by (node_id, topic, queue_id) ({series})")
    }

    /// Messages delivered since each broker started.
    pub fn delivered(&self) -> String {
        self.total("rocketmq_messages_out_total", r#"is_retry="false","#)
    }

    /// Messages that went to the group's dead-letter topic; without a sample before the first one.
    pub fn dead_letters(&self) -> String {
        let series = self.series("rocketmq_send_to_dlq_messages_total", "");
        format!("sum(max by (node_id) ({series}))")
    }

    /// Queues that can be read, of the topics that the group's lag is counted in. The series of queues have no group: its topics are
    /// those in which it has a lag, be that 0.
    pub fn queues(&self) -> String {
        let numbers = format!(r#"rocketmq_topic_queue_number{{{}perm="read"}}"#, self.matchers);
        let read = self.series("rocketmq_consumer_ready_messages", r#"is_retry="false","#);
        format!("sum(max by (node_id, topic) ({numbers}) and on (node_id, topic) {read})")
    }

    fn total(&self, metric: &str, further: &str) -> String {
        let series = self.series(metric, further);
        format!("sum(max by (node_id, topic) ({series}))")
    }

    fn series(&self, metric: &str, further: &str) -> String {
        let matchers = format!("{}{}{further}", self.matchers, self.group);
        format!("{metric}{{{}}}", matchers.trim_end_matches(','))
    }
}

fn is_label(name: &str) -> bool {
    let mut bytes = name.bytes();
    let starts = bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    starts && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// As PromQL writes a text.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// As a part of a regular expression that stands for itself.
fn literal(text: &str) -> String {
    let mut literal = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            literal.push('\\');
        }
        literal.push(c);
    }
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_promql_needs_it() {
        // The group, further labels, and the matchers.
        type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
        let cases: &[Row<'_>] = &[
            ("billing", &[], r#"consumer_group="billing",is_retry="false""#),
            (
                "billing",
                &[("cluster", "prod")],
                r#"cluster="prod",consumer_group="billing",is_retry="false""#,
            ),
            (
                "a\"b\\c",
                &[("x", "x\ny")],
                r#"x="x\ny",consumer_group="a\"b\\c",is_retry="false""#,
            ),
            (
                "%RETRY%a|b",
                &[],
                r#"consumer_group="%RETRY%a|b",is_retry="false""#,
            ),
            (
                "g\u{1}ü",
                &[("_x9", "}")],
                r#"_x9="}",consumer_group="g\u0001ü",is_retry="false""#,
            ),
        ];
        for (group, labels, wanted) in cases {
            let selection = Selection::new(group, labels).unwrap();
            let wanted =
                format!("sum(max by (node_id, topic) (rocketmq_consumer_ready_messages{{{wanted}}}))");
            assert_eq!(selection.ready(), wanted);
        }
    }

    #[test]
    fn each_query_selects_its_own_series() {
        let selection = Selection::new("billing", &[("cluster", "prod")]).unwrap();
        let group = r#"cluster="prod",consumer_group="billing""#;
        let rows = [
            (
                selection.inflight(),
                format!(
                    r#"sum(max by (node_id, topic) (rocketmq_consumer_inflight_messages{{{group},is_retry="false"}}))"#
                ),
            ),
            (
                selection.lag_age(),
                format!(r#"max(rocketmq_consumer_lag_latency_milliseconds{{{group},is_retry="false"}})"#),
            ),
            (
                selection.delivered(),
                format!(
                    r#"sum(max by (node_id, topic) (rocketmq_messages_out_total{{{group},is_retry="false"}}))"#
                ),
            ),
            (
                selection.dead_letters(),
                format!("sum(max by (node_id) (rocketmq_send_to_dlq_messages_total{{{group}}}))"),
            ),
            (
                selection.lag_by_queue(),
                format!(
                    "max by (node_id, topic, queue_id) (rocketmq_consumer_queue_lag_messages{{{group}}})"
                ),
            ),
            (
                selection.age(),
                format!(
                    r#"time() - min(max by (node_id, topic) (timestamp(rocketmq_consumer_ready_messages{{{group},is_retry="false"}})))"#
                ),
            ),
            (
                selection.queues(),
                format!(
                    r#"sum(max by (node_id, topic) (rocketmq_topic_queue_number{{cluster="prod",perm="read"}}) and on (node_id, topic) rocketmq_consumer_ready_messages{{{group},is_retry="false"}})"#
                ),
            ),
        ];
        for (query, wanted) in rows {
            assert_eq!(query, wanted);
        }
    }

    #[test]
    fn series_without_a_namespace_are_any_namespaces() {
        let selection = Selection::new("billing", &[("cluster", "prod")]).unwrap();
        let in_shop = selection.clone().of_namespace("shop");
        assert_eq!(
            in_shop.dead_letters(),
            r#"sum(max by (node_id) (rocketmq_send_to_dlq_messages_total{cluster="prod",namespace=~"|shop",consumer_group="billing"}))"#
        );
        let dotted = selection.of_namespace("a.b|c").dead_letters();
        assert!(dotted.contains(r#"namespace=~"|a\\.b\\|c""#), "{dotted}");
    }

    #[test]
    fn names_that_cannot_be_selected_by_are_refused() {
        assert_eq!(Selection::new("", &[]), Err(SelectionInvalid::NoGroup));
        for name in ["", "9a", "a-b", "a b", "ü"] {
            let refused = Selection::new("g", &[(name, "x")]);
            assert_eq!(refused, Err(SelectionInvalid::Label(name.to_owned())));
        }
    }
}
