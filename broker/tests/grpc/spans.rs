//! Spans of calls, as a collector gets them.

use crate::support::*;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use sluice_proto::v2::*;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status as Refusal};

/// Keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Refusal> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Tells where it listens.
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        format!("http://{address}")
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.0.lock().unwrap();
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_is_a_span_with_topic_group_client_and_code() {
    let collector = Collector::default();
    let endpoint = collector.start().await;
    let one_queue = "topics: [{name: t, queues: 1}]\n";
    let fixture = Fixture::with(one_queue, &["--otlp-endpoint", &endpoint]).await;
    fixture.send_ok(message("t", "a secret body")).await;
    let received = fixture.receive(|_| {}).await;
    fixture.ack("g", "t", &[handle(&received.messages[0])]).await;
    fixture.ack("g", "t", &["no handle"]).await;
    fixture.pull(0, |_| {}).await;
    fixture.update_offset(-1, |_| {}).await;
    fixture.broker.stop().await.unwrap();

    let spans = collector.spans();
    for (call, group, code) in [
        ("SendMessage", None, "OK"),
        ("ReceiveMessage", Some("g"), "OK"),
        ("AckMessage", Some("g"), "OK"),
        ("AckMessage", Some("g"), "INVALID_RECEIPT_HANDLE"),
        ("PullMessage", Some("g"), "OK"),
        ("UpdateOffset", Some("g"), "ILLEGAL_OFFSET"),
    ] {
        let found = spans.iter().find(|span| {
            span.name == call && text(&span.attributes, "messaging.rocketmq.code") == Some(code)
        });
        let span = found.unwrap_or_else(|| panic!("no span of {call} with {code}: {spans:?}"));
        assert_eq!(text(&span.attributes, "messaging.destination.name"), Some("t"));
        assert_eq!(text(&span.attributes, "messaging.consumer.group.name"), group);
        assert_eq!(text(&span.attributes, "messaging.client.id"), Some("client-1"));
        assert!(span.end_time_unix_nano > span.start_time_unix_nano);
        let failed = span
            .status
            .as_ref()
            .is_some_and(|status| status.code() == StatusCode::Error);
        assert_eq!(failed, code != "OK", "{call} with {code}");
    }
    assert!(!format!("{spans:?}").contains("secret"), "no bodies");
    let requests = collector.0.lock().unwrap();
    let resource = requests[0].resource_spans[0].resource.as_ref().unwrap();
    for (key, value) in [
        ("service.name", "sluice-broker"),
        ("service.namespace", "DefaultCluster"),
        ("service.instance.id", "broker-a"),
    ] {
        assert_eq!(text(&resource.attributes, key), Some(value));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_in_a_trace_has_its_calls_in_that() {
    let collector = Collector::default();
    let endpoint = collector.start().await;
    let fixture = Fixture::with("", &["--otlp-endpoint", &endpoint]).await;
    let mut request = fixture.request(QueryRouteRequest {
        topic: named("t"),
        ..Default::default()
    });
    let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let header = format!("00-{trace}-{parent}-01");
    request
        .metadata_mut()
        .insert("traceparent", header.parse().unwrap());
    fixture.stub().query_route(request).await.unwrap();
    fixture.broker.stop().await.unwrap();

    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let spans = collector.spans();
    let [span] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(
        (hex(&span.trace_id), hex(&span.parent_span_id)),
        (trace.to_owned(), parent.to_owned())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_holds_nothing_up() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let fixture = Fixture::with("", &["--otlp-endpoint", &endpoint]).await;
    fixture.send_ok(message("t", "a")).await;
    let stopping = Instant::now();
    fixture.broker.stop().await.unwrap();
    assert!(stopping.elapsed() < DEADLINE, "{:?}", stopping.elapsed());
}
