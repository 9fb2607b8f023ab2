//! The definitions of the resources as they are given to Kubernetes.

use crate::{BrokerCluster, ConsumerGroup, Topic};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

/// The definitions of all resources, in alphabetical order.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let mut definitions = vec![BrokerCluster::crd(), ConsumerGroup::crd(), Topic::crd()];
    for definition in &mut definitions {
        for version in &mut definition.spec.versions {
            let schema = version.schema.as_mut();
            if let Some(schema) = schema.and_then(|schema| schema.open_api_v3_schema.as_mut()) {
                without_nulls(schema);
            }
        }
    }
    definitions
}

/// A null that is written is dropped, as if nothing had been: were it kept, rules would meet it where they expect a value.
fn without_nulls(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    let properties = schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut());
    properties.for_each(without_nulls);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        without_nulls(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        without_nulls(values);
    }
}
