//! One operator for listed namespaces: it works in each of them under one Lease, and sees nothing of any other.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use serde_json::json;
use sluice_operator_api::{BrokerCluster, ConsumerGroup, Topic};
use sluice_proto::admin::{FenceRequest, GetStatusRequest};
use sluice_tests::account::{Account, RELEASE};
use sluice_tests::operator::{Operator, SHORT_LEASE};
use sluice_tests::wait;

use crate::stage::{CLUSTER, SOON, Stage, Topics as _, condition_of_group, is_ready};

/// One that is called so and watches the namespaces of these stages, under the account that the chart makes for that. Its Lease is in
/// the first.
fn operator(identity: &str, watched: &[&Stage]) -> Operator {
    let join = |of: fn(&Stage) -> String| {
        let each: Vec<_> = watched.iter().map(|stage| of(stage)).collect();
        each.join(",")
    };
    let (namespaces, release) = (join(|stage| stage.namespace.clone()), &watched[0].namespace);
    let values = format!("watchNamespaces={{{namespaces}}}");
    let account = Account::install(watched[0].kubeconfig(), release, &["--set", &values]).unwrap();
    let given = format!("--namespaces={namespaces}");
    assert!(account.flags.contains(&given), "{:?}", account.flags);
    let flags = [
        &*given,
        "--identity",
        identity,
        "--admin-addresses",
        &join(Stage::admin_address),
        "--lease-name",
        RELEASE,
        "--lease-namespace",
        release,
        "--resync-seconds",
        "1",
    ];
    Operator::start(&account.kubeconfig, &[&flags[..], &SHORT_LEASE].concat()).unwrap()
}

async fn until_leading(operator: &Operator) {
    wait::until_true_async("it leads", SOON, || operator.leads())
        .await
        .unwrap();
}

/// What a process is called that calls itself so in leases and fences: a word of its own is behind the name.
fn named(identity: &str) -> String {
    identity.split('_').next().unwrap_or_default().to_owned()
}

/// Whose fence the broker has, and its epoch.
async fn fence(stage: &Stage) -> (String, u64) {
    let status = stage.admin.broker().get_status(GetStatusRequest {}).await;
    let status = status.unwrap().into_inner();
    (named(&status.fence_holder), status.fence_epoch)
}

async fn make(stage: &Stage) {
    stage.make_topic("orders", json!({"queues": 2})).await;
    let subscriptions = json!({"subscriptions": [{"topic": "orders"}]});
    stage.make_group("billing", subscriptions).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_of_two_namespaces_leads_in_both_and_leaves_a_third_alone() {
    let [first, second, third] = [Stage::new().await, Stage::new().await, Stage::new().await];
    let watched = [&first, &second];
    let mut leader = operator("one", &watched);
    until_leading(&leader).await;
    let standby = operator("another", &watched);
    assert_eq!(standby.readiness().unwrap(), "standby");
    // First where nobody looks: it has had the longest time by the end.
    make(&third).await;
    for stage in watched {
        make(stage).await;
    }
    let is_group = |group: &ConsumerGroup| condition_of_group(group, "Ready") == "True UpToDate";
    for stage in watched {
        stage.until::<Topic>("ready", "orders", is_ready).await;
        stage.until::<ConsumerGroup>("ready", "billing", is_group).await;
        stage.until::<StatefulSet>("made", CLUSTER, |_| true).await;
        assert_eq!(fence(stage).await, ("one".to_owned(), 1));
    }

    leader.kill();
    until_leading(&standby).await;
    for stage in watched {
        let patch = json!({"spec": {"queues": 4}});
        stage.patch::<Topic>("orders", patch).await;
        stage
            .until_topic("the other one works", "orders", |found| found.queues == 4)
            .await;
        assert_eq!(fence(stage).await, ("another".to_owned(), 2));
    }

    let leases = |stage: &Stage| stage.api::<Lease>();
    let lease = leases(&first).get(RELEASE).await.unwrap();
    let holder = lease.spec.unwrap().holder_identity.unwrap();
    assert_eq!(named(&holder), "another");
    for stage in [&second, &third] {
        let found = leases(stage).list(&ListParams::default()).await.unwrap();
        assert_eq!(found.items.len(), 0, "one Lease for all");
    }
    assert_eq!(fence(&third).await, (String::new(), 0));
    assert!(third.topic("orders").await.is_none());
    assert!(
        third
            .api::<StatefulSet>()
            .get_opt(CLUSTER)
            .await
            .unwrap()
            .is_none()
    );
    assert!(third.api::<Topic>().get("orders").await.unwrap().status.is_none());
    assert!(
        third
            .api::<BrokerCluster>()
            .get(CLUSTER)
            .await
            .unwrap()
            .status
            .is_none()
    );
}

/// The process leads everywhere or nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_fenced_off_in_one_of_its_namespaces_ends() {
    let [first, second] = [Stage::new().await, Stage::new().await];
    let watched = [&first, &second];
    let mut leader = operator("one", &watched);
    until_leading(&leader).await;
    for stage in watched {
        stage.make_topic("orders", json!({"queues": 1})).await;
        stage.until::<Topic>("ready", "orders", is_ready).await;
    }
    let fence = FenceRequest {
        holder: "successor".to_owned(),
    };
    second.admin.broker().fence(fence).await.unwrap();
    let patch = json!({"spec": {"queues": 2}});
    second.patch::<Topic>("orders", patch).await;
    let status = leader.wait_for_end().unwrap();
    assert_eq!(status.code(), Some(1), "{}", leader.log());
    assert!(leader.log().contains("'successor' has fenced the broker"));
}
