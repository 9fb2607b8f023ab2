//! Clients: what they are, hold and do.

use crate::admin::status::Wrong;
use crate::clients::{ClientView, HeldView, Role};
use crate::service::convert::host;
use sluice_proto::admin::{self, ClientRole};

/// A client as the API has it.
pub fn client(view: &ClientView) -> admin::Client {
    let role = match view.role {
        None => ClientRole::Unspecified,
        Some(Role::Producer) => ClientRole::Producer,
        Some(Role::Consumer) => ClientRole::Consumer,
    };
    let member = member(view);
    admin::Client {
        client_id: member.client_id,
        role: role.into(),
        group: view.group.clone().unwrap_or_default(),
        topics: view.topics.clone(),
        language: member.language,
        version: member.version,
        address: member.address,
        connected: member.connected,
        idle_ms: member.idle_ms,
        subscriptions: member.subscriptions,
        held: member.held,
        figures: member.figures,
    }
}

/// A group's client as the API has it.
pub fn member(view: &ClientView) -> admin::Member {
    let subscriptions = view.subscriptions.iter();
    admin::Member {
        client_id: view.id.to_string(),
        language: view.language.to_owned(),
        version: view.version.clone(),
        address: view.address.map(host).unwrap_or_default(),
        connected: view.connected,
        idle_ms: view.idle.as_millis() as u64,
        subscriptions: subscriptions
            .map(|(topic, expression)| admin::StaticSubscription {
                topic: topic.clone(),
                expression: expression.clone(),
            })
            .collect(),
        held: view.held.iter().map(held).collect(),
        figures: Some(figures(view)),
    }
}

/// Which role is asked for; `None` for any.
pub fn role(role: i32) -> Result<Option<Role>, Wrong> {
    match ClientRole::try_from(role) {
        Ok(ClientRole::Unspecified) => Ok(None),
        Ok(ClientRole::Producer) => Ok(Some(Role::Producer)),
        Ok(ClientRole::Consumer) => Ok(Some(Role::Consumer)),
        Err(_) => Err(Wrong::Request(format!(
            "there is no client role {role}: give CLIENT_ROLE_PRODUCER, CLIENT_ROLE_CONSUMER, or none"
        ))),
    }
}

fn held(held: &HeldView) -> admin::Held {
    admin::Held {
        topic: held.topic.clone(),
        queue: held.queue,
        messages: held.messages,
        oldest_ms: held.oldest_ms,
    }
}

fn figures(view: &ClientView) -> admin::ClientFigures {
    let shown = &view.figures;
    admin::ClientFigures {
        delivered: shown.delivered,
        acknowledged: shown.acknowledged,
        refused: shown.refused,
        delivered_per_second: shown.delivered_per_second,
        acknowledged_per_second: shown.acknowledged_per_second,
        handling_ms_mean: shown.handling_ms_mean,
        handling_ms_max: shown.handling_ms_max,
        inflight: view.inflight(),
        oldest_inflight_ms: view.oldest_inflight_ms(),
        sent: shown.sent,
        sent_per_second: shown.sent_per_second,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn view() -> ClientView {
        ClientView {
            id: "c-1".into(),
            role: Some(Role::Consumer),
            group: Some("billing".to_owned()),
            subscriptions: vec![("orders".to_owned(), "a || b".to_owned())],
            language: "JAVA",
            version: "5.2.1".to_owned(),
            address: Some("[::ffff:10.0.0.1]:4000".parse().unwrap()),
            connected: true,
            idle: Duration::from_millis(1500),
            held: vec![
                HeldView {
                    topic: "orders".to_owned(),
                    queue: 1,
                    messages: 2,
                    oldest_ms: 700,
                },
                HeldView {
                    topic: "orders".to_owned(),
                    queue: 2,
                    messages: 3,
                    oldest_ms: 900,
                },
            ],
            ..ClientView::default()
        }
    }

    #[test]
    fn a_client_is_told_with_what_it_holds_in_all() {
        let told = client(&view());
        assert_eq!(
            (told.client_id.as_str(), told.role()),
            ("c-1", ClientRole::Consumer)
        );
        assert_eq!(
            (told.group.as_str(), told.address.as_str()),
            ("billing", "10.0.0.1:4000")
        );
        assert_eq!((told.idle_ms, told.connected), (1500, true));
        let figures = told.figures.unwrap();
        assert_eq!((figures.inflight, figures.oldest_inflight_ms), (5, 900));
        assert_eq!(figures.handling_ms_mean, None);
        assert_eq!(told.held.len(), 2);
        assert_eq!(told.subscriptions[0].expression, "a || b");
    }

    #[test]
    fn who_has_said_nothing_has_no_role_and_no_address() {
        let told = client(&ClientView::default());
        assert_eq!(
            (told.role(), told.group.as_str(), told.address.as_str()),
            (ClientRole::Unspecified, "", "")
        );
    }

    #[test]
    fn a_role_that_there_is_not_is_refused() {
        assert_eq!(role(0), Ok(None));
        assert_eq!(role(2), Ok(Some(Role::Consumer)));
        assert!(role(9).unwrap_err().to_string().contains("client role 9"));
    }
}
