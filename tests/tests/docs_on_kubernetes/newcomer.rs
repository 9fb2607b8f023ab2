//! From nothing to consumers that are scaled.

use std::path::Path;

use sluice_tests::image::Image;
use sluice_tests::kube::Cluster;
use sluice_tests::{binaries, pages};

use crate::terminal::Terminal;

const PAGE: &str = "README.md";
const HEADING: &str = "Run it on Kubernetes";
/// Cargo and docker have made the images already: they are the cluster's before the first command.
const MADE_BEFORE: [&str; 2] = ["cargo ", "docker "];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_has_consumers_scaled_by_a_backlog() {
    let blocks = pages::of(PAGE).unwrap();
    let blocks = blocks.iter().filter(|block| block.heading == HEADING);
    let blocks: Vec<_> = blocks
        .filter(|block| !MADE_BEFORE.iter().any(|tool| block.commands.starts_with(tool)))
        .collect();
    assert!(blocks.len() > 2, "{PAGE} has no commands under {HEADING:?}");
    let cluster = Cluster::shared().await.unwrap();
    // Says at once what is wrong if images do not reach the nodes; the page's commands would only wait.
    cluster.arm(Path::new(env!("CARGO_BIN_EXE_kube-probe"))).unwrap();
    let of_broker = [binaries::broker().unwrap(), binaries::sluicectl().unwrap()];
    let of_operator = [binaries::operator().unwrap()];
    for (name, target, executables) in [
        ("sluice-broker", "broker-prebuilt", &of_broker[..]),
        ("sluice-operator", "operator-prebuilt", &of_operator[..]),
    ] {
        let image = Image::build(target, executables, &[]).unwrap();
        // What a name without a registry stands for.
        let name = format!("docker.io/library/{name}:{}", env!("CARGO_PKG_VERSION"));
        cluster.load(&image, &name).unwrap();
    }
    let terminal = Terminal::at(cluster).unwrap();
    for block in blocks {
        terminal.run(PAGE, block).unwrap();
    }
}
