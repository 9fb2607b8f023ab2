//! Keys with their values, and where those come from.

use super::entry;
use crate::admin::status::Wrong;
use crate::admin::{Outcome, Shared};
use sluice_proto::admin::{GetConfigRequest, GetConfigResponse};

pub(super) fn handle(shared: &Shared, request: GetConfigRequest) -> Outcome<GetConfigResponse> {
    let all = shared.live.entries();
    if request.keys.len() > all.len() {
        return Err(Wrong::Request(format!(
            "there are {} keys: ask for each once, or for none to see all",
            all.len()
        ))
        .into());
    }
    let entries = if request.keys.is_empty() {
        all
    } else {
        let keys = request.keys.iter();
        keys.map(|key| shared.live.get(key)).collect::<Result<_, _>>()?
    };
    Ok(GetConfigResponse {
        entries: entries.iter().map(entry).collect(),
    })
}
