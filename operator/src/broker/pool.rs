//! One connection a cluster, made when it is first needed and kept while its endpoint stays the same.

use super::endpoint::Endpoint;
use super::error::BrokerError;
use super::remote::{Caller, Remote};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Beyond that the one that was used longest ago is closed.
const CONNECTIONS_MAX: usize = 256;

/// A BrokerCluster by namespace, name and uid: made anew it is another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClusterKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Given once by the API server.
    pub uid: String,
}

/// The connections.
pub struct Brokers {
    caller: Arc<Caller>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    connections: HashMap<ClusterKey, Connection>,
    /// Counts the uses.
    uses: u64,
}

struct Connection {
    endpoint: Endpoint,
    remote: Arc<Remote>,
    used: u64,
}

impl Brokers {
    /// None yet.
    pub fn new(caller: Caller) -> Self {
        Self {
            caller: Arc::new(caller),
            open: Mutex::default(),
        }
    }

    /// The connection to this cluster; another one than before where the endpoint is another.
    pub fn connect(&self, key: &ClusterKey, endpoint: &Endpoint) -> Result<Arc<Remote>, BrokerError> {
        let mut open = self.open.lock();
        open.uses += 1;
        let uses = open.uses;
        if let Some(connection) = open.connections.get_mut(key)
            && connection.endpoint == *endpoint
        {
            connection.used = uses;
            return Ok(Arc::clone(&connection.remote));
        }
        let remote = Arc::new(Remote::new(endpoint, Arc::clone(&self.caller))?);
        let connection = Connection {
            endpoint: endpoint.clone(),
            remote: Arc::clone(&remote),
            used: uses,
        };
        open.connections.insert(key.clone(), connection);
        if open.connections.len() > CONNECTIONS_MAX {
            open.close_oldest();
        }
        let count = i64::try_from(open.connections.len()).unwrap_or(i64::MAX);
        self.caller.metrics.broker_connections.set(count);
        Ok(remote)
    }

    /// Closes the connections to clusters of this namespace and name: there is none such any more.
    pub fn forget(&self, namespace: &str, name: &str) {
        let mut open = self.open.lock();
        open.connections
            .retain(|key, _| key.namespace != namespace || key.name != name);
        let count = i64::try_from(open.connections.len()).unwrap_or(i64::MAX);
        self.caller.metrics.broker_connections.set(count);
    }
}

impl Open {
    fn close_oldest(&mut self) {
        let oldest = self
            .connections
            .iter()
            .min_by_key(|(_, connection)| connection.used);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.connections.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::leadership::Leadership;
    use crate::metrics::Metrics;

    fn brokers() -> Brokers {
        Brokers::new(Caller {
            identity: "me".to_owned(),
            leadership: Arc::new(Leadership::new(Clock::start())),
            metrics: Arc::new(Metrics::new().unwrap()),
        })
    }

    fn key(number: usize) -> ClusterKey {
        ClusterKey {
            namespace: "shop".to_owned(),
            name: format!("cluster-{number}"),
            uid: "1".to_owned(),
        }
    }

    fn endpoint(token: &str) -> Endpoint {
        Endpoint {
            address: "127.0.0.1:1".to_owned(),
            certificate: None,
            token: Some(token.to_owned()),
        }
    }

    #[tokio::test]
    async fn a_connection_is_kept_until_its_endpoint_changes_or_its_cluster_is_gone() {
        let brokers = brokers();
        let first = brokers.connect(&key(0), &endpoint("a")).unwrap();
        let again = brokers.connect(&key(0), &endpoint("a")).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let rotated = brokers.connect(&key(0), &endpoint("b")).unwrap();
        assert!(!Arc::ptr_eq(&first, &rotated));
        assert_eq!(brokers.caller.metrics.broker_connections.get(), 1);
        brokers.forget("shop", "cluster-0");
        assert_eq!(brokers.caller.metrics.broker_connections.get(), 0);
    }

    #[tokio::test]
    async fn there_are_never_more_connections_than_the_bound() {
        let brokers = brokers();
        let first = brokers.connect(&key(0), &endpoint("a")).unwrap();
        for number in 1..CONNECTIONS_MAX + 10 {
            brokers.connect(&key(number), &endpoint("a")).unwrap();
            // The first one is in use all the time.
            let again = brokers.connect(&key(0), &endpoint("a")).unwrap();
            assert!(Arc::ptr_eq(&first, &again), "{number}");
        }
        let open = brokers.caller.metrics.broker_connections.get();
        assert_eq!(open, i64::try_from(CONNECTIONS_MAX).unwrap());
    }

    #[tokio::test]
    async fn a_process_that_does_not_lead_writes_nothing() {
        use crate::broker::BrokerAdmin as _;
        let remote = brokers().connect(&key(0), &endpoint("a")).unwrap();
        let refused = remote.delete_topic("orders", false, 1).await;
        assert_eq!(refused, Err(BrokerError::NotLeading));
    }
}
