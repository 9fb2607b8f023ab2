//! `ChangeInvisibleDuration`: a message stays hidden for longer, or comes back sooner. The old handle is void then.

use super::Shared;
use super::convert;
use super::handles::Scope;
use super::invalid::Invalid;
use super::metadata::Caller;
use super::status::{self, Failure};
use crate::receipt::Receipt;
use sluice_core::command::{Change, SettleItem};
use sluice_core::limits;
use sluice_proto::v2::{ChangeInvisibleDurationRequest, ChangeInvisibleDurationResponse, Code};
use std::time::Instant;
use tonic::Request;

pub(super) async fn handle(
    shared: &Shared,
    request: Request<ChangeInvisibleDurationRequest>,
) -> Result<ChangeInvisibleDurationResponse, Failure> {
    let (metadata, extensions, request) = request.into_parts();
    let caller = Caller::of(&metadata, &extensions)?;
    let scope = Scope::of(shared, &caller, request.group.as_ref(), request.topic.as_ref())?;
    let asked = request.invisible_duration.as_ref();
    let ms = convert::duration_ms(asked.ok_or(Invalid::InvisibleMissing)?)
        .filter(|ms| *ms <= limits::INVISIBLE_MS_MAX)
        .ok_or(Invalid::Invisible { min_ms: 0 })?;
    let receipt = scope.receipt(shared, &request.receipt_handle)?;
    match change(shared, receipt, ms).await {
        Ok(receipt_handle) => {
            // To those that fetch messages a longer time is more time to handle one.
            shared.clients.count_for(caller.client_id, |figures| {
                if ms == 0 || figures.pushes() {
                    figures.refused(Instant::now());
                }
            });
            Ok(ChangeInvisibleDurationResponse {
                status: Some(status::ok()),
                receipt_handle,
            })
        }
        // The client is to try again with the handle that it has.
        Err(failure) if failure.code == Code::TooManyRequests => Ok(ChangeInvisibleDurationResponse {
            status: Some(failure.into_status()),
            receipt_handle: request.receipt_handle,
        }),
        Err(failure) => Err(failure),
    }
}

async fn change(shared: &Shared, receipt: Receipt, ms: u64) -> Result<String, Failure> {
    let item = SettleItem {
        offset: receipt.offset,
        delivery: receipt.delivery,
    };
    let settled = shared
        .engine
        .settle(receipt.id, Change::VisibleIn(ms), vec![item])
        .await?;
    if settled.accepted.first() != Some(&true) {
        return Err(Invalid::Handle.into());
    }
    let changed = Receipt {
        delivery: settled.delivery,
        term: shared.engine.term(),
        ..receipt
    };
    Ok(shared.receipts.encode(&changed))
}
