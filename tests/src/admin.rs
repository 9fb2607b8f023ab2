//! A client of the admin API: the generated stubs, with what lets them in.

mod transport;

use std::time::Duration;

use anyhow::{Context as _, Result};
use sluice_proto::admin::broker_service_client::BrokerServiceClient;
use sluice_proto::admin::client_service_client::ClientServiceClient;
use sluice_proto::admin::group_service_client::GroupServiceClient;
use sluice_proto::admin::message_service_client::MessageServiceClient;
use sluice_proto::admin::topic_service_client::TopicServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

pub use transport::{Authority, Certificate, Tls};

const CALL_WITHIN: Duration = Duration::from_secs(15);
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// A connection to the admin port, made on first use.
#[derive(Debug, Clone)]
pub struct Admin {
    channel: Channel,
    token: Option<MetadataValue<Ascii>>,
}

/// A channel whose calls carry the token.
pub type Carried = InterceptedService<Channel, Bearer>;

impl Admin {
    /// In plaintext, without a token.
    ///
    /// # Errors
    /// When the endpoint is malformed.
    pub fn new(endpoint: &str) -> Result<Self> {
        Self::with(endpoint, &Tls::Off)
    }

    /// With TLS or without.
    ///
    /// # Errors
    /// When the endpoint or the certificate is malformed.
    pub fn with(endpoint: &str, tls: &Tls) -> Result<Self> {
        Ok(Self {
            channel: transport::channel(endpoint, tls)?,
            token: None,
        })
    }

    /// The same with a token.
    ///
    /// # Errors
    /// When it can be in no header.
    pub fn token(mut self, token: &str) -> Result<Self> {
        let value = format!("Bearer {token}").parse();
        self.token = Some(value.context("the token can be in no header")?);
        Ok(self)
    }

    /// The connection itself.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Topics.
    #[must_use]
    pub fn topics(&self) -> TopicServiceClient<Carried> {
        TopicServiceClient::new(self.carried())
    }

    /// Consumer groups.
    #[must_use]
    pub fn groups(&self) -> GroupServiceClient<Carried> {
        GroupServiceClient::new(self.carried())
    }

    /// Clients.
    #[must_use]
    pub fn clients(&self) -> ClientServiceClient<Carried> {
        ClientServiceClient::new(self.carried())
    }

    /// Messages.
    #[must_use]
    pub fn messages(&self) -> MessageServiceClient<Carried> {
        MessageServiceClient::new(self.carried()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// The broker.
    #[must_use]
    pub fn broker(&self) -> BrokerServiceClient<Carried> {
        BrokerServiceClient::new(self.carried())
    }

    fn carried(&self) -> Carried {
        InterceptedService::new(self.channel(), Bearer(self.token.clone()))
    }
}

/// Puts the token and a deadline on each call.
#[derive(Debug, Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        request.set_timeout(CALL_WITHIN);
        Ok(request)
    }
}

/// The reason that a refusal carries for programs; empty without one.
#[must_use]
pub fn reason(status: &Status) -> String {
    let reason = status.metadata().get("sluice-reason");
    reason
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}
