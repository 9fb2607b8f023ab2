//! The broker's admin API, with the token on each call.

use super::channel::connect;
use super::status::Asked;
use super::unreachable::Purpose;
use crate::failure::Failure;
use crate::settings::{Address, Settings};
use sluice_proto::admin::broker_service_client::BrokerServiceClient;
use sluice_proto::admin::client_service_client::ClientServiceClient;
use sluice_proto::admin::group_service_client::GroupServiceClient;
use sluice_proto::admin::message_service_client::MessageServiceClient;
use sluice_proto::admin::topic_service_client::TopicServiceClient;
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

/// A message's body and some room.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// The channel of an admin stub.
pub type Authorized = InterceptedService<Channel, Token>;

/// Puts the token and the deadline on each call.
#[derive(Clone)]
pub struct Token {
    value: Option<MetadataValue<Ascii>>,
    timeout: Duration,
}

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.value {
            request.metadata_mut().insert("authorization", value.clone());
        }
        request.set_timeout(self.timeout);
        Ok(request)
    }
}

/// A connection to the admin API.
#[derive(Clone)]
pub struct Admin {
    address: Address,
    tls: bool,
    service: Authorized,
}

impl Admin {
    /// Connects to the broker that the settings name.
    ///
    /// # Errors
    /// When nobody answers there, or a file that the settings name cannot be used.
    pub async fn connect(settings: &Settings) -> Result<Self, Failure> {
        let value = match settings.token()? {
            Some(token) => Some(
                MetadataValue::try_from(format!("Bearer {token}"))
                    .map_err(|_| Failure::usage("the token has characters that no token has"))?,
            ),
            None => None,
        };
        let token = Token {
            value: value.map(|mut value| {
                value.set_sensitive(true);
                value
            }),
            timeout: settings.timeout,
        };
        let channel = connect(&settings.admin, &settings.tls, settings.timeout, Purpose::Admin).await?;
        Ok(Self {
            address: settings.admin.clone(),
            tls: settings.tls.enabled,
            service: InterceptedService::new(channel, token),
        })
    }

    /// Where the admin API is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Topics.
    pub fn topics(&self) -> TopicServiceClient<Authorized> {
        TopicServiceClient::new(self.service.clone())
    }

    /// Consumer groups.
    pub fn groups(&self) -> GroupServiceClient<Authorized> {
        GroupServiceClient::new(self.service.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Clients.
    pub fn clients(&self) -> ClientServiceClient<Authorized> {
        ClientServiceClient::new(self.service.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Messages.
    pub fn messages(&self) -> MessageServiceClient<Authorized> {
        MessageServiceClient::new(self.service.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// The broker.
    pub fn broker(&self) -> BrokerServiceClient<Authorized> {
        BrokerServiceClient::new(self.service.clone())
    }

    /// The answer of a call that was about this, or why there is none.
    ///
    /// # Errors
    /// When the call was refused or not answered.
    pub fn answer<T>(&self, asked: &Asked, result: Result<Response<T>, Status>) -> Result<T, Failure> {
        match result {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(asked.failure(&self.address, self.tls, &status)),
        }
    }
}
