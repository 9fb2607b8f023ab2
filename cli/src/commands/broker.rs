//! `sluicectl broker …`

use super::{Outcome, shown};
use crate::connect::Asked;
use crate::session::Session;
use crate::views::broker::BrokerStatus;
use sluice_proto::admin::GetStatusRequest;

pub(super) async fn status(session: &Session) -> Outcome {
    let admin = session.admin().await?;
    let answer = admin.broker().get_status(GetStatusRequest {}).await;
    shown(BrokerStatus::from(admin.answer(&Asked::broker(), answer)?))
}
