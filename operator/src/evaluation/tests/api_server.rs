//! An API server in memory that has one workload and one consumer group, and keeps what it was asked.

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;

/// The server.
#[derive(Clone)]
pub struct ApiServer(Arc<Mutex<State>>);

/// What is in it, and what it was asked.
pub struct State {
    /// Of the workload; none without a workload.
    pub replicas: Option<u64>,
    /// The next write of the scale finds that somebody was quicker.
    pub overtaken: bool,
    /// Autoscalers of Kubernetes'.
    pub autoscalers: Vec<Value>,
    /// By name.
    pub secrets: Vec<(&'static str, Value)>,
    /// The consumer group.
    pub group: Value,
    /// The replicas that were written, in order.
    pub scaled: Vec<u64>,
    /// The statuses that were written, with the query of the request.
    pub statuses: Vec<(String, Value)>,
    /// The reasons of events.
    pub events: Vec<String>,
    version: u64,
}

impl ApiServer {
    /// With a workload of one replica.
    pub fn new(group: Value) -> Self {
        Self(Arc::new(Mutex::new(State {
            replicas: Some(1),
            overtaken: false,
            autoscalers: Vec::new(),
            secrets: Vec::new(),
            group,
            scaled: Vec::new(),
            statuses: Vec::new(),
            events: Vec::new(),
            version: 10,
        })))
    }

    /// To look at it, or to change it behind everybody's back.
    pub fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock())
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        let state = Arc::clone(&self.0);
        let service = tower::service_fn(move |request: Request<Body>| {
            let state = Arc::clone(&state);
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
                let answer = state.lock().answer(&head.method, path, query, &body);
                let (code, answer) = answer.unwrap_or_else(|| (404, refusal(404, path)));
                let response = Response::builder()
                    .status(code)
                    .body(Full::new(Bytes::from(answer.to_string())));
                Ok::<_, Infallible>(response.unwrap())
            }
        });
        Client::new(service, "shop")
    }
}

fn refusal(code: u16, path: &str) -> Value {
    let name = path.trim_end_matches("/scale").rsplit('/').next();
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "message": "refused", "reason": "Refused", "details": { "name": name },
    })
}

fn list(kind: &str, items: &[Value]) -> (u16, Value) {
    (
        200,
        json!({ "kind": kind, "apiVersion": "v1", "metadata": {}, "items": items }),
    )
}

impl State {
    fn answer(&mut self, method: &Method, path: &str, query: &str, body: &Value) -> Option<(u16, Value)> {
        let is_read = *method == Method::GET;
        if path.ends_with("/events") {
            self.events
                .push(body["reason"].as_str().unwrap_or_default().to_owned());
            return Some((201, body.clone()));
        }
        match path.rsplit('/').next()? {
            "v1" => Some((200, kinds())),
            "scale" if is_read => self.scale(),
            "scale" => self.write_scale(path, body),
            "worker" => self.workload(),
            "pods" => Some(list("PodList", &[])),
            "status" => {
                self.statuses.push((query.to_owned(), body["status"].clone()));
                self.version += 1;
                self.group["status"] = body["status"].clone();
                self.group["metadata"]["resourceVersion"] = self.version.to_string().into();
                Some((200, self.group.clone()))
            }
            name if path.contains("/secrets/") => {
                let found = self.secrets.iter().find(|(known, _)| *known == name)?;
                Some((200, found.1.clone()))
            }
            _ => None,
        }
    }

    fn scale(&self) -> Option<(u16, Value)> {
        let replicas = self.replicas?;
        let scale = json!({
            "kind": "Scale", "apiVersion": "autoscaling/v1",
            "metadata": { "name": "worker", "namespace": "shop", "resourceVersion": self.version.to_string() },
            "spec": { "replicas": replicas },
            "status": { "replicas": replicas, "selector": "app=worker" },
        });
        Some((200, scale))
    }

    fn write_scale(&mut self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let is_current = body["metadata"]["resourceVersion"] == self.version.to_string().as_str();
        if std::mem::take(&mut self.overtaken) || !is_current {
            return Some((409, refusal(409, path)));
        }
        let replicas = body["spec"]["replicas"].as_u64().unwrap();
        self.scaled.push(replicas);
        self.replicas = Some(replicas);
        self.version += 1;
        self.scale()
    }

    fn workload(&self) -> Option<(u16, Value)> {
        let replicas = self.replicas?;
        let workload = json!({
            "kind": "Deployment", "apiVersion": "apps/v1",
            "metadata": { "name": "worker", "namespace": "shop", "resourceVersion": self.version.to_string() },
            "spec": {
                "replicas": replicas,
                "selector": { "matchLabels": { "app": "worker" } },
                "strategy": { "type": "RollingUpdate" },
            },
            "status": { "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas },
        });
        Some((200, workload))
    }
}

fn kinds() -> Value {
    let resource = |name: &str| json!({ "name": name, "singularName": "", "namespaced": true, "kind": "Deployment", "verbs": ["get", "patch"] });
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "apps/v1",
        "resources": [resource("deployments"), resource("deployments/scale")],
    })
}
