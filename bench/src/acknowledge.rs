//! The consumer's acknowledgements: as many messages a call as asked for, with bounded concurrency.

use std::sync::Arc;
use std::time::Instant;

use sluice_proto::v2;
use tokio::sync::OwnedSemaphorePermit;

use crate::client::{Client, Failure, check};
use crate::message::resource;
use crate::progress::Live;
use crate::receive::Receiver;

impl Receiver {
    /// Acknowledges in the background; waits while too many calls are under way.
    pub(crate) async fn acknowledge(self: &Arc<Self>, client: &Client, messages: Vec<v2::Message>) {
        let entries = messages
            .into_iter()
            .filter_map(|message| message.system_properties)
            .map(|properties| {
                let receipt_handle = properties.receipt_handle.unwrap_or_default();
                v2::AckMessageEntry {
                    message_id: properties.message_id,
                    receipt_handle,
                    lite_topic: None,
                }
            });
        let entries: Vec<_> = entries.collect();
        for chunk in entries.chunks(usize::from(self.reception.ack_batch)) {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
                return;
            };
            tokio::spawn(Arc::clone(self).acknowledge_some(client.clone(), chunk.to_vec(), permit));
        }
    }

    async fn acknowledge_some(
        self: Arc<Self>,
        mut client: Client,
        entries: Vec<v2::AckMessageEntry>,
        _permit: OwnedSemaphorePermit,
    ) {
        let asked = entries.len() as u64;
        let body = v2::AckMessageRequest {
            group: Some(resource(&self.reception.group)),
            topic: Some(resource(&self.topic)),
            entries,
        };
        let began = Instant::now();
        let request = client.request(body, self.request_timeout);
        let response = client
            .stub
            .ack_message(request)
            .await
            .map(tonic::Response::into_inner);
        let latency = began.elapsed();
        let measuring = self.measuring();
        let mut tally = self.tally.lock();
        let failures = match response {
            Ok(response) => ack_failures(&response),
            Err(status) => (0..asked).map(|_| Failure::from(status.clone())).collect(),
        };
        let acked = asked.saturating_sub(failures.len() as u64);
        Live::add(&self.live.acked, acked);
        if measuring {
            tally.acked += acked;
            tally.last = Some(Instant::now());
            if failures.is_empty() {
                tally.ack.record(latency);
            }
        }
        for failure in failures {
            self.live.fail("ack", &failure);
            tally.ack.fail(failure.key);
        }
    }
}

/// The failed entries; a refusal without entries counts once.
fn ack_failures(response: &v2::AckMessageResponse) -> Vec<Failure> {
    let Err(overall) = check(response.status.as_ref()) else {
        return Vec::new();
    };
    let failures: Vec<_> = response
        .entries
        .iter()
        .filter_map(|entry| check(entry.status.as_ref()).err())
        .collect();
    if failures.is_empty() {
        vec![overall]
    } else {
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: v2::Code) -> Option<v2::Status> {
        Some(v2::Status {
            code: code.into(),
            message: String::new(),
        })
    }

    fn entry(code: v2::Code) -> v2::AckMessageResultEntry {
        v2::AckMessageResultEntry {
            status: status(code),
            ..Default::default()
        }
    }

    #[test]
    fn failed_entries_of_an_acknowledgement_are_counted_one_by_one() {
        let handle = v2::Code::InvalidReceiptHandle;
        for (overall, entries, failed) in [
            (v2::Code::Ok, vec![entry(v2::Code::Ok)], 0),
            (
                v2::Code::MultipleResults,
                vec![entry(v2::Code::Ok), entry(handle), entry(handle)],
                2,
            ),
            (v2::Code::TooManyRequests, vec![], 1),
        ] {
            let response = v2::AckMessageResponse {
                status: status(overall),
                entries,
            };
            assert_eq!(ack_failures(&response).len(), failed, "{overall:?}");
        }
    }
}
