//! A writer gets the next epoch, and those before it write no more.

use crate::admin::{Outcome, Shared};
use sluice_proto::admin::{FenceRequest, FenceResponse};

pub(super) async fn handle(shared: &Shared, request: FenceRequest) -> Outcome<FenceResponse> {
    // What the configuration is changed to meanwhile was asked for by a writer that is not fenced off yet.
    let _alone = shared.fencing.write().await;
    let epoch = shared.engine.fence(&request.holder).await?;
    Ok(FenceResponse { epoch })
}
