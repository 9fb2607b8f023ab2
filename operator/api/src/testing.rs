//! What tests of the resources share: schemas as they are served, and what they refuse.

use crate::definitions;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::Resource;
use kube::core::cel::Validator;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::LazyLock;

static DEFINITIONS: LazyLock<Vec<CustomResourceDefinition>> = LazyLock::new(definitions);

/// A schema within a definition.
pub struct Visit<'a> {
    /// Where it is, such as `.spec.listeners[].port`.
    pub path: &'a str,
    /// What it says.
    pub schema: &'a JSONSchemaProps,
}

impl Visit<'_> {
    /// The last name of its path.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }
}

/// Shows every schema of a definition to `see`.
pub fn visit(definition: &CustomResourceDefinition, see: &mut impl FnMut(Visit<'_>)) {
    walk("", &schema_of(definition), see);
}

fn walk(path: &str, schema: &JSONSchemaProps, see: &mut impl FnMut(Visit<'_>)) {
    see(Visit { path, schema });
    for (name, property) in schema.properties.iter().flatten() {
        walk(&format!("{path}.{name}"), property, see);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        walk(&format!("{path}[]"), items, see);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        walk(&format!("{path}{{}}"), values, see);
    }
}

/// The fields of all specs, without those inside of Kubernetes' own types, that are as `wanted` says.
pub fn spec_fields(wanted: impl Fn(&Visit<'_>) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for definition in DEFINITIONS.iter() {
        let mut foreign: Vec<String> = Vec::new();
        visit(definition, &mut |field| {
            let inside = foreign.iter().any(|path| field.path.starts_with(path.as_str()));
            let of_spec = field.path.starts_with(".spec") && !inside;
            if of_spec && is_foreign(field.path) {
                foreign.push(format!("{}[", field.path));
                foreign.push(format!("{}.", field.path));
            }
            let a_field = !field.path.ends_with("[]") && !field.path.ends_with("{}");
            if of_spec && a_field && wanted(&field) {
                found.push(format!("{}{}", definition.spec.names.kind, field.path));
            }
        });
    }
    found
}

/// Whether a field has a type of Kubernetes' own, which is described there.
pub fn is_foreign(path: &str) -> bool {
    const FOREIGN: &[&str] = &[
        ".spec.networkPolicy.adminFrom",
        ".spec.networkPolicy.clientsFrom",
        ".spec.networkPolicy.metricsFrom",
        ".spec.podTemplate.affinity",
        ".spec.podTemplate.env",
        ".spec.podTemplate.securityContext",
        ".spec.podTemplate.tolerations",
        ".spec.podTemplate.topologySpreadConstraints",
        ".spec.podTemplate.volumeMounts",
        ".spec.podTemplate.volumes",
        ".spec.resources",
    ];
    FOREIGN.contains(&path)
}

fn schema_of(definition: &CustomResourceDefinition) -> JSONSchemaProps {
    let schema = definition.spec.versions[0].schema.clone().unwrap();
    schema.open_api_v3_schema.unwrap()
}

/// The schema of a kind, as it is served.
pub fn schema<K: Resource<DynamicType = ()>>() -> JSONSchemaProps {
    let definition = DEFINITIONS
        .iter()
        .find(|definition| definition.spec.names.kind == K::kind(&()));
    schema_of(definition.unwrap())
}

/// Reads a manifest.
pub fn parse<K: DeserializeOwned>(manifest: &str) -> K {
    serde_yaml::from_str(manifest).unwrap_or_else(|error| panic!("{error} in:\n{manifest}"))
}

/// What the rules of its schema have against an object, made anew or in place of an old one.
pub fn refusals<K>(object: &K, old: Option<&K>) -> Vec<String>
where
    K: Resource<DynamicType = ()> + Serialize,
{
    let schema = serde_json::to_value(schema::<K>()).unwrap();
    let value = |object: &K| -> Value { serde_json::to_value(object).unwrap() };
    let old = old.map(value);
    match Validator::new().validate(&schema, &value(object), old.as_ref()) {
        Ok(()) => Vec::new(),
        Err(errors) => errors
            .into_vec()
            .into_iter()
            .map(|error| error.to_string())
            .collect(),
    }
}
