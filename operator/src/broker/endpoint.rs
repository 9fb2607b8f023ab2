//! Where a cluster's admin API is, and how to be let in.

use http::uri::Authority;
use std::fmt;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint as Transport};

use super::certificate::Pinned;
use super::error::{BrokerError, causes};
use std::sync::Arc;
use std::time::Duration;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Connections that nobody uses are looked at this often, so that a broker that vanished without a word is noticed.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Everything that a connection depends on: another value is another connection.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// HOST:PORT.
    pub address: String,
    /// TLS with a broker that shows this certificate, in PEM; plaintext without.
    pub certificate: Option<Vec<u8>>,
    /// What the broker lets in.
    pub token: Option<String>,
}

impl fmt::Debug for Endpoint {
    /// Without the token.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Endpoint")
            .field("address", &self.address)
            .field("tls", &self.certificate.is_some())
            .field("token", &self.token.is_some())
            .finish()
    }
}

impl Endpoint {
    /// A channel that connects when it is first used, and again whenever it has to.
    pub(super) fn channel(&self) -> Result<Channel, BrokerError> {
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        let invalid =
            |why: String| BrokerError::Invalid(format!("{} is no admin address: {why}", self.address));
        let authority = self.address.parse::<Authority>().ok();
        if authority.and_then(|authority| authority.port_u16()).is_none() {
            return Err(invalid("write HOST:PORT".to_owned()));
        }
        let transport = Transport::from_shared(format!("{scheme}://{}", self.address))
            .map_err(|error| invalid(error.to_string()))?
            .user_agent(concat!("sluice-operator/", env!("CARGO_PKG_VERSION")))
            .map_err(|error| invalid(error.to_string()))?
            .connect_timeout(CONNECT_WITHIN)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true);
        let Some(certificate) = &self.certificate else {
            return Ok(transport.connect_lazy());
        };
        let pinned = Arc::new(Pinned::new(certificate)?);
        let transport = transport
            .tls_config_with_verifier(ClientTlsConfig::new(), pinned)
            .map_err(|error| {
                let why = causes(&error);
                BrokerError::Invalid(format!("TLS to {} cannot be used: {why}", self.address))
            })?;
        Ok(transport.connect_lazy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_of_an_endpoint_has_no_secret() {
        let endpoint = Endpoint {
            address: "orders-admin.shop.svc:8082".to_owned(),
            certificate: None,
            token: Some("tr0ub4dor".to_owned()),
        };
        let printed = format!("{endpoint:?}");
        assert!(
            printed.contains("orders-admin") && !printed.contains("tr0ub4dor"),
            "{printed}"
        );
    }

    #[tokio::test]
    async fn an_address_that_is_none_is_refused_before_anybody_waits() {
        for address in ["", "a b:1", "host:port:more", "http://x"] {
            let endpoint = Endpoint {
                address: address.to_owned(),
                certificate: None,
                token: None,
            };
            assert!(
                matches!(endpoint.channel(), Err(BrokerError::Invalid(_))),
                "{address}"
            );
        }
    }
}
