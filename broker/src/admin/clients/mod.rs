//! Clients, and what they are asked (B11).

mod describe;
mod list;
mod thread_stacks;
mod verify;

use super::audit::{Change, answer_change, asked};
use super::status::Wrong;
use super::{Admin, Answered, answer};
use sluice_core::limits;
use sluice_proto::admin::client_service_server::ClientService;
use sluice_proto::admin::*;
use std::time::Duration;
use tonic::Request;

const ANSWER_MS_DEFAULT: u64 = 5_000;
const ANSWER_MS_MAX: u64 = 60_000;

#[tonic::async_trait]
impl ClientService for Admin {
    async fn list_clients(&self, request: Request<ListClientsRequest>) -> Answered<ListClientsResponse> {
        answer(list::handle(&self.0, request.into_inner()).await)
    }

    async fn describe_client(&self, request: Request<DescribeClientRequest>) -> Answered<Client> {
        answer(describe::handle(&self.0, request.into_inner()).await)
    }

    async fn get_thread_stacks(
        &self,
        request: Request<GetThreadStacksRequest>,
    ) -> Answered<GetThreadStacksResponse> {
        answer(thread_stacks::handle(&self.0, request.into_inner()).await)
    }

    async fn verify_message(
        &self,
        request: Request<VerifyMessageRequest>,
    ) -> Answered<VerifyMessageResponse> {
        // Nothing of the broker's changes. What the application does with the message is real.
        let (caller, request) = asked(request)?;
        let client = request.client_id.clone();
        let shared = self.shared();
        let tried = async move { verify::handle(&shared, request).await };
        answer_change(Change::by("VerifyMessage"), caller, tried, move |tried| {
            format!("client {client:?} handled a message as a trial: {}", tried.code)
        })
        .await
    }
}

/// How long a client may take to answer.
fn within(timeout_ms: u64) -> Result<Duration, Wrong> {
    match timeout_ms {
        0 => Ok(Duration::from_millis(ANSWER_MS_DEFAULT)),
        ms if ms <= ANSWER_MS_MAX => Ok(Duration::from_millis(ms)),
        ms => Err(Wrong::Request(format!(
            "timeout_ms is {ms}: give at most {ANSWER_MS_MAX}, or 0 for {ANSWER_MS_DEFAULT}"
        ))),
    }
}

fn check_id(client_id: &str) -> Result<(), Wrong> {
    if client_id.is_empty() || client_id.len() > limits::CLIENT_ID_MAX {
        return Err(Wrong::Request(format!(
            "client_id has {} bytes: give a client's id, of 1 to {}",
            client_id.len(),
            limits::CLIENT_ID_MAX
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_five_seconds_unless_the_call_says_otherwise() {
        for (given, ms) in [(0, 5000), (1, 1), (60_000, 60_000)] {
            assert_eq!(within(given), Ok(Duration::from_millis(ms)));
        }
        assert!(within(60_001).unwrap_err().to_string().contains("at most 60000"));
    }
}
