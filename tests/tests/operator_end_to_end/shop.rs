//! The namespace with the examples of the documentation: a cluster, topics, groups.

use sluice_tests::binaries;
use tokio::sync::OnceCell;

use crate::stage::Stage;

/// The cluster of the examples.
pub const CLUSTER: &str = "orders";
/// Their topic of eight queues.
pub const TOPIC: &str = "Order_Paid";
/// Their group that is scaled, and the Deployment of its consumers.
pub const GROUP: &str = "order-workers";

const FILES: [&str; 4] = [
    "cluster.yaml",
    "topics.yaml",
    "consumer-groups.yaml",
    "autoscaling.yaml",
];

/// The namespace, in which the files are applied once.
pub async fn open() -> Stage {
    static OPENED: OnceCell<()> = OnceCell::const_new();
    OPENED
        .get_or_init(async || {
            let stage = Stage::new("shop").await;
            let folder = binaries::workspace().join("docs/examples");
            for file in FILES {
                let path = folder.join(file).display().to_string();
                stage.run(&["apply", "--filename", &path]).unwrap();
            }
        })
        .await;
    Stage::of("shop").await
}
