//! The release of the chart that all tests share: the operator, in two replicas, under its own account.

use sluice_tests::kube::Cluster;
use sluice_tests::kube::helm::chart;

use crate::{images, monitoring};

pub const NAME: &str = "sluice";
pub const NAMESPACE: &str = "sluice-system";

/// The Secret with the token for alerts, which is there before the release.
pub const ALERTS: &str = "alerts";

/// Short times, since tests wait for them: the operator looks at replicas every two seconds, and another replica leads five
/// seconds after a crash.
const TIMES: [&str; 5] = [
    "evaluateSeconds=2",
    "resyncSeconds=10",
    "lease.durationSeconds=5",
    "lease.renewWithinSeconds=4",
    "lease.retrySeconds=1",
];

/// Runs `helm install` or `helm upgrade` with the suite's values and these, and waits until all is ready.
pub fn apply(cluster: &Cluster, command: &str, values: &[&str]) {
    let image = format!("image.repository={}", images::OPERATOR);
    let brokers = format!("brokers.image={}", images::BROKER);
    let prometheus = format!("prometheus.url={}", monitoring::URL);
    let chart = chart();
    let mut arguments = vec![
        command,
        NAME,
        chart.to_str().unwrap(),
        "--namespace",
        NAMESPACE,
        "--wait",
        "--timeout",
        "120s",
    ];
    let alerts = format!("webhook.tokenSecretRef.name={ALERTS}");
    let own = [
        &*image,
        &*brokers,
        &*prometheus,
        "image.pullPolicy=Never",
        "webhook.enabled=true",
        &*alerts,
    ];
    for value in own.iter().chain(&TIMES).chain(values) {
        arguments.extend(["--set", value]);
    }
    cluster.helm().run(&arguments).unwrap();
}
