//! What is no notification, and operators that anybody could call.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;

use sluice_tests::{binaries, http};

use crate::stage::{Alerting, TOKEN, notification};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_notification_is_answered_with_what_is_wrong_and_starts_nothing() {
    let (alerting, leader) = Alerting::with_backlog().await;
    let before = leader.operator.evaluations().unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let right = [("Authorization", &*bearer)];
    let sent = notification(1, "firing").to_string();
    let long = " ".repeat((1 << 20) + 1);
    let (later, cut) = (sent.replace("\"4\"", "\"5\""), &sent[..sent.len() / 2]);
    let timeless = sent.replace("2026-01-02T03:04:01Z", "soon");
    let numbered = sent.replace("\"abd26d6f87ea6c50\"", "7");
    for (method, path, body, code, says) in [
        ("POST", "/v4/alerts", "", 400, "no JSON object"),
        ("POST", "/v4/alerts", "alerts=all", 400, "no JSON object"),
        ("POST", "/v4/alerts", "[]", 400, "no JSON object"),
        ("POST", "/v4/alerts", "{}", 400, "no 'version'"),
        ("POST", "/v4/alerts", cut, 400, "no JSON object: EOF"),
        ("POST", "/v4/alerts", &later, 400, "version is \"5\""),
        (
            "POST",
            "/v4/alerts",
            &timeless,
            400,
            "alert 1 of the notification",
        ),
        ("POST", "/v4/alerts", &numbered, 400, "expected a string"),
        ("POST", "/v4/alerts", &long, 413, "max_alerts"),
        ("POST", "/", &sent, 404, "/v4/alerts"),
        ("GET", "/v4/alerts", "", 405, "only POST"),
        ("DELETE", "/v4/alerts", &sent, 405, "only POST"),
    ] {
        let answer = http::send(leader.port, method, path, &right, body.as_bytes()).unwrap();
        assert_eq!(answer.status, code, "{method} {path} {body:.40}: {}", answer.body);
        assert!(
            answer.body.contains(says),
            "{method} {path} {body:.40}: {}",
            answer.body
        );
    }
    // Another one is let in while these say nothing, or not what they began to say.
    let mut idle: Vec<_> = (0..40)
        .map(|_| TcpStream::connect(("127.0.0.1", leader.port)).unwrap())
        .collect();
    for stream in idle.iter_mut().skip(20) {
        // Those whose place was taken are closed.
        let _ = stream.write_all(b"POST /v4/alerts HTTP/1.1\r\ncontent-length: 9\r\n");
    }
    assert_eq!(
        (alerting.replicas().await, leader.operator.evaluations().unwrap()),
        (1, before)
    );
    let (code, text) = leader.send(TOKEN, &notification(1, "firing"));
    assert_eq!(code, 200, "{text}");
    alerting.until_scaled(std::time::Instant::now()).await;
}

#[test]
fn an_operator_that_anybody_could_call_or_whose_files_cannot_be_used_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (short, empty) = (file("short", "secret"), file("empty", ""));
    for (flags, code, says) in [
        (
            &["--webhook-listen", "0.0.0.0:0"][..],
            2,
            "give --webhook-token-file, or --webhook-client-ca",
        ),
        (&["--webhook-token-file", &short], 2, "--webhook-listen"),
        (
            &["--webhook-listen", "127.0.0.1:0", "--webhook-client-ca", &empty],
            2,
            "--webhook-tls-cert",
        ),
        (
            &[
                "--webhook-listen",
                "127.0.0.1:0",
                "--webhook-token-file",
                "/no/such",
            ],
            1,
            "cannot read the tokens in /no/such",
        ),
        (
            &["--webhook-listen", "127.0.0.1:0", "--webhook-token-file", &short],
            1,
            "6 characters in line 1",
        ),
        (
            &[
                "--webhook-listen",
                "127.0.0.1:0",
                "--webhook-tls-cert",
                &empty,
                "--webhook-tls-key",
                &empty,
            ],
            1,
            "holds no certificate in PEM",
        ),
    ] {
        let ended = Command::new(binaries::operator().unwrap())
            .args(["run", "--listen", "127.0.0.1:0"])
            .args(flags)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{flags:?}: {said}");
        assert!(
            said.contains(says) && !said.contains("secret"),
            "{flags:?}: {said}"
        );
    }
}
