//! Who is let in: by a certificate, by a token while it is one, and nobody else.

use std::time::Instant;

use sluice_tests::admin::{Authority, Certificate};
use sluice_tests::alertmanager::Alertmanager;
use sluice_tests::stage::SOON;
use sluice_tests::wait;

use crate::page;
use crate::stage::{AT_ONCE, Alerting, TOKEN, alert, notification};

const NEXT: &str = "the-next-token-of-the-alertmanager";
const FORGED: &str = "forged-token-0123456789";

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_token_is_turned_away_and_nothing_is_evaluated() {
    let (alerting, leader) = Alerting::with_backlog().await;
    let before = leader.operator.evaluations().unwrap();
    let secrets = tempfile::tempdir().unwrap();
    std::fs::write(secrets.path().join("token"), FORGED).unwrap();
    let alertmanager = Alertmanager::start(&page::with_token(leader.port, secrets.path())).unwrap();
    alertmanager.post(&alert()).unwrap();
    wait::until_true_async("the Alertmanager gives up", SOON, || {
        // It is told why.
        alertmanager.given_up().is_ok_and(|given_up| given_up >= 1.0) && alertmanager.log().contains("401")
    })
    .await
    .unwrap();
    assert!(leader.counted("sluice_operator_alert_requests_total", "Unauthorized") >= 1.0);
    assert_eq!(leader.counted("sluice_operator_alerts_total", "Mapped"), 0.0);
    let log = leader.operator.log();
    assert!(
        log.contains("the token is not one of the operator's") && !log.contains(FORGED),
        "{log}"
    );
    assert_eq!(
        (alerting.replicas().await, leader.operator.evaluations().unwrap()),
        (1, before)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_exchanged_while_the_operator_runs() {
    let (alerting, leader) = Alerting::with_backlog().await;
    let code = |token: &str, second: u32| leader.send(token, &notification(second, "firing")).0;
    assert_eq!((code(TOKEN, 1), code(NEXT, 1)), (200, 401));
    let file = alerting.secret("token");
    std::fs::write(&file, format!("{NEXT}\n{TOKEN}\n")).unwrap();
    wait::until_true_async("the new token is taken", SOON, || code(NEXT, 2) == 200)
        .await
        .unwrap();
    assert_eq!(code(TOKEN, 3), 200, "and the old one still is");
    std::fs::write(&file, "short").unwrap();
    wait::until_true_async("the broken file is told of", SOON, || {
        leader
            .operator
            .log()
            .contains("the changed tokens cannot be used")
    })
    .await
    .unwrap();
    assert_eq!((code(NEXT, 4), code(TOKEN, 4)), (200, 200));
    std::fs::write(&file, NEXT).unwrap();
    wait::until_true_async("the old token is not", SOON, || code(TOKEN, 5) == 401)
        .await
        .unwrap();
    assert_eq!(code(NEXT, 5), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_the_ca_has_signed_lets_in_and_none_and_a_strangers_do_not() {
    let alerting = Alerting::new().await;
    let (servers, clients) = (
        Authority::new("servers").unwrap(),
        Authority::new("clients").unwrap(),
    );
    let own = servers.sign_host("localhost").unwrap();
    let write = |name: &str, text: &str| {
        let path = alerting.secret(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let flags = [
        "--webhook-tls-cert".to_owned(),
        write("own.crt", &own.certificate),
        "--webhook-tls-key".to_owned(),
        write("own.key", &own.key),
        "--webhook-client-ca".to_owned(),
        write("clients.crt", &clients.certificate),
    ];
    let leader = alerting.leader(&flags).await;
    alerting.make_backlog(&leader.operator).await;
    let before = leader.operator.evaluations().unwrap();

    write("ca.crt", &servers.certificate);
    let show = |shown: &Certificate| {
        write("tls.crt", &shown.certificate);
        write("tls.key", &shown.key);
    };
    let secrets = alerting.secret("ca.crt").parent().unwrap().to_owned();
    let configuration = page::with_certificate(leader.port, &secrets);
    let without: Vec<_> = configuration
        .lines()
        .filter(|line| !line.contains("cert_file") && !line.contains("key_file"))
        .collect();
    assert_eq!(without.len() + 2, configuration.lines().count());
    let nameless = Alertmanager::start(&without.join("\n")).unwrap();
    nameless.post(&alert()).unwrap();
    leader.until_outcome("Unauthorized").await;
    show(&Authority::new("strangers").unwrap().sign("alertmanager").unwrap());
    let stranger = Alertmanager::start(&configuration).unwrap();
    stranger.post(&alert()).unwrap();
    leader.until_outcome("HandshakeFailed").await;
    assert_eq!(
        (alerting.replicas().await, leader.operator.evaluations().unwrap()),
        (1, before)
    );
    drop((nameless, stranger));

    show(&clients.sign("alertmanager").unwrap());
    let known = Alertmanager::start(&configuration).unwrap();
    let sent = Instant::now();
    known.post(&alert()).unwrap();
    let took = alerting.until_scaled(sent).await;
    assert!(took < AT_ONCE, "{took:?}");
}
