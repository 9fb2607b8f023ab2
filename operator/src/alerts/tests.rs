//! Requests from end to end, on an API server that keeps ConsumerGroups and can fail.

use super::listing::Listing;
use super::notification::Notification;
use super::receiver::{Receiver, Taken, Unavailable};
use super::request::{BODY_BYTES_MAX, PATH, answer};
use super::seen::Seen;
use crate::clock::Clock;
use crate::evaluation::Pushes;
use crate::leadership::Leadership;
use crate::metrics::Metrics;
use crate::settings::Scope;
use crate::shutdown::Shutdown;
use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Body as _, Bytes, Frame};
use hyper::{Request, Response};
use kube::Client;
use kube::client::Body;
use kube::runtime::{reflector, watcher};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sluice_access::tokens::Tokens;
use sluice_access::{Door, Shown};
use sluice_operator_api::ConsumerGroup;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

const TOKEN: &str = "right-token-0123456789";

/// What the API server has, and was asked.
#[derive(Default)]
struct State {
    groups: Vec<Value>,
    asked: Vec<String>,
    /// Answers everything with this code.
    failing: Option<u16>,
}

struct Case {
    receiver: Receiver,
    state: Arc<Mutex<State>>,
    door: Door,
}

fn group(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ConsumerGroup",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "clusterRef": {"name": "main"},
            "autoscaling": {"scaleTargetRef": {"name": "worker"}, "maxReplicas": 8},
        },
    })
}

fn alert(group: &str, fingerprint: &str) -> Value {
    json!({
        "status": "firing",
        "labels": {"consumer_group": group, "cluster": "main"},
        "startsAt": "2026-01-02T03:04:05Z",
        "fingerprint": fingerprint,
    })
}

fn body(alerts: &Value) -> String {
    json!({"version": "4", "groupKey": "k", "alerts": alerts}).to_string()
}

/// One page of groups each, so that lists are read to their end.
fn serve(state: &Mutex<State>, request: &Request<Body>) -> (u16, Value) {
    let (method, uri) = (request.method().as_str(), request.uri());
    let mut state = state.lock();
    let selector = uri
        .query()
        .and_then(|query| query.split_once("fieldSelector="))
        .map(|(_, rest)| rest);
    let selector = selector.map(|rest| rest.split('&').next().unwrap_or_default());
    let selector = selector
        .map(|selector| format!(" of {selector}"))
        .unwrap_or_default();
    state.asked.push(format!("{method} {}{selector}", uri.path()));
    if let Some(code) = state.failing {
        return (
            code,
            json!({"kind": "Status", "status": "Failure", "message": "no", "reason": "X", "code": code}),
        );
    }
    let parts: Vec<_> = uri.path().trim_matches('/').split('/').collect();
    let of_namespace = parts
        .iter()
        .position(|part| *part == "namespaces")
        .map(|at| parts[at + 1]);
    if method == "GET" {
        let within = |group: &&Value| of_namespace.is_none_or(|name| group["metadata"]["namespace"] == name);
        let groups: Vec<_> = state.groups.iter().filter(within).collect();
        let query = uri.query().unwrap_or_default();
        let at = query
            .split("continue=")
            .nth(1)
            .map_or(0, |token| token.parse().unwrap());
        let more = (at + 1 < groups.len()).then(|| (at + 1).to_string());
        let items: Vec<_> = groups.into_iter().skip(at).take(1).collect();
        return (200, json!({"metadata": {"continue": more}, "items": items}));
    }
    (
        200,
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"name": parts.last()}}),
    )
}

impl Case {
    fn new(groups: Vec<Value>, scopes: Vec<Scope>) -> Self {
        let state = Arc::new(Mutex::new(State {
            groups,
            ..State::default()
        }));
        let served = Arc::clone(&state);
        let service = tower::service_fn(move |request: Request<Body>| {
            let (code, answer) = serve(&served, &request);
            let response = Response::builder()
                .status(code)
                .body(Full::new(Bytes::from(answer.to_string())));
            std::future::ready(Ok::<_, Infallible>(response.unwrap()))
        });
        let clock = Clock::start();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, TOKEN).unwrap();
        Self {
            receiver: Receiver {
                client: Client::new(service, "default"),
                pushes: Pushes::new(scopes.len()),
                listing: Listing::of(scopes),
                leadership: Arc::new(Leadership::new(clock)),
                shutdown: Shutdown::default(),
                clock,
                metrics: Arc::new(Metrics::new().unwrap()),
                seen: Seen::default(),
            },
            state,
            door: Door {
                tokens: Some(Tokens::open(&file, "the test").unwrap().current()),
                client_ca: false,
            },
        }
    }

    /// What was asked since it was asked last.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().asked)
    }

    async fn take(&self, alerts: &Value) -> Result<Taken, Unavailable> {
        let notification = Notification::read(body(alerts).as_bytes()).unwrap();
        self.receiver.take(&notification).await
    }

    /// Status and text of the answer to a request with these headers.
    async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> (u16, String) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let (answer, _) = answer(request, Shown::default(), &self.door, &self.receiver).await;
        let status = answer.status().as_u16();
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(text.to_vec()).unwrap())
    }

    fn counted(&self, name: &str, label: &str) -> u64 {
        let alerts = &self.receiver.metrics.alerts;
        let counters = match name {
            "requests" => &alerts.requests,
            "alerts" => &alerts.alerts,
            _ => &alerts.evaluations,
        };
        counters.with_label_values(&[label]).get()
    }

    /// It leads, and its controllers know these groups.
    fn lead(
        &self,
        groups: &[Value],
    ) -> impl futures::Stream<Item = reflector::ObjectRef<ConsumerGroup>> + use<> {
        self.receiver.leadership.extend(Duration::from_secs(3_600));
        let (store, mut writer) = reflector::store();
        writer.apply_watcher_event(&watcher::Event::Init);
        for group in groups {
            let group = serde_json::from_value(group.clone()).unwrap();
            writer.apply_watcher_event(&watcher::Event::InitApply(group));
        }
        writer.apply_watcher_event(&watcher::Event::InitDone);
        self.receiver.pushes.asked(store)
    }
}

fn taken(mapped: usize, unmapped: usize, repeated: usize, evaluations: usize) -> Taken {
    Taken {
        mapped,
        unmapped,
        repeated,
        evaluations,
    }
}

const PATCH_BILLING: &str = "PATCH /apis/sluice.dev/v1alpha1/namespaces/shop/consumergroups/billing";

#[tokio::test]
async fn the_replica_that_leads_evaluates_each_new_alert_once_and_asks_the_api_server_nothing() {
    let groups = vec![group("shop", "billing"), group("shop", "invoices")];
    let case = Case::new(groups.clone(), vec![Scope::All]);
    let mut asked = Box::pin(case.lead(&groups));
    let first = json!([alert("billing", "a"), alert("nobody", "b")]);
    assert_eq!(case.take(&first).await.unwrap(), taken(1, 1, 0, 1));
    assert_eq!(case.take(&first).await.unwrap(), taken(0, 0, 2, 0));
    let joined = json!([alert("billing", "a"), alert("invoices", "c")]);
    assert_eq!(case.take(&joined).await.unwrap(), taken(1, 0, 1, 1));
    let mut ended = alert("billing", "a");
    ended["status"] = json!("resolved");
    let twice = json!([ended, ended]);
    assert_eq!(case.take(&twice).await.unwrap(), taken(1, 0, 1, 1));
    for name in ["billing", "invoices", "billing"] {
        assert_eq!(asked.next().await.unwrap().name, name);
    }
    assert_eq!(case.asked(), [""; 0]);
    assert_eq!(case.counted("evaluations", "Direct"), 3);
    let counted = ["Mapped", "Unmapped", "Repeated"].map(|outcome| case.counted("alerts", outcome));
    assert_eq!(counted, [3, 1, 4]);
}

#[tokio::test]
async fn a_replica_that_stands_by_asks_through_an_annotation_that_comes_from_the_alerts() {
    let groups = vec![
        group("office", "billing"),
        group("shop", "billing"),
        group("shop", "invoices"),
    ];
    let case = Case::new(
        groups.clone(),
        vec![Scope::Namespace("shop".into()), Scope::Namespace("attic".into())],
    );
    let alerts = json!([alert("billing", "a")]);
    assert_eq!(case.take(&alerts).await.unwrap(), taken(1, 0, 0, 1));
    let list = |namespace: &str| {
        format!(
            "GET /apis/sluice.dev/v1alpha1/namespaces/{namespace}/consumergroups of spec.clusterRef.name%3Dmain"
        )
    };
    let expected = [
        list("shop"),
        list("shop"),
        list("attic"),
        PATCH_BILLING.to_owned(),
    ];
    assert_eq!(
        case.asked(),
        expected,
        "a page each, and not of namespaces that are not watched"
    );
    assert_eq!(case.take(&alerts).await.unwrap(), taken(0, 0, 1, 0));
    assert_eq!(case.take(&json!([{"status": "firing", "labels": {}, "startsAt": "2026-01-02T03:04:05Z", "fingerprint": "x"}])).await.unwrap(), taken(0, 1, 0, 0));
    assert_eq!(case.asked(), [""; 0]);
    assert_eq!(case.counted("evaluations", "Annotation"), 1);
}

#[tokio::test]
async fn a_leader_that_does_not_know_all_groups_yet_asks_as_one_that_stands_by() {
    let case = Case::new(vec![group("shop", "billing")], vec![Scope::All]);
    case.receiver.leadership.extend(Duration::from_secs(3_600));
    assert_eq!(
        case.take(&json!([alert("billing", "a")])).await.unwrap(),
        taken(1, 0, 0, 1)
    );
    assert!(case.asked().contains(&PATCH_BILLING.to_owned()));
}

#[tokio::test]
async fn what_cannot_be_done_is_to_be_sent_again_and_is_new_then() {
    let case = Case::new(vec![group("shop", "billing")], vec![Scope::All]);
    let alerts = json!([alert("billing", "a")]);
    for (code, named) in [(500, "list ConsumerGroups"), (403, "list ConsumerGroups")] {
        case.state.lock().failing = Some(code);
        let refusal = case.take(&alerts).await.unwrap_err().to_string();
        assert!(
            refusal.contains(named) && refusal.contains("send it again"),
            "{refusal}"
        );
    }
    case.state.lock().failing = None;
    assert_eq!(case.take(&alerts).await.unwrap(), taken(1, 0, 0, 1));
    case.receiver.shutdown.begin();
    let refusal = case.take(&alerts).await.unwrap_err();
    assert!(matches!(refusal, Unavailable::Stopping));
}

/// Sends requests with this header, and compares the answers and what is counted.
async fn compare(case: &Case, token: Option<&str>, rows: Vec<(&str, &str, String, u16, &str, &str)>) {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", &**bearer)).collect();
    for (method, path, body, status, says, outcome) in rows {
        let before = case.counted("requests", outcome);
        let (found, text) = case.request(method, path, &headers, body).await;
        assert_eq!(found, status, "{method} {path}: {text}");
        assert!(
            text.contains(says) && text.ends_with('\n'),
            "{method} {path}: {text}"
        );
        assert!(!text.contains(TOKEN) && !text.contains("forged"), "{text}");
        assert_eq!(case.counted("requests", outcome), before + 1, "{outcome}");
    }
}

#[tokio::test]
async fn who_has_no_right_token_is_turned_away_whatever_is_asked_and_starts_nothing() {
    let case = Case::new(vec![group("shop", "billing")], vec![Scope::All]);
    let sent = || body(&json!([alert("billing", "a")]));
    let long = " ".repeat(BODY_BYTES_MAX + 1);
    let rows = |says: &'static str| {
        vec![
            ("POST", PATH, sent(), 401, says, "Unauthorized"),
            ("GET", "/", String::new(), 401, says, "Unauthorized"),
            ("POST", PATH, long.clone(), 401, says, "Unauthorized"),
        ]
    };
    compare(&case, None, rows("has no token")).await;
    let forged = "forged-token-0123456789";
    compare(&case, Some(forged), rows("is not one of the operator's")).await;
    assert_eq!(case.asked(), [""; 0]);
}

#[tokio::test]
async fn requests_are_answered_with_what_is_wrong_and_counted() {
    let case = Case::new(vec![group("shop", "billing")], vec![Scope::All]);
    let sent = || body(&json!([alert("billing", "a")]));
    let later = sent().replace("\"4\"", "\"5\"");
    let spaces = |count: usize| " ".repeat(count);
    let (none, other) = (body(&json!([])), body(&json!([alert("billing", "b")])));
    let rows = vec![
        ("POST", "/", sent(), 404, "POST /v4/alerts", "NotFound"),
        ("POST", "/v3/alerts", sent(), 404, "POST /v4", "NotFound"),
        ("GET", PATH, spaces(0), 405, "only POST", "MethodNotAllowed"),
        ("PUT", PATH, sent(), 405, "only POST", "MethodNotAllowed"),
        (
            "POST",
            PATH,
            spaces(BODY_BYTES_MAX + 1),
            413,
            "max_alerts",
            "TooLarge",
        ),
        ("POST", PATH, spaces(BODY_BYTES_MAX), 400, "no JSON", "Invalid"),
        ("POST", PATH, later, 400, "version is \"5\"", "Invalid"),
        ("POST", PATH, sent(), 200, "evaluations started: 1;", "Ok"),
        ("POST", PATH, sent(), 200, "1 repeated", "Ok"),
        ("POST", PATH, none, 200, "evaluations started: 0;", "Ok"),
    ];
    compare(&case, Some(TOKEN), rows).await;
    case.state.lock().failing = Some(503);
    let rows = vec![("POST", PATH, other, 503, "send it again", "Unavailable")];
    compare(&case, Some(TOKEN), rows).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_or_never_ends_is_given_up() {
    let case = Case::new(Vec::new(), vec![Scope::All]);
    let request = |body| {
        let bearer = format!("Bearer {TOKEN}");
        Request::post(PATH)
            .header("authorization", bearer)
            .body(body)
            .unwrap()
    };
    let silent = StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, Infallible>>().boxed());
    let (late, _) = answer(request(silent), Shown::default(), &case.door, &case.receiver).await;
    assert_eq!(late.status(), 408);
    let piece = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b' '; 1_024])));
    let endless = StreamBody::new(futures::stream::repeat_with(piece).boxed());
    assert_eq!(endless.size_hint().lower(), 0, "it does not say how long it is");
    let (long, _) = answer(request(endless), Shown::default(), &case.door, &case.receiver).await;
    assert_eq!(long.status(), 413);
}
