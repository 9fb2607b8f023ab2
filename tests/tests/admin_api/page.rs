//! What docs/admin-api.md says that one can call.

use std::collections::BTreeSet;
use std::path::Path;

use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use crate::stage::Stage;

/// `package.Service/Call` wherever it stands in the page.
fn calls(page: &str) -> BTreeSet<String> {
    let words = page.split(|letter: char| !(letter.is_ascii_alphanumeric() || ".-/".contains(letter)));
    let calls = words.filter(|word| word.starts_with("sluice.admin.v1.") && word.contains('/'));
    calls.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_that_the_page_names_is_served() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/admin-api.md");
    let calls = calls(&std::fs::read_to_string(page).unwrap());
    assert!(calls.len() > 4, "{calls:?}");
    let stage = Stage::new();
    let mut served = Vec::new();
    for call in calls
        .iter()
        .chain(["sluice.admin.v1.TopicService/NoSuchCall".to_owned()].iter())
    {
        let mut client = Grpc::new(stage.admin.channel());
        client.ready().await.unwrap();
        let path = PathAndQuery::try_from(format!("/{call}")).unwrap();
        // An empty message can be read as any.
        let answer = client
            .unary(Request::new(()), path, ProstCodec::<(), ()>::default())
            .await;
        let code = answer.map_or_else(|status| status.code(), |_| Code::Ok);
        served.push((call.clone(), code != Code::Unimplemented));
    }
    assert_eq!(served.pop().map(|(_, is_served)| is_served), Some(false));
    assert!(served.iter().all(|(_, is_served)| *is_served), "{served:?}");
}
