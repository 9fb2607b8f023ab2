//! `sluicectl autoscale …`: what the operator says of the scaling of a group.

use super::{Outcome, shown};
use crate::args::AutoscaleCommand;
use crate::kubernetes::Kubernetes;
use crate::units::now_ms;
use crate::views::autoscaling::Explanation;
use std::time::Duration;

/// Does what the command asks for. A call takes at most as long as `timeout`.
///
/// # Errors
/// When there is no such group, or the API server does not say.
pub async fn run(command: &AutoscaleCommand, timeout: Duration) -> Outcome {
    let AutoscaleCommand::Explain { group, kubernetes } = command;
    let kubernetes = Kubernetes::find(kubernetes, timeout).await?;
    let found = kubernetes.group(group).await?;
    shown(Explanation::new(&found, now_ms()))
}
