//! Who changed what, in the log.

use std::path::Path;

use serde_json::Value;
use sluice_proto::admin::*;
use sluice_tests::admin::{Admin, Authority, Tls};
use sluice_tests::process::{Broker, Setup};

/// A broker that lets in by token and by certificate, and callers with the second token and with a certificate.
async fn callers(folder: &Path) -> (Broker, Admin, Admin) {
    let (tokens, ca) = (folder.join("tokens"), folder.join("ca.pem"));
    let authority = Authority::new("the tests' authority").unwrap();
    std::fs::write(&tokens, "first-token-of-the-tests\nsecond-token-of-the-tests\n").unwrap();
    std::fs::write(&ca, &authority.certificate).unwrap();
    let broker = Setup::new()
        .flag("--admin-token-file", &tokens.display().to_string())
        .flag("--admin-client-ca", &ca.display().to_string())
        .environment("SLUICE_LOG_FORMAT", "json")
        .start()
        .unwrap();
    let by_token = Admin::with(&broker.admin_endpoint(), &Tls::On).unwrap();
    let by_token = by_token.token("second-token-of-the-tests").unwrap();
    let shown = Tls::Showing(authority.sign("operator").unwrap());
    let by_certificate = Admin::with(&broker.admin_endpoint(), &shown).unwrap();
    (broker, by_token, by_certificate)
}

/// The lines about calls: call, topic, reason, by whom.
fn told(log: &str) -> Vec<[Option<String>; 4]> {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let calls = lines.filter(|line| line.get("call").is_some());
    let field = |line: &Value, name| line.get(name).and_then(Value::as_str).map(str::to_owned);
    calls
        .map(|line| ["call", "topic", "reason", "by"].map(|name| field(&line, name)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_logged_with_who_made_them_and_what_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, by_token, by_certificate) = callers(folder.path()).await;
    let create = |name: &str| CreateTopicRequest {
        name: name.to_owned(),
        ..Default::default()
    };
    let (mut ours, mut theirs) = (by_token.topics(), by_certificate.topics());
    ours.create_topic(create("orders")).await.unwrap();
    theirs.create_topic(create("orders")).await.unwrap_err();
    theirs.create_topic(create("forged\nline")).await.unwrap_err();
    let group = CreateGroupRequest {
        name: "billing".to_owned(),
        ..Default::default()
    };
    by_certificate.groups().create_group(group).await.unwrap();
    ours.list_topics(ListTopicsRequest::default()).await.unwrap();

    let log = broker.log().unwrap();
    let told = told(&log);
    let expected = [
        ("CreateTopic", Some("orders"), None, "token 2 from 127.0.0.1:"),
        ("CreateTopic", Some("orders"), Some("TOPIC_EXISTS"), "CN=operator"),
        (
            "CreateTopic",
            Some("forged\\nline"),
            Some("TOPIC_NAME_INVALID"),
            "CN=operator",
        ),
        ("CreateGroup", None, None, "CN=operator"),
    ];
    assert_eq!(told.len(), expected.len(), "reading is no change: {log}");
    for ([call, topic, reason, by], expected) in told.iter().zip(expected) {
        let found = (call.as_deref().unwrap(), topic.as_deref(), reason.as_deref());
        assert_eq!(found, (expected.0, expected.1, expected.2));
        let by = by.as_deref().unwrap();
        assert!(by.contains(expected.3) && by.contains(" from 127.0.0.1:"), "{by}");
    }
    assert!(!log.contains("-of-the-tests"), "{log}");
}
