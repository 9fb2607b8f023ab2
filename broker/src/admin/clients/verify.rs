//! A client is had to handle a message as a trial.

use super::{check_id, within};
use crate::admin::{Outcome, Shared, messages};
use crate::service::ask;
use sluice_proto::admin::{VerifyMessageRequest, VerifyMessageResponse};

pub(super) async fn handle(shared: &Shared, request: VerifyMessageRequest) -> Outcome<VerifyMessageResponse> {
    check_id(&request.client_id)?;
    let within = within(request.timeout_ms)?;
    let message = messages::by_id(shared, &request.message_id, &request.topic).await?;
    let verdict = ask::verify(&shared.clients, &request.client_id, &message, within).await?;
    Ok(VerifyMessageResponse {
        code: verdict.code,
        message: verdict.message,
    })
}
