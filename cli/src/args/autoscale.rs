//! `sluicectl autoscale …`

use clap::{Args, Subcommand};
use std::path::PathBuf;

const EXPLAIN: &str = "\
Examples:
  sluicectl autoscale explain billing
  sluicectl autoscale explain billing -n shop --kube-context prod --watch
  sluicectl autoscale explain billing -o json

It reads the group's ConsumerGroup from the API server, and needs to be allowed to get and list that kind. Guards,
conditions that hold things back and the last decisions are shown; -o wide shows every condition.";

/// About the scaling of consumers.
#[derive(Debug, Subcommand)]
pub enum AutoscaleCommand {
    /// Show how many replicas a group's consumers have, what was decided last, and why
    #[command(after_help = EXPLAIN)]
    Explain {
        /// The ConsumerGroup's name, or the group's own
        #[arg(value_name = "GROUP")]
        group: String,
        /// Which Kubernetes.
        #[command(flatten)]
        kubernetes: KubernetesArgs,
    },
}

/// Which Kubernetes, and where in it. Without any, as kubectl would have it.
#[derive(Clone, Debug, Default, Args)]
pub struct KubernetesArgs {
    /// The namespace; the kubeconfig's unless given
    #[arg(short, long, value_name = "NAME", help_heading = "Kubernetes")]
    pub namespace: Option<String>,
    /// The kubeconfig file [env: KUBECONFIG] [default: ~/.kube/config]
    #[arg(long, value_name = "FILE", help_heading = "Kubernetes")]
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; its current one unless given
    #[arg(long, value_name = "NAME", help_heading = "Kubernetes")]
    pub kube_context: Option<String>,
}
