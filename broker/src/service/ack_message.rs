//! `AckMessage`: messages are done. One command a queue, one answer an entry.

use super::Shared;
use super::handles::Scope;
use super::invalid::Invalid;
use super::metadata::Caller;
use super::status::{self, Failure};
use super::validate;
use sluice_core::command::{Change, SettleItem};
use sluice_core::ids::{GroupQueueId, TimeMs};
use sluice_core::limits;
use sluice_proto::v2::{AckMessageRequest, AckMessageResponse, AckMessageResultEntry, Code, Status};
use std::time::Instant;
use tonic::Request;

pub(super) async fn handle(
    shared: &Shared,
    request: Request<AckMessageRequest>,
) -> Result<AckMessageResponse, Failure> {
    let (metadata, extensions, request) = request.into_parts();
    let caller = Caller::of(&metadata, &extensions)?;
    validate::count("entries", request.entries.len(), limits::ACKNOWLEDGE_MAX)?;
    let scope = Scope::of(shared, &caller, request.group.as_ref(), request.topic.as_ref())?;
    if request.entries.is_empty() {
        return Err(Invalid::Request("the request has no entries").into());
    }
    let (mut statuses, mut by_queue) = (Vec::with_capacity(request.entries.len()), Vec::<OfQueue>::new());
    let mut delivered = Vec::with_capacity(request.entries.len());
    for (place, entry) in request.entries.iter().enumerate() {
        let receipt = match scope.receipt(shared, &entry.receipt_handle) {
            Ok(receipt) => receipt,
            Err(invalid) => {
                statuses.push(Failure::from(invalid).into_status());
                continue;
            }
        };
        statuses.push(status::ok());
        delivered.push((place, receipt.delivered_ms));
        let item = SettleItem {
            offset: receipt.offset,
            delivery: receipt.delivery,
        };
        match by_queue.iter_mut().find(|queue| queue.id == receipt.id) {
            Some(queue) => queue.add(place, item),
            None => by_queue.push(OfQueue {
                id: receipt.id,
                places: vec![place],
                items: vec![item],
            }),
        }
    }
    let settled = match by_queue.len() {
        // Nearly always: no need to gather futures.
        1 => vec![by_queue.remove(0).settle(shared).await],
        _ => futures::future::join_all(by_queue.into_iter().map(|queue| queue.settle(shared))).await,
    };
    for (place, status) in settled.into_iter().flatten() {
        statuses[place] = status;
    }
    count(shared, &caller, &statuses, &delivered);
    let entries = request
        .entries
        .into_iter()
        .zip(statuses)
        .map(|(entry, status)| AckMessageResultEntry {
            message_id: entry.message_id,
            receipt_handle: entry.receipt_handle,
            status: Some(status),
        });
    let entries: Vec<_> = entries.collect();
    Ok(AckMessageResponse {
        status: Some(status::over(entries.iter().map(|entry| &entry.status))),
        entries,
    })
}

/// Counts what is done: by place, when it was delivered.
fn count(shared: &Shared, caller: &Caller<'_>, statuses: &[Status], delivered: &[(usize, Option<TimeMs>)]) {
    let is_done = |place: usize| {
        statuses
            .get(place)
            .is_some_and(|status| status.code == Code::Ok as i32)
    };
    let (now_ms, now) = (shared.engine.now(), Instant::now());
    shared.clients.count_for(caller.client_id, |figures| {
        for (_, delivered_ms) in delivered.iter().filter(|(place, _)| is_done(*place)) {
            figures.acknowledged(delivered_ms.map(|ms| now_ms.saturating_sub(ms)), now);
        }
    });
}

/// The entries of one queue, and their places in the request.
struct OfQueue {
    id: GroupQueueId,
    places: Vec<usize>,
    items: Vec<SettleItem>,
}

impl OfQueue {
    fn add(&mut self, place: usize, item: SettleItem) {
        self.places.push(place);
        self.items.push(item);
    }

    /// Settles them; the statuses of those that are not done.
    async fn settle(self, shared: &Shared) -> Vec<(usize, Status)> {
        let Self { id, places, items } = self;
        match shared.engine.settle(id, Change::Done, items).await {
            Ok(settled) => {
                let refused = places
                    .into_iter()
                    .zip(settled.accepted)
                    .filter(|(_, accepted)| !accepted);
                refused
                    .map(|(place, _)| (place, Failure::from(Invalid::Handle).into_status()))
                    .collect()
            }
            Err(error) => {
                let status = Failure::from(error).into_status();
                places.into_iter().map(|place| (place, status.clone())).collect()
            }
        }
    }
}
