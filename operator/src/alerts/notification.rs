//! What an Alertmanager sends: version 4 of its webhook's format, as far as it matters here.

use k8s_openapi::jiff::Timestamp;
use ring::digest::{Context, SHA256};
use serde::Deserialize;
use serde_json::Value;

const VERSION: &str = "4";

/// What tells a state of an alert from every other one.
pub type Mark = [u8; 32];

/// One notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// By what the Alertmanager has grouped the alerts, and for whom.
    pub group_key: String,
    /// The alerts: those that fire and, for a while, those that do not any more.
    pub alerts: Vec<Alert>,
}

/// One of its alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Whether it fires, or has ended.
    pub status: Status,
    /// What it is about.
    pub labels: Labels,
    /// A hash of all of its labels.
    pub fingerprint: String,
    /// Since when it fires or has fired.
    pub starts_at: Timestamp,
}

/// How an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It fires.
    Firing,
    /// It has ended.
    Resolved,
}

/// The labels that name a consumer group. A label that is empty is not there, as Prometheus has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Labels {
    /// The group's name on the brokers.
    pub consumer_group: Option<String>,
    /// The BrokerCluster's name.
    pub cluster: Option<String>,
    /// The namespace of both.
    pub namespace: Option<String>,
}

#[derive(Deserialize)]
struct Versioned {
    version: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    group_key: String,
    alerts: Vec<AlertBody>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlertBody {
    status: Status,
    labels: Labels,
    fingerprint: String,
    starts_at: String,
}

impl Notification {
    /// Reads a body.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let versioned: Versioned =
            serde_json::from_slice(body).map_err(|error| format!("the body is no JSON object: {error}"))?;
        match versioned.version {
            Some(Value::String(version)) if version == VERSION => {}
            Some(version) => {
                return Err(format!(
                    "the notification's version is {version}, and only \"{VERSION}\" is understood"
                ));
            }
            None => {
                return Err(format!(
                    "the body has no 'version': it is no notification of an Alertmanager, which has version \"{VERSION}\""
                ));
            }
        }
        let body: Body = serde_json::from_slice(body)
            .map_err(|error| format!("the body is no notification of version {VERSION}: {error}"))?;
        if body.group_key.is_empty() {
            return Err("the notification's 'groupKey' is empty".to_owned());
        }
        let numbered = body.alerts.into_iter().enumerate();
        let alerts = numbered.map(|(index, alert)| {
            Alert::read(alert).map_err(|wrong| format!("alert {} of the notification: {wrong}", index + 1))
        });
        Ok(Self {
            group_key: body.group_key,
            alerts: alerts.collect::<Result<_, _>>()?,
        })
    }

    /// The mark of one of its alerts as it stands: the same in every repetition, and another one when it has ended, or fires
    /// anew.
    pub fn mark(&self, alert: &Alert) -> Mark {
        self.mark_of_all(&[alert])
    }

    /// One mark for several of them, in this order.
    pub fn mark_of_all(&self, alerts: &[&Alert]) -> Mark {
        let mut digest = Context::new(&SHA256);
        let mut part = |bytes: &[u8]| {
            // With its length before it, so that no two lists of parts are the same bytes.
            digest.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(bytes);
        };
        part(self.group_key.as_bytes());
        for alert in alerts {
            part(alert.fingerprint.as_bytes());
            part(&[u8::from(alert.status == Status::Firing)]);
            part(&alert.starts_at.as_nanosecond().to_be_bytes());
        }
        let mut mark = Mark::default();
        mark.copy_from_slice(digest.finish().as_ref());
        mark
    }
}

impl Alert {
    fn read(alert: AlertBody) -> Result<Self, String> {
        if alert.fingerprint.is_empty() {
            return Err("its 'fingerprint' is empty".to_owned());
        }
        let starts_at = alert.starts_at.parse();
        let starts_at = starts_at.map_err(|error| {
            format!(
                "its 'startsAt' {:?} is no time in RFC 3339: {error}",
                alert.starts_at
            )
        })?;
        let there = |label: Option<String>| label.filter(|value| !value.is_empty());
        Ok(Self {
            status: alert.status,
            labels: Labels {
                consumer_group: there(alert.labels.consumer_group),
                cluster: there(alert.labels.cluster),
                namespace: there(alert.labels.namespace),
            },
            fingerprint: alert.fingerprint,
            starts_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// As Alertmanager 0.25 sends it.
    const SENT: &str = r#"{"receiver":"sluice","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"SluiceQueueLag",
        "cluster":"main","consumer_group":"billing","severity":"warning","topic":"orders"},"annotations":{"summary":"x"},
        "startsAt":"2026-01-02T03:04:05.678Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"abd26d6f87ea6c50"}],
        "groupLabels":{"consumer_group":"billing"},"commonLabels":{},"commonAnnotations":{},"externalURL":"http://alerts:9093",
        "version":"4","groupKey":"{}/{consumer_group!=\"\"}:{consumer_group=\"billing\"}","truncatedAlerts":0}"#;

    fn alert() -> Value {
        json!({
            "status": "firing",
            "labels": {"consumer_group": "billing"},
            "startsAt": "2026-01-02T03:04:05Z",
            "fingerprint": "f",
        })
    }

    fn read(alerts: &Value) -> Result<Notification, String> {
        Notification::read(
            json!({"version": "4", "groupKey": "k", "alerts": alerts})
                .to_string()
                .as_bytes(),
        )
    }

    #[test]
    fn what_an_alertmanager_sends_is_read() {
        let notification = Notification::read(SENT.as_bytes()).unwrap();
        assert!(notification.group_key.ends_with(r#":{consumer_group="billing"}"#));
        let [alert] = &notification.alerts[..] else {
            panic!("{notification:?}")
        };
        assert_eq!(alert.status, Status::Firing);
        assert_eq!(alert.fingerprint, "abd26d6f87ea6c50");
        assert_eq!(alert.starts_at.as_millisecond(), 1_767_323_045_678);
        assert_eq!(alert.labels.consumer_group.as_deref(), Some("billing"));
        assert_eq!(alert.labels.cluster.as_deref(), Some("main"));
        assert_eq!(alert.labels.namespace, None);
        assert_eq!(read(&json!([])).unwrap().alerts, []);
    }

    #[test]
    fn what_is_no_notification_is_refused_with_what_is_wrong() {
        let with = |field: &str, value: Value| {
            let mut alert = alert();
            alert[field] = value;
            json!({"version": "4", "groupKey": "k", "alerts": [self::alert(), alert]}).to_string()
        };
        let whole = |version: Value| json!({"version": version, "groupKey": "k", "alerts": []}).to_string();
        for (body, wrong) in [
            (String::new(), "no JSON object: EOF"),
            ("alert=1".to_owned(), "no JSON object"),
            ("[]".to_owned(), "no JSON object"),
            ("\"4\"".to_owned(), "no JSON object"),
            ("{\"version\": \"4\"".to_owned(), "no JSON object: EOF"),
            (
                format!("{}{}", "[".repeat(1_000), "]".repeat(1_000)),
                "no JSON object",
            ),
            ("{}".to_owned(), "has no 'version'"),
            (whole(json!("3")), "version is \"3\""),
            (whole(json!(4)), "version is 4, and only \"4\""),
            (
                json!({"version": "4", "alerts": []}).to_string(),
                "missing field `groupKey`",
            ),
            (
                json!({"version": "4", "groupKey": "k"}).to_string(),
                "missing field `alerts`",
            ),
            (
                json!({"version": "4", "groupKey": "", "alerts": []}).to_string(),
                "'groupKey' is empty",
            ),
            (
                json!({"version": "4", "groupKey": "k", "alerts": {}}).to_string(),
                "expected a sequence",
            ),
            (
                with("status", json!("suppressed")),
                "unknown variant `suppressed`",
            ),
            (with("status", json!(null)), "no notification of version 4"),
            (
                with("labels", json!([1, 2, 3, 4])),
                "no notification of version 4",
            ),
            (with("labels", json!({"consumer_group": 7})), "expected a string"),
            (
                with("fingerprint", json!("")),
                "alert 2 of the notification: its 'fingerprint' is empty",
            ),
            (
                with("startsAt", json!("yesterday")),
                "'startsAt' \"yesterday\" is no time",
            ),
            (with("startsAt", json!(5)), "expected a string"),
        ] {
            let refusal = Notification::read(body.as_bytes()).unwrap_err();
            assert!(refusal.contains(wrong), "{body:.80}: {refusal}");
            assert!(refusal.len() < 400, "{refusal}");
        }
        assert!(
            Notification::read(b"{\"version\": \"\xff\"}")
                .unwrap_err()
                .contains("no JSON object")
        );
    }

    #[test]
    fn an_empty_label_is_none() {
        let labels = json!({"consumer_group": "", "cluster": "", "namespace": "shop", "other": "x"});
        let mut alert = alert();
        alert["labels"] = labels;
        let labels = read(&json!([alert])).unwrap().alerts.remove(0).labels;
        assert_eq!((labels.consumer_group, labels.cluster), (None, None));
        assert_eq!(labels.namespace.as_deref(), Some("shop"));
    }

    #[test]
    fn a_mark_is_the_same_in_a_repetition_and_another_one_otherwise() {
        let first = read(&json!([alert()])).unwrap();
        let mark = first.mark(&first.alerts[0]);
        let mut later = alert();
        later["startsAt"] = json!("2026-01-02T03:04:05.000000001Z");
        let mut ended = alert();
        ended["status"] = json!("resolved");
        let mut other = alert();
        other["fingerprint"] = json!("g");
        let mut same = alert();
        same["startsAt"] = json!("2026-01-02T04:04:05+01:00");
        same["annotations"] = json!({"value": "7"});
        for (changed, is_same) in [(later, false), (ended, false), (other, false), (same, true)] {
            let changed = read(&json!([changed])).unwrap();
            assert_eq!(changed.mark(&changed.alerts[0]) == mark, is_same, "{changed:?}");
        }
        let elsewhere = Notification {
            group_key: "l".to_owned(),
            ..first.clone()
        };
        assert_ne!(elsewhere.mark(&first.alerts[0]), mark, "in another group");
        let twice = [&first.alerts[0], &first.alerts[0]];
        assert_ne!(first.mark_of_all(&twice), mark);
    }
}
