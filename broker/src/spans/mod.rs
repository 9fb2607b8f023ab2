//! A span of each call, for a collector of OpenTelemetry's. There is nothing of it unless one is configured: then this is
//! all that knows of spans, and a call without it does not ask for the time, the topic or anything else.

mod asked;
mod export;

pub use asked::Asked;

use export::Exporter;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};
use std::time::Duration;
use tonic::metadata::{KeyRef, MetadataMap};

const SERVICE: &str = "sluice-broker";
const CLIENT_ID: &str = "x-mq-client-id";
/// Of names that clients send; longer ones are refused, but only after this.
const NAME_BYTES_MAX: usize = 255;
/// For what has not been sent when the broker ends.
const LAST_WITHIN: Duration = Duration::from_secs(3);

/// Where spans begin. What waits to be sent is bounded; beyond that spans are dropped.
#[derive(Clone, Debug)]
pub struct Spans {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    traces: TraceContextPropagator,
}

impl Spans {
    /// Sends spans there from now on. To be called in the runtime that will send them.
    pub fn start(endpoint: &str, cluster: &str, broker: &str) -> anyhow::Result<Self> {
        let resource = Resource::builder()
            .with_service_name(SERVICE)
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.namespace", cluster.to_owned()),
                KeyValue::new("service.instance.id", broker.to_owned()),
            ])
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(Exporter::to(endpoint)?)
            .with_resource(resource)
            .build();
        tracing::info!(endpoint, "spans of calls are sent");
        Ok(Self {
            tracer: provider.tracer(SERVICE),
            provider,
            traces: TraceContextPropagator::new(),
        })
    }

    /// The call begins. Where its client is in a trace, the span is part of that.
    pub fn begin(&self, call: &'static str, metadata: &MetadataMap, asked: &impl Asked) -> CallSpan {
        let parent = self
            .traces
            .extract_with_context(&Context::new(), &Headers(metadata));
        let names = [
            ("messaging.destination.name", asked.topic()),
            ("messaging.consumer.group.name", asked.group()),
            (
                "messaging.client.id",
                metadata.get(CLIENT_ID).and_then(|id| id.to_str().ok()),
            ),
        ];
        let names = names.into_iter().filter_map(|(key, name)| {
            let name = name.filter(|name| !name.is_empty())?;
            Some(KeyValue::new(key, bounded(name).to_owned()))
        });
        let fixed = [
            KeyValue::new("messaging.system", "rocketmq"),
            KeyValue::new("messaging.operation.name", call),
        ];
        let builder = self.tracer.span_builder(call).with_kind(SpanKind::Server);
        let builder = builder.with_attributes(fixed.into_iter().chain(names));
        CallSpan(self.tracer.build_with_context(builder, &parent))
    }

    /// Sends what has not been sent, for a bounded time. Blocks.
    pub fn stop(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST_WITHIN) {
            tracing::warn!(%error, "the last spans have not been sent");
        }
    }
}

/// A call's span. One that is dropped without a code was cancelled.
#[derive(Debug)]
pub struct CallSpan(Span);

impl CallSpan {
    /// The call was answered with the code of that name.
    pub fn finish(mut self, code: &'static str, is_success: bool) {
        self.0
            .set_attribute(KeyValue::new("messaging.rocketmq.code", code));
        if !is_success {
            self.0.set_status(Status::error(code));
        }
        self.0.end();
    }
}

fn bounded(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}

struct Headers<'a>(&'a MetadataMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        let keys = self.0.keys();
        keys.filter_map(|key| match key {
            KeyRef::Ascii(key) => Some(key.as_str()),
            KeyRef::Binary(_) => None,
        })
        .collect()
    }
}
