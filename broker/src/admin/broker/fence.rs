//! A writer gets the next epoch, and those before it write no more.

use crate::admin::{Outcome, Shared};
use sluice_proto::admin::{FenceRequest, FenceResponse};

pub(super) async fn handle(shared: &Shared, request: FenceRequest) -> Outcome<FenceResponse> {
    let epoch = shared.engine.fence(&request.holder).await?;
    Ok(FenceResponse { epoch })
}
