//! All controllers.

use crate::broker_cluster;
use crate::broker_object::{self, Clusters};
use crate::context::Context;
use crate::evaluation;
use crate::settings::Scope;
use crate::shutdown::Shutdown;
use sluice_operator_api::{ConsumerGroup, Topic};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Runs them in each scope until the process stops, or one of them breaks: then none goes on without it.
pub async fn run(scopes: Vec<Scope>, context: Arc<Context>, shutdown: Shutdown) {
    let mut running = JoinSet::new();
    for scope in scopes {
        let (context, shutdown) = (Arc::clone(&context), shutdown.clone());
        running.spawn(async move {
            let clusters = Clusters::watch(Arc::clone(&context), &scope, &shutdown).await;
            tokio::join!(
                broker_cluster::run(Arc::clone(&context), scope.clone(), shutdown.clone()),
                broker_object::run::<Topic>(
                    Arc::clone(&context),
                    Arc::clone(&clusters),
                    scope.clone(),
                    shutdown.clone()
                ),
                broker_object::run::<ConsumerGroup>(
                    Arc::clone(&context),
                    Arc::clone(&clusters),
                    scope.clone(),
                    shutdown.clone()
                ),
                evaluation::run(context, clusters, scope, shutdown),
            );
        });
    }
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a controller broke");
            return;
        }
    }
}
