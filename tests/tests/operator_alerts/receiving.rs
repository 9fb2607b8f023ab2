//! Alerts that are let in: what they start, and how often.

use std::time::Instant;

use kube::ResourceExt as _;
use sluice_operator_api::ConsumerGroup;
use sluice_tests::alertmanager::Alertmanager;
use sluice_tests::stage::SOON;
use sluice_tests::wait;

use crate::page;
use crate::stage::{AT_ONCE, Alerting, GROUP, TOKEN, alert, notification};

const EVALUATIONS: &str = "sluice_operator_alert_evaluations_total";
const ALERTS: &str = "sluice_operator_alerts_total";

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_through_an_alertmanager_scales_within_a_second_and_from_another_one_starts_nothing() {
    let (alerting, leader) = Alerting::with_backlog().await;
    let configuration = page::with_token(leader.port, alerting.secret("token").parent().unwrap());
    let (one, other) = (
        Alertmanager::start(&configuration).unwrap(),
        Alertmanager::start(&configuration).unwrap(),
    );
    assert_eq!(alerting.replicas().await, 1, "nobody has looked");
    let before = leader.operator.evaluations().unwrap();
    let sent = Instant::now();
    one.post(&alert()).unwrap();
    let took = alerting.until_scaled(sent).await;
    assert!(took < AT_ONCE, "{took:?}");
    assert_eq!(leader.operator.evaluations().unwrap() - before, 1.0);
    assert_eq!(leader.counted(EVALUATIONS, "Direct"), 1.0);

    other.post(&alert()).unwrap();
    let repeated = || leader.counted(ALERTS, "Repeated") >= 1.0;
    wait::until_true_async("the other one has sent it too", SOON, repeated)
        .await
        .unwrap();
    let after = alerting.evaluations_after_all(&leader.operator).await;
    assert_eq!(after - before, 2.0, "by the first alert and by the annotation");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_alert_starts_one_evaluation_and_its_end_and_its_return_start_others() {
    let (alerting, leader) = Alerting::with_backlog().await;
    for (second, status, says, started) in [
        (1, "firing", "evaluations started: 1;", 1.0),
        (1, "firing", "1 repeated", 1.0),
        (1, "firing", "1 repeated", 1.0),
        (1, "resolved", "evaluations started: 1;", 2.0),
        (1, "resolved", "1 repeated", 2.0),
        (2, "firing", "evaluations started: 1;", 3.0),
        (1, "firing", "1 repeated", 3.0),
    ] {
        let before = leader.operator.evaluations().unwrap();
        let (code, text) = leader.send(TOKEN, &notification(second, status));
        assert_eq!(code, 200, "{text}");
        assert!(text.contains(says), "{second} {status}: {text}");
        assert_eq!(
            leader.counted(EVALUATIONS, "Direct"),
            started,
            "{second} {status}"
        );
        alerting.until_scaled(Instant::now()).await;
        assert!(leader.operator.evaluations().unwrap() <= before + 1.0);
    }
    let mut unknown = notification(3, "firing");
    unknown["alerts"][0]["labels"]["consumer_group"] = "nobody".into();
    let (code, text) = leader.send(TOKEN, &unknown);
    assert!(code == 200 && text.contains("1 new about none"), "{code} {text}");
    assert_eq!(leader.counted(ALERTS, "Unmapped"), 1.0);
    assert_eq!(leader.counted(EVALUATIONS, "Direct"), 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_stand_by_pass_alerts_on_and_the_same_one_is_no_change() {
    let (alerting, leader) = Alerting::with_backlog().await;
    let standbys = [(); 2].map(|()| alerting.operator(&alerting.token_flags()));
    for standby in &standbys {
        assert_eq!(standby.operator.readiness().unwrap(), "standby");
    }
    let [one, other] = standbys;
    let before = leader.operator.evaluations().unwrap();
    let secrets = alerting.secret("token");
    let alertmanager = Alertmanager::start(&page::with_token(one.port, secrets.parent().unwrap())).unwrap();
    let sent = Instant::now();
    alertmanager.post(&alert()).unwrap();
    let took = alerting.until_scaled(sent).await;
    assert!(took < AT_ONCE, "{took:?}");
    // Counted once it is answered, and the workload has the number before.
    wait::until_true_async("it is counted", SOON, || {
        one.counted(EVALUATIONS, "Annotation") == 1.0
    })
    .await
    .unwrap();
    let group = alerting.stage.api::<ConsumerGroup>().get(GROUP).await.unwrap();
    let value = &group.annotations()["sluice.dev/force-sync"];
    assert!(value.starts_with("alert-"), "{value}");

    let same = notification(1, "firing");
    assert_eq!(one.send(TOKEN, &same).0, 200);
    let by_one = alerting.stage.api::<ConsumerGroup>().get(GROUP).await.unwrap();
    assert_ne!(
        by_one.annotations()["sluice.dev/force-sync"],
        *value,
        "another notification"
    );
    assert_eq!(other.send(TOKEN, &same).0, 200);
    assert_eq!(other.counted(EVALUATIONS, "Annotation"), 1.0);
    let by_other = alerting.stage.api::<ConsumerGroup>().get(GROUP).await.unwrap();
    assert_eq!(by_other.annotations(), by_one.annotations());
    let after = alerting.evaluations_after_all(&leader.operator).await;
    assert!(
        (after - before) <= 3.0,
        "by two notifications and by a person: {}",
        after - before
    );
    assert_eq!(leader.counted("sluice_operator_alert_requests_total", "Ok"), 0.0);
}
