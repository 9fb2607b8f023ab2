//! Who is let in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sluice_proto::admin::{GetStatusRequest, GetThreadStacksRequest, ListTopicsRequest};
use sluice_tests::admin::{Admin, Authority, Tls, reason};
use sluice_tests::client::{Client, Session, producer_settings};
use sluice_tests::process::{Broker, Setup};
use sluice_tests::wait;
use tempfile::TempDir;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::stage::{SOON, refused};

const FIRST: &str = "first-token-of-the-tests";
const SECOND: &str = "second-token-of-the-tests";

/// Files that let callers in.
struct Keys {
    folder: TempDir,
    authority: Authority,
}

impl Keys {
    fn new() -> Self {
        let keys = Self {
            folder: tempfile::tempdir().unwrap(),
            authority: Authority::new("the tests' authority").unwrap(),
        };
        keys.write(FIRST);
        std::fs::write(keys.ca(), &keys.authority.certificate).unwrap();
        keys
    }

    fn write(&self, tokens: &str) {
        std::fs::write(self.tokens(), tokens).unwrap();
    }

    fn tokens(&self) -> PathBuf {
        self.folder.path().join("tokens")
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}

fn with(flags: &[(&str, &Path)]) -> Broker {
    let setup = flags.iter().fold(Setup::new(), |setup, (flag, path)| {
        setup.flag(flag, &path.display().to_string())
    });
    setup.start().unwrap()
}

fn admin(broker: &Broker, tls: &Tls, token: Option<&str>) -> Admin {
    let admin = Admin::with(&broker.admin_endpoint(), tls).unwrap();
    match token {
        Some(token) => admin.token(token).unwrap(),
        None => admin,
    }
}

async fn status(admin: &Admin) -> Result<(), Status> {
    let status = admin.broker().get_status(GetStatusRequest {}).await?;
    assert_eq!(status.into_inner().broker_name, "broker-a");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_loopback_interface_everyone_is_let_in_with_tls_or_without() {
    let broker = Setup::new().start().unwrap();
    for tls in [Tls::Off, Tls::On] {
        status(&admin(&broker, &tls, None)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_needs_one_of_the_tokens_and_no_log_shows_any() {
    let keys = Keys::new();
    keys.write(&format!("{FIRST}\n{SECOND}\n"));
    let tokens = keys.tokens();
    let broker = with(&[
        ("--admin-token-file", &tokens),
        (
            "--log",
            Path::new("trace,h2=trace,hyper=trace,hyper_util=trace,rustls=trace,tonic=trace,tower=trace"),
        ),
    ]);
    for tls in [Tls::Off, Tls::On] {
        for token in [FIRST, SECOND] {
            status(&admin(&broker, &tls, Some(token))).await.unwrap();
        }
        let list = |token| {
            let admin = admin(&broker, &tls, token);
            async move { admin.topics().list_topics(ListTopicsRequest::default()).await }
        };
        let hint = "--admin-token-file";
        refused(list(None).await, Code::Unauthenticated, "TOKEN_MISSING", hint);
        for wrong in ["first-token-of-the-test", "wrong-token-of-the-tests", ""] {
            refused(
                list(Some(wrong)).await,
                Code::Unauthenticated,
                "TOKEN_WRONG",
                hint,
            );
        }
    }
    let log = broker.log().unwrap();
    assert!(log.contains("admin calls were not let in"), "{log}");
    assert!(!log.contains("-of-the-test"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beyond_those_that_may_run_are_refused_and_health_is_not() {
    let broker = Setup::new().start().unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    // It answers no questions.
    let settings = producer_settings(&client, &["orders"]);
    let _session = Session::open(&client, settings).await.unwrap();
    let admin = admin(&broker, &Tls::Off, None);
    let ask = || {
        let (mut clients, client_id) = (admin.clients(), client.id().to_owned());
        let request = GetThreadStacksRequest {
            client_id,
            timeout_ms: 5000,
        };
        tokio::spawn(async move {
            // A burst of questions may fill the client's stream for a moment: those turned away are asked again.
            loop {
                let refusal = clients.get_thread_stacks(request.clone()).await.unwrap_err();
                if reason(&refusal) != "CLIENT_NOT_CONNECTED" {
                    return reason(&refusal);
                }
            }
        })
    };
    let asking: Vec<_> = (0..200).map(|_| ask()).collect();
    let mut health = HealthClient::new(admin.channel());
    health.check(HealthCheckRequest::default()).await.unwrap();
    let mut refusals = BTreeMap::<String, usize>::new();
    for asked in asking {
        *refusals.entry(asked.await.unwrap()).or_default() += 1;
    }
    assert_eq!(
        refusals.keys().collect::<Vec<_>>(),
        ["BUSY", "CLIENT_SILENT"],
        "{refusals:?}"
    );
    assert!(refusals["CLIENT_SILENT"] <= 128, "{refusals:?}");
    status(&admin).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_that_is_idle_longest_gives_way_to_a_new_one_and_none_with_a_call() {
    let broker = Setup::new().start().unwrap();
    let of_admin_port = |name: &str| {
        let samples = broker.metrics().unwrap().into_iter();
        let mut values = samples.filter(|sample| {
            let label = |name: &str| sample.labels.get(name).map(String::as_str);
            sample.name == name
                && label("listener") == Some("admin")
                && label("reason").is_none_or(|reason| reason == "displaced")
        });
        values.next().unwrap().value as usize
    };
    let limit = of_admin_port("sluice_connections_limit");
    let client = Client::new(&broker.endpoint()).unwrap();
    let settings = producer_settings(&client, &["orders"]);
    let mut session = Session::open(&client, settings).await.unwrap();
    // The oldest connection of all: a call runs on it, for the client does not answer.
    let oldest = admin(&broker, &Tls::Off, None);
    let asking = tokio::spawn({
        let (mut clients, client_id) = (oldest.clients(), client.id().to_owned());
        let request = GetThreadStacksRequest {
            client_id,
            timeout_ms: 10_000,
        };
        async move { clients.get_thread_stacks(request).await }
    });
    session.question().await.unwrap();
    // One that has said nothing at all.
    let _silent =
        std::net::TcpStream::connect(broker.admin_endpoint().trim_start_matches("http://")).unwrap();
    wait::until("the silent one is accepted", SOON, || {
        Ok((of_admin_port("sluice_connections") == 2).then_some(()))
    })
    .unwrap();

    let mut idle = Vec::new();
    for _ in 0..limit + 8 {
        let admin = admin(&broker, &Tls::Off, None);
        status(&admin).await.unwrap();
        idle.push(admin);
    }

    // Three at a time.
    let displaced = of_admin_port("sluice_connections_refused_total");
    assert!((10..=12).contains(&displaced), "{displaced}");
    assert!(of_admin_port("sluice_connections") <= limit);
    let asked = asking.await.unwrap().unwrap_err();
    assert_eq!(reason(&asked), "CLIENT_SILENT", "{asked:?}");
    status(&idle[0]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_exchanged_while_the_broker_runs() {
    let keys = Keys::new();
    let broker = with(&[("--admin-token-file", &keys.tokens())]);
    let (first, second) = (
        admin(&broker, &Tls::Off, Some(FIRST)),
        admin(&broker, &Tls::Off, Some(SECOND)),
    );
    assert_eq!(reason(&status(&second).await.unwrap_err()), "TOKEN_WRONG");

    keys.write(&format!("{FIRST}\n{SECOND}\n"));
    wait::until_async("the second token is taken", SOON, async || {
        Ok(status(&second).await.ok())
    })
    .await
    .unwrap();
    status(&first).await.unwrap();
    keys.write(SECOND);
    wait::until_async("the first token is taken no longer", SOON, async || {
        Ok(status(&first).await.err())
    })
    .await
    .unwrap();
    status(&second).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_ca_lets_its_certificates_in_and_no_plaintext() {
    let keys = Keys::new();
    let broker = with(&[("--admin-client-ca", &keys.ca())]);
    let ours = Tls::Showing(keys.authority.sign("operator").unwrap());
    status(&admin(&broker, &ours, None)).await.unwrap();

    let refusal = status(&admin(&broker, &Tls::On, None)).await.unwrap_err();
    assert_eq!(reason(&refusal), "CERTIFICATE_MISSING", "{refusal:?}");
    let refusal = status(&admin(&broker, &Tls::Off, Some(FIRST))).await.unwrap_err();
    assert_eq!(reason(&refusal), "TLS_REQUIRED", "{refusal:?}");
    let others = Authority::new("another authority").unwrap();
    let theirs = Tls::Showing(others.sign("operator").unwrap());
    let refusal = status(&admin(&broker, &theirs, None)).await.unwrap_err();
    assert_eq!(reason(&refusal), "", "the connection is refused: {refusal:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_both_a_token_or_a_certificate_is_enough() {
    let keys = Keys::new();
    let broker = with(&[
        ("--admin-token-file", &keys.tokens()),
        ("--admin-client-ca", &keys.ca()),
    ]);
    let ours = Tls::Showing(keys.authority.sign("operator").unwrap());
    for (tls, token) in [(&ours, None), (&Tls::On, Some(FIRST)), (&ours, Some(SECOND))] {
        status(&admin(&broker, tls, token)).await.unwrap();
    }
    for (tls, token, why) in [
        (Tls::On, None, "TOKEN_MISSING"),
        (Tls::On, Some(SECOND), "TOKEN_WRONG"),
        (Tls::Off, Some(FIRST), "TLS_REQUIRED"),
    ] {
        let refusal = status(&admin(&broker, &tls, token)).await.unwrap_err();
        assert_eq!(reason(&refusal), why, "{refusal:?}");
    }
}

#[test]
fn what_cannot_let_anyone_in_ends_the_start_and_is_named() {
    let keys = Keys::new();
    keys.write("short");
    std::fs::write(keys.ca(), "nothing").unwrap();
    let (tokens, ca) = (
        keys.tokens().display().to_string(),
        keys.ca().display().to_string(),
    );
    for (setup, code, reason) in [
        (
            Setup::new().instead("--admin-listen", "0.0.0.0:0"),
            2,
            "--admin-token-file or --admin-client-ca",
        ),
        (
            Setup::new().flag("--admin-token-file", "/no/such/tokens"),
            1,
            "/no/such/tokens: No such file",
        ),
        (
            Setup::new().flag("--admin-token-file", &tokens),
            1,
            "5 characters in line 1",
        ),
        (
            Setup::new().flag("--admin-client-ca", &ca),
            1,
            "holds no certificate in PEM",
        ),
    ] {
        let mut broker = setup.spawn().unwrap();
        let status = broker.wait_for_end().unwrap();
        let log = broker.log().unwrap();
        assert_eq!(status.code(), Some(code), "{log}");
        assert!(log.contains(reason), "the log should say {reason:?}: {log}");
        assert!(!log.contains("short"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn off_the_loopback_interface_a_token_is_asked_for() {
    let keys = Keys::new();
    let broker = Setup::new()
        .flag("--admin-token-file", &keys.tokens().display().to_string())
        .every_interface("--admin-listen")
        .start()
        .unwrap();
    status(&admin(&broker, &Tls::On, Some(FIRST))).await.unwrap();
    let refusal = status(&admin(&broker, &Tls::On, None)).await.unwrap_err();
    assert_eq!(reason(&refusal), "TOKEN_MISSING");
}
