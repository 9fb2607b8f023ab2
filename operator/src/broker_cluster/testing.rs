//! A cluster for tests.

use serde_json::{Value, json};
use sluice_operator_api::BrokerCluster;

/// The cluster `main` in the namespace `shop`, with these fields of its specification besides the least that there must be.
pub fn cluster(spec: &str) -> BrokerCluster {
    let mut body = json!({
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "BrokerCluster",
        "metadata": {"name": "main", "namespace": "shop", "uid": "uid-of-main", "generation": 1},
        "spec": {"version": "0.1.0", "storage": {"size": "10Gi"}},
    });
    let fields: serde_json::Map<String, Value> =
        serde_json::from_str(spec).unwrap_or_else(|error| panic!("{spec}: {error}"));
    for (field, value) in fields {
        body["spec"][field] = value;
    }
    serde_json::from_value(body).unwrap_or_else(|error| panic!("{spec}: {error}"))
}
