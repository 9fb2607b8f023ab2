//! Workloads without a controller behind them, groups that scale them, and messages to scale them by.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::Event;
use serde_json::{Value, json};
use sluice_operator_api::{ConsumerGroup, Topic};
use sluice_tests::client::{Client, Receive, message};
use sluice_tests::metrics::Sample;
use sluice_tests::operator::Operator;
use sluice_tests::stage::{Kind, workload};
use sluice_tests::wait;

pub use sluice_tests::stage::{CLUSTER, SOON, Stage, condition_of_group, is_ready};

/// Evaluations come every second.
pub const BRISK: [&str; 4] = ["--resync-seconds", "1", "--evaluate-seconds", "1"];
/// The topic of all tests.
pub const TOPIC: &str = "orders";

/// A kind with a scale.
pub trait Workload: Kind {
    const KIND: &str;

    fn replicas(&self) -> i32;
}

impl Workload for Deployment {
    const KIND: &str = "Deployment";

    fn replicas(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.replicas).unwrap()
    }
}

impl Workload for ReplicaSet {
    const KIND: &str = "ReplicaSet";

    fn replicas(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.replicas).unwrap()
    }
}

impl Workload for StatefulSet {
    const KIND: &str = "StatefulSet";

    fn replicas(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.replicas).unwrap()
    }
}

/// What the tests of this suite do on a stage.
pub trait Scaling {
    /// A workload with so many replicas, whose pods nobody starts.
    async fn make_workload<W: Workload>(&self, name: &str, replicas: i32) -> W;

    /// The replicas that a workload is to have now.
    async fn replicas<W: Workload>(&self, name: &str) -> i32;

    /// Until a workload is to have so many.
    async fn until_replicas<W: Workload>(&self, name: &str, wanted: i32);

    /// The topic with so many queues, once the broker has it.
    async fn make_orders(&self, queues: u32);

    /// Until a condition of the group is so; gives its message.
    async fn until_condition(&self, group: &str, type_: &str, wanted: &str) -> String;

    /// How often an event of this reason was told about the group.
    async fn told(&self, group: &str, reason: &str) -> i32;

    /// Sends so many messages.
    async fn send(&self, count: usize);

    /// A consumer of the group takes everything that waits.
    async fn consume_all(&self, group: &str);
}

impl Scaling for Stage {
    async fn make_workload<W: Workload>(&self, name: &str, replicas: i32) -> W {
        self.make(workload(W::KIND, name, replicas)).await
    }

    async fn replicas<W: Workload>(&self, name: &str) -> i32 {
        self.api::<W>().get(name).await.unwrap().replicas()
    }

    async fn until_replicas<W: Workload>(&self, name: &str, wanted: i32) {
        let what = format!("{name} has {wanted} replicas");
        let probe = async || match self.replicas::<W>(name).await {
            found if found == wanted => Ok(Some(())),
            found => anyhow::bail!("it has {found}"),
        };
        wait::until_async(&what, SOON, probe).await.unwrap();
    }

    async fn make_orders(&self, queues: u32) {
        self.make_topic(TOPIC, json!({"queues": queues})).await;
        self.until::<Topic>("the topic is there", TOPIC, is_ready).await;
    }

    async fn until_condition(&self, group: &str, type_: &str, wanted: &str) -> String {
        let what = format!("{type_} of {group} is {wanted}");
        let so = |found: &ConsumerGroup| condition_of_group(found, type_) == wanted;
        let found = self.until::<ConsumerGroup>(&what, group, so).await;
        let conditions = found.status.unwrap().conditions;
        let condition = conditions.into_iter().find(|condition| condition.type_ == type_);
        condition.unwrap().message
    }

    async fn told(&self, group: &str, reason: &str) -> i32 {
        let events = self.api::<Event>().list(&Default::default()).await.unwrap().items;
        let of_group = events.iter().filter(|event| {
            event.involved_object.name.as_deref() == Some(group) && event.reason.as_deref() == Some(reason)
        });
        // What is told again within minutes counts in the first event.
        let times = |event: &Event| event.series.as_ref().and_then(|series| series.count);
        of_group.map(|event| times(event).unwrap_or(1)).sum()
    }

    async fn send(&self, count: usize) {
        let client = Client::new(&self.broker.endpoint()).unwrap();
        for number in 0..count {
            client.send_ok(message(TOPIC, format!("{number}"))).await.unwrap();
        }
    }

    async fn consume_all(&self, group: &str) {
        let client = Client::new(&self.broker.endpoint()).unwrap();
        let receive = Receive {
            poll: Duration::from_secs(1),
            ..Receive::new(group, TOPIC)
        };
        loop {
            let received = client.receive(&receive).await.unwrap();
            if received.messages.is_empty() {
                return;
            }
            client.ack_ok(group, TOPIC, &received.messages).await.unwrap();
        }
    }
}

/// A group that scales the workload of this name: a replica for each message that the broker tells of, in steps of any size, down
/// after two seconds; with these fields of `autoscaling` instead.
pub fn scaled(workload: &str, fields: Value) -> Value {
    let step = json!({"stepPolicies": [{"type": "Pods", "value": 100, "periodSeconds": 1}]});
    let mut autoscaling = json!({
        "scaleTargetRef": {"name": workload},
        "maxReplicas": 20,
        "lag": {"source": "Broker", "messagesPerReplica": 1},
        "behavior": {"cooldownSeconds": 0, "scaleUp": step, "scaleDown": step},
    });
    autoscaling["behavior"]["scaleDown"]["stabilizationWindowSeconds"] = 2.into();
    for (field, value) in fields.as_object().unwrap() {
        autoscaling[field] = value.clone();
    }
    json!({"subscriptions": [{"topic": TOPIC}], "autoscaling": autoscaling})
}

/// Whether the brokers have the group as the resource says.
pub fn is_there(group: &ConsumerGroup) -> bool {
    condition_of_group(group, "Ready").starts_with("True")
}

/// Until groups were evaluated so many times more.
pub async fn until_evaluated(operator: &Operator, times: u32) {
    let until = operator.evaluations().unwrap() + f64::from(times);
    wait::until_true_async("groups are evaluated", SOON, || {
        operator.evaluations().unwrap() >= until
    })
    .await
    .unwrap();
}

/// Requests of the operator that change something, but for its Lease.
pub fn writes(operator: &Operator) -> f64 {
    let is_write = |sample: &Sample| {
        let is_read = matches!(&*sample.labels["verb"], "get" | "list" | "watch");
        !is_read && sample.labels["resource"] != "leases"
    };
    operator
        .sum("sluice_operator_kubernetes_requests_total", is_write)
        .unwrap()
}
