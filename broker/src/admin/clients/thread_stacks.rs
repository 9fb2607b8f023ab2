//! A client is asked for the stacks of its threads.

use super::{check_id, within};
use crate::admin::{Outcome, Shared};
use crate::service::ask;
use sluice_proto::admin::{GetThreadStacksRequest, GetThreadStacksResponse};

pub(super) async fn handle(
    shared: &Shared,
    request: GetThreadStacksRequest,
) -> Outcome<GetThreadStacksResponse> {
    check_id(&request.client_id)?;
    let within = within(request.timeout_ms)?;
    let stacks = ask::thread_stacks(&shared.clients, &request.client_id, within).await?;
    Ok(GetThreadStacksResponse { stacks })
}
