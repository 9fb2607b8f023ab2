//! Requests whose bytes are not what their call takes, for every call there is.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use sluice_tests::process::{Broker, Setup};
use sluice_tests::seed::{self, Chance};
use sluice_tests::wait;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::stage::serves;

/// A call that says nothing for as long has been taken for a good one, and waits.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// Of each kind that is made by chance.
const TRIES: usize = 20;

/// Bytes as they are.
#[derive(Clone, Copy, Default)]
pub struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, bytes: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(bytes);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// The paths of all calls of a package.
fn paths(package: &str) -> Vec<PathAndQuery> {
    let all = FileDescriptorSet::decode(sluice_proto::DESCRIPTORS).unwrap();
    let files = all.file.iter().filter(|file| file.package() == package);
    let services = files.flat_map(|file| &file.service);
    let paths = services.flat_map(|service| {
        let calls = service.method.iter();
        calls.map(move |call| format!("/{package}.{}/{}", service.name(), call.name()))
    });
    paths.map(|path| path.parse().unwrap()).collect()
}

/// What no call takes: each is wrong whatever the fields are.
fn never_right() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (
            "a field of a length beyond the end",
            vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x07],
        ),
        ("a number without end", vec![0xff; 16]),
        ("a field with number 0", vec![0x02, 0x00]),
        ("a wire type that there is not", vec![0x0f, 0x00]),
        ("the end of a group that did not begin", vec![0x0c]),
        ("a group that does not end", vec![0x0b]),
    ]
}

/// What may be right by chance.
fn perhaps_right(chance: &mut Chance) -> Vec<(&'static str, Vec<u8>)> {
    let mut all = vec![
        ("nothing", Vec::new()),
        ("text that is not UTF-8", vec![0x0a, 0x04, 0x0a, 0x02, 0xff, 0xfe]),
        ("a message in a message, ten thousand deep", nested(10_000)),
        ("one field a hundred thousand times", [0x0a, 0x00].repeat(100_000)),
        (
            "numbers where texts are meant",
            vec![0x08, 0x01, 0x10, 0x01, 0x18, 0x01, 0x20, 0x01],
        ),
    ];
    for _ in 0..TRIES {
        let length = chance.between(1, 200) as usize;
        all.push((
            "random bytes",
            (0..length).map(|_| chance.number() as u8).collect(),
        ));
    }
    all
}

/// Field 1, in which is field 1, and so on.
fn nested(depth: usize) -> Vec<u8> {
    let mut inner = Vec::new();
    for _ in 0..depth {
        let mut outer = Vec::new();
        prost::encoding::bytes::encode(1, &inner, &mut outer);
        inner = outer;
    }
    inner
}

/// What became of it: a code of gRPC, or none where the call is answered or waits.
async fn code(channel: &Channel, path: &PathAndQuery, bytes: Vec<u8>) -> Result<Option<Code>> {
    let mut client = Grpc::new(channel.clone()).max_decoding_message_size(usize::MAX);
    client.ready().await?;
    let mut request = Request::new(tokio_stream::once(Bytes::from(bytes)));
    request.metadata_mut().insert("x-mq-client-id", "harm".parse()?);
    let call = async {
        let mut answers = client.streaming(request, path.clone(), Raw).await?.into_inner();
        while answers.message().await?.is_some() {}
        Ok(())
    };
    match tokio::time::timeout(ANSWERED_WITHIN, call).await {
        Err(_) | Ok(Ok(())) => Ok(None),
        Ok(Err(status)) => {
            let status: Status = status;
            ensure!(
                !status.message().is_empty(),
                "{path}: {:?} without a word",
                status.code()
            );
            Ok(Some(status.code()))
        }
    }
}

async fn try_all(package: &str, address: &str) {
    let mut chance = Chance::new(seed::from_environment().unwrap());
    let channel = Endpoint::new(format!("http://{address}")).unwrap().connect_lazy();
    let paths = paths(package);
    assert!(paths.len() >= 10, "{paths:?}");
    for path in &paths {
        for (what, bytes) in never_right() {
            let code = code(&channel, path, bytes).await.unwrap();
            assert_eq!(code, Some(Code::Internal), "{path} takes {what}");
        }
        for (what, bytes) in perhaps_right(&mut chance) {
            let shown = bytes.len();
            let code = code(&channel, path, bytes).await.unwrap();
            // The connection stands, and the call is answered: neither is it cut off, nor does nobody know what happened.
            assert!(
                !matches!(code, Some(Code::Unavailable | Code::Unknown | Code::Cancelled)),
                "{path}, {what}, {shown} bytes: {code:?}"
            );
        }
    }
}

async fn still_serves(broker: &Broker) {
    wait::within("the broker serves", crate::stage::SOON, async {
        serves(broker).await;
        Ok(())
    })
    .await
    .context("after all that")
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_of_clients_is_upset_by_what_is_no_request() {
    let broker = Setup::new().start().unwrap();
    try_all("apache.rocketmq.v2", &broker.endpoint()).await;
    still_serves(&broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_of_administrators_is_upset_by_what_is_no_request() {
    let broker = Setup::new().start().unwrap();
    try_all("sluice.admin.v1", &broker.admin_endpoint()).await;
    still_serves(&broker).await;
}
