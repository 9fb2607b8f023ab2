//! The images that pods run from: made here, and handed to the nodes.

use std::path::PathBuf;

use sluice_tests::image::Image;
use sluice_tests::kube::{Cluster, programs_folder};
use sluice_tests::{binaries, python};

/// As BrokerClusters of this version ask for them.
pub const BROKER: &str = "localhost/sluice-broker";
pub const OPERATOR: &str = "localhost/sluice-operator";
/// Apache's client for Python.
pub const WORKLOAD: &str = "localhost/sluice-workload:1";
pub const PROMETHEUS: &str = "localhost/prometheus:1";

/// Gives all of them to the cluster.
pub fn load(cluster: &Cluster) {
    let version = env!("CARGO_PKG_VERSION");
    let of_broker = [binaries::broker().unwrap(), binaries::sluicectl().unwrap()];
    let of_operator = [binaries::operator().unwrap()];
    let ours: [(&str, &str, &[PathBuf]); 2] = [
        (BROKER, "broker-prebuilt", &of_broker),
        (OPERATOR, "operator-prebuilt", &of_operator),
    ];
    for (name, target, executables) in ours {
        let image = Image::build(target, executables, &[]).unwrap();
        cluster.load(&image, &format!("{name}:{version}")).unwrap();
    }
    let base = binaries::scratch().join("system-tests");
    let folder = tempfile::TempDir::with_prefix_in("image-", &base).unwrap();
    let workload = python::image(folder.path(), WORKLOAD).unwrap();
    cluster.load(&workload, WORKLOAD).unwrap();
    // Debian's cannot ask Kubernetes for pods.
    let prometheus = programs_folder().unwrap().join("prometheus");
    cluster.load_executable(PROMETHEUS, &prometheus).unwrap();
}
