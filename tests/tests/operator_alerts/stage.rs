//! A consumer group with a backlog that nothing but an alert makes anybody look at, and operators that take alerts.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};
use sluice_operator_api::{ConsumerGroup, Topic};
use sluice_tests::account::{Account, RELEASE};
use sluice_tests::client::{Client, message};
use sluice_tests::metrics::Sample;
use sluice_tests::operator::Operator;
use sluice_tests::stage::{SOON, Stage, condition_of_group, is_ready, workload};
use sluice_tests::{http, ports, wait};
use tempfile::TempDir;

pub const GROUP: &str = "billing";
/// One to each queue of the topic.
pub const MOST: i32 = 8;
pub const TOKEN: &str = "token-of-the-alertmanager";
/// What the issue promises.
pub const AT_ONCE: Duration = Duration::from_secs(1);
const WORKLOAD: &str = "worker";

/// The stage, the account of a release in its namespace, and a folder for secrets.
pub struct Alerting {
    pub stage: Stage,
    account: Account,
    secrets: TempDir,
}

/// An operator, and where it takes alerts.
pub struct Receiving {
    pub operator: Operator,
    pub port: u16,
}

impl Alerting {
    /// Nothing but a broker and its cluster.
    pub async fn new() -> Self {
        let secrets = tempfile::tempdir().unwrap();
        std::fs::write(secrets.path().join("token"), TOKEN).unwrap();
        let stage = Stage::new().await;
        let watched = format!("watchNamespaces[0]={}", stage.namespace);
        let account = Account::install(stage.kubeconfig(), &stage.namespace, &["--set", &watched]);
        Self {
            stage,
            account: account.unwrap(),
            secrets,
        }
    }

    /// With an operator that leads and takes alerts by token, and a backlog that asks for all replicas there may be, of which
    /// there is one. It is looked at next in some minutes.
    pub async fn with_backlog() -> (Self, Receiving) {
        let alerting = Self::new().await;
        let receiving = alerting.leader(&alerting.token_flags()).await;
        alerting.make_backlog(&receiving.operator).await;
        (alerting, receiving)
    }

    /// The same over an operator that leads already.
    pub async fn make_backlog(&self, operator: &Operator) {
        let stage = &self.stage;
        stage.make_topic("orders", json!({"queues": MOST})).await;
        stage
            .until::<Topic>("the topic is there", "orders", is_ready)
            .await;
        stage
            .make::<Deployment>(workload("Deployment", WORKLOAD, 1))
            .await;
        let step = json!({"stepPolicies": [{"type": "Pods", "value": 100, "periodSeconds": 1}]});
        let autoscaling = json!({
            "scaleTargetRef": {"name": WORKLOAD},
            "maxReplicas": 20,
            "lag": {"source": "Broker", "messagesPerReplica": 1},
            "behavior": {"cooldownSeconds": 0, "scaleUp": step},
        });
        let fields = json!({"subscriptions": [{"topic": "orders"}], "autoscaling": autoscaling});
        stage.make_group(GROUP, fields).await;
        let is_ready = |group: &ConsumerGroup| condition_of_group(group, "Ready") == "True UpToDate";
        stage
            .until::<ConsumerGroup>("the group is there", GROUP, is_ready)
            .await;
        // Told is what an evaluation ends with: one that is under way would see the backlog.
        let is_told = |group: &ConsumerGroup| {
            let status = group.status.as_ref();
            status.is_some_and(|status| status.replicas.is_some())
        };
        stage
            .until::<ConsumerGroup>("the group was evaluated", GROUP, is_told)
            .await;
        assert!(operator.evaluations().unwrap() >= 1.0);
        let client = Client::new(&stage.broker.endpoint()).unwrap();
        for number in 0..40 {
            client
                .send_ok(message("orders", format!("{number}")))
                .await
                .unwrap();
        }
    }

    /// By what the operator lets in who has the token.
    pub fn token_flags(&self) -> Vec<String> {
        vec![
            "--webhook-token-file".to_owned(),
            self.secret("token").display().to_string(),
        ]
    }

    /// A file with a secret, in the folder that an Alertmanager reads too.
    pub fn secret(&self, name: &str) -> PathBuf {
        self.secrets.path().join(name)
    }

    /// An operator that leads and takes alerts.
    pub async fn leader(&self, flags: &[String]) -> Receiving {
        let receiving = self.operator(flags);
        wait::until_true_async("the operator leads", SOON, || receiving.operator.leads())
            .await
            .unwrap();
        receiving
    }

    /// An operator under the chart's account that takes alerts and looks at nothing by itself for some minutes.
    pub fn operator(&self, flags: &[String]) -> Receiving {
        let port = ports::free().unwrap();
        let listen = format!("127.0.0.1:{port}");
        let own = [
            "--evaluate-seconds",
            "300",
            "--resync-seconds",
            "300",
            "--webhook-listen",
            &listen,
            "--lease-name",
            RELEASE,
        ];
        let flags: Vec<_> = own.into_iter().chain(flags.iter().map(String::as_str)).collect();
        Receiving {
            operator: self.stage.operator_with(&self.account.kubeconfig, &flags),
            port,
        }
    }

    /// The replicas that the workload is to have.
    pub async fn replicas(&self) -> i32 {
        let workload = self.stage.api::<Deployment>().get(WORKLOAD).await.unwrap();
        workload.spec.unwrap().replicas.unwrap()
    }

    /// Until all replicas are asked for; tells how long that took from then.
    pub async fn until_scaled(&self, since: Instant) -> Duration {
        let probe = async || match self.replicas().await {
            MOST => Ok(Some(since.elapsed())),
            found => anyhow::bail!("there are {found}"),
        };
        let took = wait::until_async("the replicas follow", SOON, probe)
            .await
            .unwrap();
        println!("the replicas followed the alert after {took:?}");
        took
    }

    /// Has the group looked at as a person does, and waits until it was: whatever was asked for before was looked at by then, or
    /// together with it. Gives the count of evaluations.
    pub async fn evaluations_after_all(&self, operator: &Operator) -> f64 {
        let before = operator.evaluations().unwrap();
        let annotation = json!({"sluice.dev/force-sync": format!("{:?}", Instant::now())});
        let patch = json!({"metadata": {"annotations": annotation}});
        self.stage.patch::<ConsumerGroup>(GROUP, patch).await;
        wait::until_true_async("the annotation is seen", SOON, || {
            operator.evaluations().unwrap() > before
        })
        .await
        .unwrap();
        operator.evaluations().unwrap()
    }
}

impl Receiving {
    /// Status and text of the answer to a notification that is sent with this token.
    pub fn send(&self, token: &str, notification: &Value) -> (u16, String) {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", &*bearer)];
        let body = notification.to_string();
        let answer = http::send(self.port, "POST", "/v4/alerts", &headers, body.as_bytes()).unwrap();
        (answer.status, answer.body)
    }

    /// What one of the metrics of alerts counts under a label's value.
    pub fn counted(&self, name: &str, value: &str) -> f64 {
        let is_so = |sample: &Sample| sample.labels.values().any(|label| label == value);
        self.operator.sum(name, is_so).unwrap()
    }

    /// Until a request had this outcome.
    pub async fn until_outcome(&self, outcome: &str) {
        let what = format!("a request comes to {outcome}");
        let counted = || self.counted("sluice_operator_alert_requests_total", outcome) >= 1.0;
        wait::until_true_async(&what, SOON, counted).await.unwrap();
    }
}

/// What a Prometheus tells an Alertmanager.
pub fn alert() -> Value {
    json!([{
        "labels": {"alertname": "SluiceQueueLag", "cluster": "main", "consumer_group": GROUP, "topic": "orders"},
        "annotations": {"summary": "billing falls behind"},
        "startsAt": "2026-01-02T03:04:05Z",
    }])
}

/// What an Alertmanager sends of it, begun at that second.
pub fn notification(second: u32, status: &str) -> Value {
    json!({
        "version": "4",
        "groupKey": "{}:{consumer_group=\"billing\"}",
        "status": status,
        "alerts": [{
            "status": status,
            "labels": {"alertname": "SluiceQueueLag", "cluster": "main", "consumer_group": GROUP},
            "startsAt": format!("2026-01-02T03:04:{second:02}Z"),
            "fingerprint": "abd26d6f87ea6c50",
        }],
    })
}
