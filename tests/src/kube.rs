//! A real Kubernetes: an API server alone, for what only reads and writes objects, or a whole node that runs pods.
//!
//! The programs are built from their Go modules (`tests/kube/tools`) once, by `cargo xtask kube programs`. Nothing is
//! fetched from an image registry, and nothing outlives the process that started it, however that ends: the kernel ends
//! what it started, and the next start removes the folders.

pub mod api_server;
mod certificates;
mod cgroups;
pub mod cluster;
mod control_plane;
mod definitions;
mod folder;
mod forward;
pub mod helm;
mod kubeconfig;
pub mod kubectl;
mod namespaces;
mod node;
mod node_images;
mod port_forward;
mod process;
pub mod processes;
mod programs;
mod volumes;

pub use api_server::ApiServer;
pub use cluster::Cluster;
pub use definitions::of_prometheus_operator;
pub use folder::remove_abandoned;
pub use port_forward::PortForward;
pub use process::Process;
pub use programs::folder as programs_folder;
