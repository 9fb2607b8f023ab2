//! Against an API server that answers from a table, and keeps what it was asked.

use super::*;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::net::TcpListener;

const KINDS: &str = "/apis/apps/v1";
const SCALE: &str = "/apis/apps/v1/namespaces/shop/replicasets/billing/scale";
const WORKLOAD: &str = "/apis/apps/v1/namespaces/shop/replicasets/billing";

/// A path, and the status and the body that it is answered with.
type Answer = (&'static str, u16, Value);

/// A method, a path with its query, and the body.
type Asked = Arc<Mutex<Vec<(String, String, Value)>>>;

/// An API server that answers a path with a status and a body, and everything else with 404.
async fn api_server(answers: Vec<Answer>) -> (Targets, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, answers) = (Asked::default(), Arc::new(answers));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (answers, asked) = (Arc::clone(&answers), Arc::clone(&seen));
            let service = service_fn(move |request: Request<Incoming>| {
                let (answers, asked) = (Arc::clone(&answers), Arc::clone(&asked));
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let body = serde_json::from_slice(&body).unwrap_or_default();
                    let found = answers.iter().find(|(path, ..)| *path == head.uri.path());
                    let nothing = (
                        404,
                        refusal(404, "the server could not find the requested resource", ""),
                    );
                    let (code, answer) = found.map_or(nothing, |(_, code, answer)| (*code, answer.clone()));
                    asked
                        .lock()
                        .push((head.method.to_string(), head.uri.to_string(), body));
                    Response::builder()
                        .status(code)
                        .header("content-type", "application/json")
                        .body(Full::new(Bytes::from(answer.to_string())))
                }
            });
            tokio::spawn(async move {
                // The client closes when the test ends.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    let config = kube::Config::new(format!("http://{address}").parse().unwrap());
    (Targets::new(Client::try_from(config).unwrap()), asked)
}

fn refusal(code: u16, message: &str, name: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "message": message, "reason": "Refused", "details": { "name": name },
    })
}

fn kinds() -> Answer {
    let resource = |name: &str| json!({ "name": name, "singularName": "", "namespaced": true, "kind": "ReplicaSet", "verbs": ["get", "patch"] });
    let list = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "apps/v1",
        "resources": [resource("replicasets"), resource("replicasets/scale")],
    });
    (KINDS, 200, list)
}

fn scale(replicas: i32) -> Answer {
    let scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": { "name": "billing", "namespace": "shop", "resourceVersion": "41" },
        "spec": { "replicas": replicas },
        "status": { "replicas": replicas, "selector": "app=billing" },
    });
    (SCALE, 200, scale)
}

fn workload(status: Value) -> Answer {
    let workload = json!({
        "kind": "ReplicaSet", "apiVersion": "apps/v1",
        "metadata": { "name": "billing", "namespace": "shop" },
        "spec": { "strategy": { "type": "RollingUpdate" } },
        "status": status,
    });
    (WORKLOAD, 200, workload)
}

fn target() -> ScaleTargetRef {
    ScaleTargetRef {
        api_version: "apps/v1".to_owned(),
        kind: "ReplicaSet".to_owned(),
        name: "billing".to_owned(),
    }
}

#[tokio::test]
async fn only_the_scale_is_written_under_a_name_of_its_own_and_only_as_it_was_seen() {
    let settled = json!({ "replicas": 3, "updatedReplicas": 3 });
    let (targets, asked) = api_server(vec![kinds(), scale(3), workload(settled)]).await;
    let seen = targets.read("shop", &target()).await.unwrap();
    assert_eq!(
        (seen.replicas, &*seen.selector, seen.rolling_out),
        (3, "app=billing", false)
    );
    targets.write("shop", &target(), &seen, 8).await.unwrap();
    let asked = asked.lock().clone();
    let changing: Vec<_> = asked.iter().filter(|(method, ..)| method != "GET").collect();
    let [(method, uri, body)] = &changing[..] else {
        panic!("{changing:?}")
    };
    assert_eq!(
        (&**method, &**uri),
        ("PATCH", &*format!("{SCALE}?&fieldManager=sluice-autoscaler"))
    );
    assert_eq!(
        *body,
        json!({ "metadata": { "resourceVersion": "41" }, "spec": { "replicas": 8 } })
    );
    let looked_up = asked.iter().filter(|(_, uri, _)| uri == KINDS).count();
    assert_eq!(looked_up, 1, "a kind is looked up once");
}

#[tokio::test]
async fn what_is_wrong_with_a_target_is_told_apart() {
    let gone = (
        SCALE,
        404,
        refusal(404, "replicasets.apps \"billing\" not found", "billing"),
    );
    let forbidden = (SCALE, 403, refusal(403, "no role", "billing"));
    let rows: Vec<(Vec<Answer>, &str)> = vec![
        (vec![], "the API server knows no ReplicaSet of apps/v1"),
        (
            vec![kinds(), gone],
            "there is no ReplicaSet billing in the namespace shop",
        ),
        (vec![kinds()], "ReplicaSet billing has no scale subresource"),
        (
            vec![kinds(), forbidden],
            "the operator may not read the scale of ReplicaSet billing: no role",
        ),
        (
            vec![kinds(), (SCALE, 500, refusal(500, "broken", ""))],
            "cannot read the scale of ReplicaSet billing",
        ),
    ];
    for (answers, words) in rows {
        let (targets, _) = api_server(answers).await;
        let error = targets.read("shop", &target()).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error} has not {words:?}");
    }
}

#[tokio::test]
async fn a_target_that_was_changed_meanwhile_is_not_written() {
    let (targets, _) = api_server(vec![kinds(), (SCALE, 409, refusal(409, "conflict", "billing"))]).await;
    let seen = Seen {
        replicas: 3,
        selector: String::new(),
        ready: None,
        rolling_out: false,
        writer: None,
        version: "40".to_owned(),
    };
    let error = targets.write("shop", &target(), &seen, 8).await.unwrap_err();
    assert!(matches!(error, TargetError::Changed { .. }), "{error}");
}

#[tokio::test]
async fn a_deployment_is_read_at_one_go() {
    const KINDS_OF_APPS: &str = "/apis/apps/v1";
    let resource = json!({ "name": "deployments", "singularName": "", "namespaced": true, "kind": "Deployment", "verbs": ["get"] });
    let list = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "apps/v1", "resources": [resource],
    });
    let workload = json!({
        "kind": "Deployment", "apiVersion": "apps/v1",
        "metadata": {
            "name": "billing", "namespace": "shop", "resourceVersion": "41",
            "managedFields": [{ "manager": "helm", "operation": "Update", "fieldsV1": { "f:spec": { "f:replicas": {} } } }],
        },
        "spec": {
            "replicas": 3,
            "selector": { "matchLabels": { "app": "billing" }, "matchExpressions": [{ "key": "old", "operator": "DoesNotExist" }] },
            "strategy": { "type": "RollingUpdate" },
        },
        "status": { "replicas": 3, "updatedReplicas": 3, "readyReplicas": 2 },
    });
    let path = "/apis/apps/v1/namespaces/shop/deployments/billing";
    let (targets, asked) = api_server(vec![(KINDS_OF_APPS, 200, list), (path, 200, workload)]).await;
    let target = ScaleTargetRef {
        kind: "Deployment".to_owned(),
        ..target()
    };
    let seen = targets.read("shop", &target).await.unwrap();
    let wanted = Seen {
        replicas: 3,
        selector: "app=billing,!old".to_owned(),
        ready: Some(2),
        rolling_out: false,
        writer: Some(ReplicasWriter {
            name: "helm".to_owned(),
            operation: "Update".to_owned(),
            subresource: None,
            at: None,
        }),
        version: "41".to_owned(),
    };
    assert_eq!(seen, wanted);
    let asked = asked.lock().clone();
    let paths: Vec<_> = asked.iter().map(|(_, uri, _)| &**uri).collect();
    assert_eq!(paths, [KINDS_OF_APPS, path]);
}

#[test]
fn a_rollout_is_seen_by_pods_of_an_older_revision() {
    let deployment = |status: Value| json!({ "spec": { "strategy": {} }, "status": status });
    for (workload, wanted) in [
        (deployment(json!({ "replicas": 3, "updatedReplicas": 3 })), false),
        (deployment(json!({ "replicas": 4, "updatedReplicas": 1 })), true),
        (deployment(json!({ "replicas": 4 })), true),
        (
            deployment(json!({ "replicas": 4, "updatedReplicas": 1, "conditions": [
                { "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded" },
            ] })),
            false,
        ),
        (
            json!({ "spec": { "strategy": {}, "paused": true }, "status": { "replicas": 4, "updatedReplicas": 1 } }),
            false,
        ),
        (deployment(json!({})), false),
        (
            json!({ "status": { "replicas": 2, "updatedReplicas": 2, "currentRevision": "a", "updateRevision": "a" } }),
            false,
        ),
        (
            json!({ "status": { "replicas": 2, "updatedReplicas": 2, "currentRevision": "a", "updateRevision": "b" } }),
            true,
        ),
        (json!({ "status": { "replicas": 2 } }), false),
        (json!({}), false),
    ] {
        assert_eq!(is_rolling_out(&workload), wanted, "{workload}");
    }
}
