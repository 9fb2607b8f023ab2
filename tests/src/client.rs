//! A thin client of the gRPC protocol, for tests that need what the SDKs hide: raw codes, handles, concurrency.

mod calls;
mod held;
mod pulls;
mod session;
mod tls;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow};
use prost_types::Timestamp;
use rustls::crypto::{CryptoProvider, ring};
use sluice_proto::v2;
use sluice_proto::v2::messaging_service_client::MessagingServiceClient;
use tonic::Request;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

pub use calls::{Receive, Received, attempt, message_id};
pub use held::HeldSend;
pub use pulls::{Pull, Pulled};
pub use session::{Session, producer_settings, push_consumer_settings, simple_consumer_settings};
pub use tls::shown_certificate;

pub(crate) use tls::AnyCertificate;

use crate::seed;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// How a client talks to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/2 without encryption.
    Plaintext,
    /// HTTP/2 over TLS; any certificate is accepted, as the SDKs do.
    Tls,
}

/// One client instance with one connection, which is made on first use and again after it broke.
#[derive(Debug, Clone)]
pub struct Client {
    stub: MessagingServiceClient<Channel>,
    channel: Channel,
    headers: Arc<MetadataMap>,
    endpoint: String,
}

impl Client {
    /// A client in plaintext.
    ///
    /// # Errors
    /// When the endpoint is malformed.
    pub fn new(endpoint: &str) -> Result<Self> {
        Self::with(endpoint, Transport::Plaintext)
    }

    /// A client with a transport of choice.
    ///
    /// # Errors
    /// When the endpoint is malformed.
    pub fn with(endpoint: &str, transport: Transport) -> Result<Self> {
        let channel = channel(endpoint, transport)?.connect_lazy();
        let stub = MessagingServiceClient::new(channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Self {
            stub,
            channel,
            headers: Arc::new(headers(&format!("tests@{:016x}", seed::entropy()))?),
            endpoint: endpoint.to_owned(),
        })
    }

    /// The same client without the header that names it.
    #[must_use]
    pub fn nameless(&self) -> Self {
        let mut headers = MetadataMap::clone(&self.headers);
        headers.remove("x-mq-client-id");
        Self {
            headers: Arc::new(headers),
            ..self.clone()
        }
    }

    /// The id by which the broker knows it; empty for a nameless one.
    #[must_use]
    pub fn id(&self) -> &str {
        let id = self.headers.get("x-mq-client-id");
        id.and_then(|id| id.to_str().ok()).unwrap_or_default()
    }

    /// The access point as the client names it in requests.
    #[must_use]
    pub fn access_point(&self) -> v2::Endpoints {
        let (host, port) = self.endpoint.rsplit_once(':').unwrap_or((&self.endpoint, "0"));
        let scheme = if host.parse::<std::net::Ipv4Addr>().is_ok() {
            v2::AddressScheme::IPv4
        } else {
            v2::AddressScheme::DomainName
        };
        v2::Endpoints {
            scheme: scheme.into(),
            addresses: vec![v2::Address {
                host: host.to_owned(),
                port: port.parse().unwrap_or(0),
            }],
        }
    }

    /// The generated client, for calls that nothing here wraps.
    #[must_use]
    pub fn stub(&self) -> MessagingServiceClient<Channel> {
        self.stub.clone()
    }

    /// Wraps a body with the headers and the deadline of a call.
    #[must_use]
    pub fn request<T>(&self, body: T) -> Request<T> {
        self.request_within(body, REQUEST_TIMEOUT)
    }

    /// As [`Client::request`] with another deadline.
    #[must_use]
    pub fn request_within<T>(&self, body: T, deadline: Duration) -> Request<T> {
        let mut request = self.endless(body);
        request.set_timeout(deadline);
        request
    }

    fn endless<T>(&self, body: T) -> Request<T> {
        let mut request = Request::new(body);
        *request.metadata_mut() = MetadataMap::clone(&self.headers);
        request
    }
}

/// A resource without a namespace.
#[must_use]
pub fn resource(name: &str) -> v2::Resource {
    v2::Resource {
        resource_namespace: String::new(),
        name: name.to_owned(),
    }
}

/// A message with what an SDK would set.
#[must_use]
pub fn message(topic: &str, body: impl Into<bytes::Bytes>) -> v2::Message {
    let properties = v2::SystemProperties {
        message_id: new_message_id(),
        body_encoding: v2::Encoding::Identity.into(),
        message_type: v2::MessageType::Normal.into(),
        born_timestamp: Some(now()),
        born_host: "tests".to_owned(),
        ..Default::default()
    };
    v2::Message {
        topic: Some(resource(topic)),
        user_properties: Default::default(),
        system_properties: Some(properties),
        body: body.into(),
    }
}

/// A message of a message group.
#[must_use]
pub fn fifo_message(topic: &str, message_group: &str, body: impl Into<bytes::Bytes>) -> v2::Message {
    let mut message = message(topic, body);
    if let Some(properties) = &mut message.system_properties {
        properties.message_group = Some(message_group.to_owned());
        properties.message_type = v2::MessageType::Fifo.into();
    }
    message
}

/// The code in a response; none if it has no status or an unknown one.
#[must_use]
pub fn code(status: Option<&v2::Status>) -> Option<v2::Code> {
    status.and_then(|status| v2::Code::try_from(status.code).ok())
}

/// A duration as the protocol has it.
#[must_use]
pub fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// 34 hex digits, as the SDKs make them.
fn new_message_id() -> String {
    format!("01{:016X}{:016X}", seed::entropy(), seed::entropy())
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or(0),
    }
}

fn headers(client_id: &str) -> Result<MetadataMap> {
    let mut headers = MetadataMap::new();
    for (name, value) in [
        ("x-mq-client-id", client_id),
        ("x-mq-language", "RUST"),
        ("x-mq-client-version", "5.0.0"),
        ("x-mq-protocol", "v2"),
    ] {
        let value = value
            .parse()
            .map_err(|_| anyhow!("{value:?} is no header value"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn channel(endpoint: &str, transport: Transport) -> Result<Endpoint> {
    let scheme = match transport {
        Transport::Plaintext => "http",
        Transport::Tls => "https",
    };
    let channel = Endpoint::from_shared(format!("{scheme}://{endpoint}"))
        .with_context(|| format!("{endpoint:?} is not HOST:PORT"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(16 << 20);
    if transport == Transport::Plaintext {
        return Ok(channel);
    }
    // The provider is the process's; a second installation changes nothing.
    let _ = CryptoProvider::install_default(ring::default_provider());
    channel
        .tls_config_with_verifier(ClientTlsConfig::new(), Arc::new(AnyCertificate::new()))
        .context("cannot use TLS")
}
