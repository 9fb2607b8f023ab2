//! One client.

use super::check_id;
use crate::admin::status::Wrong;
use crate::admin::{Outcome, Shared, convert};
use sluice_proto::admin::{Client, DescribeClientRequest};

pub(super) async fn handle(shared: &Shared, request: DescribeClientRequest) -> Outcome<Client> {
    check_id(&request.client_id)?;
    let view = shared.insight.describe(&request.client_id).await?;
    let view = view.ok_or(Wrong::NoClient(request.client_id))?;
    Ok(convert::client::client(&view))
}
