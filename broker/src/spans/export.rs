//! Sending spans, and saying so when it does not work: once, and not with every batch.

use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as Export};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Sends spans with OpenTelemetry's protocol over gRPC.
#[derive(Debug)]
pub(super) struct Exporter {
    endpoint: String,
    sending: SpanExporter,
    fails: AtomicBool,
}

impl Exporter {
    pub(super) fn to(endpoint: &str) -> anyhow::Result<Self> {
        let sending = SpanExporter::builder().with_tonic().with_endpoint(endpoint);
        Ok(Self {
            endpoint: endpoint.to_owned(),
            sending: sending.build()?,
            fails: AtomicBool::new(false),
        })
    }

    fn tell(&self, sent: &OTelSdkResult) {
        let endpoint = &self.endpoint;
        let failed_before = self.fails.swap(sent.is_err(), Ordering::Relaxed);
        match sent {
            Err(error) if !failed_before => {
                tracing::warn!(endpoint, %error, "spans cannot be sent, and are dropped until they can");
            }
            Ok(()) if failed_before => tracing::info!(endpoint, "spans are sent again"),
            _ => {}
        }
    }
}

impl Export for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.sending.export(batch).await;
        self.tell(&sent);
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.sending.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.sending.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.sending.set_resource(resource);
    }
}
