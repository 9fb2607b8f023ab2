//! Every call there is, as the descriptors have them.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use sluice_tests::admin::{Admin, reason};
use sluice_tests::process::Setup;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

const TOKEN: &str = "a-token-of-the-tests-that-is-long-enough";

/// `/SERVICE/METHOD` of all calls of the admin API.
fn calls() -> Vec<String> {
    let descriptors = FileDescriptorSet::decode(sluice_proto::DESCRIPTORS).unwrap();
    let files = descriptors.file.iter();
    let admin = files.filter(|file| file.package() == "sluice.admin.v1");
    let services = admin.flat_map(|file| &file.service);
    let methods = services.flat_map(|service| service.method.iter().map(move |method| (service, method)));
    methods
        .map(|(service, method)| format!("/sluice.admin.v1.{}/{}", service.name(), method.name()))
        .collect()
}

/// Calls it with an empty request.
async fn call(admin: &Admin, path: &str, token: Option<&str>) -> Result<(), Status> {
    let mut grpc = Grpc::new(admin.channel());
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let mut request = Request::new(());
    if let Some(token) = token {
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
    }
    let path: PathAndQuery = path.parse().unwrap();
    let codec = ProstCodec::<(), ()>::default();
    grpc.unary(request, path, codec).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_served_and_none_without_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, TOKEN).unwrap();
    let broker = Setup::new()
        .flag("--admin-token-file", tokens.to_str().unwrap())
        .start()
        .unwrap();
    let admin = Admin::new(&broker.admin_endpoint()).unwrap();
    let calls = calls();
    assert!(
        calls.len() > 20
            && calls
                .iter()
                .any(|path| path.ends_with("TopicService/DeleteTopic"))
    );
    let mut answers = BTreeMap::new();
    for path in &calls {
        let refused = call(&admin, path, None).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Unauthenticated, "TOKEN_MISSING"),
            "{path}"
        );
        // What an empty request asks for may be wrong; that somebody looks at it is enough.
        let answered = call(&admin, path, Some(TOKEN)).await;
        let code = answered.map_or_else(|status| status.code(), |()| Code::Ok);
        assert!(
            !matches!(
                code,
                Code::Unauthenticated | Code::Unimplemented | Code::Internal | Code::Unavailable
            ),
            "{path}: {code:?}"
        );
        let name = path.rsplit('/').next().unwrap();
        answers.insert((name.to_owned(), "UNAUTHENTICATED".to_owned()), 1.0);
        answers.insert((name.to_owned(), code_name(code)), 1.0);
    }
    let unknown = call(&admin, "/sluice.admin.v1.TopicService/Paint", Some(TOKEN)).await;
    assert_eq!(unknown.unwrap_err().code(), Code::Unimplemented);
    answers.insert(("other".to_owned(), "UNIMPLEMENTED".to_owned()), 1.0);

    let samples = broker.metrics().unwrap().into_iter();
    let counted = samples.filter(|sample| sample.name == "sluice_admin_calls_total" && sample.value > 0.0);
    let counted = counted.map(|mut sample| {
        let mut label = |name| sample.labels.remove(name).unwrap();
        ((label("call"), label("code")), sample.value)
    });
    assert_eq!(counted.collect::<BTreeMap<_, _>>(), answers);
}

/// As gRPC writes it.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_uppercase());
    }
    name
}
