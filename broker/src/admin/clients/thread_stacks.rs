//! A client is asked for the stacks of its threads.

use super::{check_id, within};
use crate::admin::page::BYTES_MAX;
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
    Ok(GetThreadStacksResponse {
        stacks: cut(stacks, BYTES_MAX),
    })
}

/// The beginning of it, if all would be too long for an answer.
fn cut(mut stacks: String, max: usize) -> String {
    let bytes = stacks.len();
    if bytes > max {
        stacks.truncate(stacks.floor_char_boundary(max));
        stacks.push_str(&format!("\n… and so on: the client has sent {bytes} bytes"));
    }
    stacks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_without_end_are_cut_and_say_so() {
        assert_eq!(cut("at main".to_owned(), 7), "at main");
        let cut = cut("atömain".to_owned(), 3);
        assert_eq!(cut, "at\n… and so on: the client has sent 8 bytes");
    }
}
