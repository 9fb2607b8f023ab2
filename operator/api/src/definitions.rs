//! The definitions of the resources as they are given to Kubernetes.

use crate::{BrokerCluster, ConsumerGroup, Topic};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::Value;

const INT32_MIN: f64 = i32::MIN as f64;
const INT32_MAX: f64 = i32::MAX as f64;

/// The definitions of all resources, in alphabetical order.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let mut definitions = vec![BrokerCluster::crd(), ConsumerGroup::crd(), Topic::crd()];
    for definition in &mut definitions {
        for version in &mut definition.spec.versions {
            let schema = version.schema.as_mut();
            if let Some(schema) = schema.and_then(|schema| schema.open_api_v3_schema.as_mut()) {
                prepare(schema);
            }
        }
    }
    definitions
}

/// Makes of a schema that was derived one that is served.
fn prepare(schema: &mut JSONSchemaProps) {
    // A null that is written is dropped, as if nothing had been: were it kept, rules would meet it where they expect a value.
    schema.nullable = None;
    unwrap_lines(schema);
    bound(schema);
    shorten_default(schema);
    children(schema).for_each(prepare);
}

fn children(schema: &mut JSONSchemaProps) -> impl Iterator<Item = &mut JSONSchemaProps> {
    let properties = schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut());
    let items = match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some(&mut **items),
        _ => None,
    };
    let values = match &mut schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(values)) => Some(&mut **values),
        _ => None,
    };
    properties.chain(items).chain(values)
}

/// `kubectl explain` breaks lines itself.
fn unwrap_lines(schema: &mut JSONSchemaProps) {
    if let Some(description) = &mut schema.description {
        *description = description.replace('\n', " ");
    }
}

/// An integer that is too large for its type would pass the schema and be no object of ours any more.
fn bound(schema: &mut JSONSchemaProps) {
    if schema.format.as_deref() == Some("int32") {
        schema.minimum.get_or_insert(INT32_MIN);
        schema.maximum.get_or_insert(INT32_MAX);
    }
}

/// A default of an object leaves out what its fields have as their own defaults: Kubernetes adds those. It does so after it has
/// tried an object's rules on its default, so that an object with rules keeps the whole of it.
fn shorten_default(schema: &mut JSONSchemaProps) {
    if schema.x_kubernetes_validations.is_some() {
        return;
    }
    let (Some(default), Some(properties)) = (&mut schema.default, &schema.properties) else {
        return;
    };
    let Value::Object(default) = &mut default.0 else {
        return;
    };
    default.retain(|name, value| {
        let own = properties
            .get(name)
            .and_then(|property| property.default.as_ref());
        own.is_none_or(|own| own.0 != *value)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Visit};
    use kube::core::cel::Validator;
    use std::cell::Cell;

    #[test]
    fn every_field_of_a_spec_says_what_it_is() {
        let silent =
            testing::spec_fields(|field| field.schema.description.as_deref().unwrap_or_default().is_empty());
        assert_eq!(silent, [""; 0]);
    }

    #[test]
    fn descriptions_stand_in_one_line_and_say_the_bounds_of_numbers() {
        let wrong = testing::spec_fields(|field| {
            let text = field.schema.description.as_deref().unwrap_or_default();
            let bounds = [field.schema.minimum, field.schema.maximum];
            let said = |bound: Option<f64>| bound.is_none_or(|bound| text.contains(&bound.to_string()));
            let fixed = ["shards", "replicas"].contains(&field.name());
            text.contains('\n') || !fixed && !bounds.into_iter().all(said)
        });
        assert_eq!(wrong, [""; 0]);
    }

    #[test]
    fn descriptions_name_every_value_of_a_choice() {
        let wrong = testing::spec_fields(|field| {
            let text = field.schema.description.as_deref().unwrap_or_default();
            let values = field.schema.enum_.iter().flatten();
            !values
                .filter_map(|value| value.0.as_str())
                .all(|value| text.contains(&format!("`{value}`")))
        });
        assert_eq!(wrong, [""; 0]);
    }

    #[test]
    fn the_values_of_maps_are_bounded_where_they_have_a_type() {
        let mut maps = 0;
        for definition in definitions() {
            testing::visit(&definition, &mut |field: Visit<'_>| {
                let ours = field.path.starts_with(".spec") && field.schema.max_properties.is_some();
                let values = field.schema.additional_properties.as_ref().filter(|_| ours);
                if let Some(JSONSchemaPropsOrBool::Schema(values)) = values {
                    maps += 1;
                    let free = values.x_kubernetes_preserve_unknown_fields == Some(true);
                    assert!(free || values.max_length.is_some(), "{}", field.path);
                }
            });
        }
        assert_eq!(
            maps, 6,
            "annotations, labels, node selectors and the configuration"
        );
    }

    /// Kubernetes refuses a definition whose rules may cost too much, and counts that from these bounds.
    #[test]
    fn everything_in_a_spec_is_bounded() {
        let unbounded = testing::spec_fields(|field| {
            let schema = field.schema;
            match schema.type_.as_deref() {
                Some("string") => schema.max_length.is_none() && schema.enum_.is_none(),
                Some("integer") => schema.minimum.is_none() || schema.maximum.is_none(),
                Some("array") => schema.max_items.is_none(),
                Some("object") => schema.additional_properties.is_some() && schema.max_properties.is_none(),
                Some(_) => true,
                None => false,
            }
        });
        assert_eq!(unbounded, [""; 0]);
    }

    #[test]
    fn no_schema_takes_nulls_floats_or_unsigned_numbers() {
        for definition in definitions() {
            let name = definition.spec.names.kind.clone();
            testing::visit(&definition, &mut |field: Visit<'_>| {
                let format = field.schema.format.as_deref();
                assert_eq!(field.schema.nullable, None, "{name}{}", field.path);
                assert!(
                    [None, Some("int32"), Some("int64"), Some("date-time")].contains(&format),
                    "{name}{} has the format {format:?}",
                    field.path
                );
            });
        }
    }

    #[test]
    fn lists_of_objects_say_how_they_are_merged() {
        let silent = testing::spec_fields(|field| {
            let of_objects = matches!(&field.schema.items, Some(JSONSchemaPropsOrArray::Schema(items)) if items.type_.as_deref() == Some("object"));
            of_objects && field.schema.x_kubernetes_list_type.is_none()
        });
        assert_eq!(silent, [""; 0]);
    }

    #[test]
    fn the_default_of_an_object_without_rules_leaves_to_its_fields_what_they_have_by_default() {
        let wrong = testing::spec_fields(|field| {
            let default = field
                .schema
                .default
                .as_ref()
                .and_then(|default| default.0.as_object());
            let full = default.is_some_and(|default| !default.is_empty());
            full && field.schema.x_kubernetes_validations.is_none()
        });
        assert_eq!(wrong, [""; 0]);
    }

    /// Kubernetes refuses a definition with a default that breaks a rule, before it adds the defaults of an object's fields.
    #[test]
    fn defaults_keep_the_rules_as_they_stand() {
        let tried = Cell::new(0);
        let broken = testing::spec_fields(|field| {
            let Some(default) = &field.schema.default else {
                return false;
            };
            tried.set(tried.get() + 1);
            let mut schema = field.schema.clone();
            forget_defaults(&mut schema);
            breaks_its_rules(&schema, &default.0)
        });
        assert_eq!(broken, [""; 0]);
        assert!(tried.get() > 30, "{} defaults only", tried.get());

        let spec = testing::schema::<ConsumerGroup>().properties.unwrap()["spec"].clone();
        let mut start = spec.properties.unwrap()["startFrom"].clone();
        forget_defaults(&mut start);
        assert!(
            breaks_its_rules(&start, &serde_json::json!({})),
            "position is missing"
        );
    }

    fn forget_defaults(schema: &mut JSONSchemaProps) {
        schema.default = None;
        children(schema).for_each(forget_defaults);
    }

    fn breaks_its_rules(schema: &JSONSchemaProps, value: &Value) -> bool {
        let schema = serde_json::to_value(schema).unwrap();
        Validator::new().validate(&schema, value, None).is_err()
    }

    #[test]
    fn resources_are_found_by_their_category_and_those_of_a_cluster_by_its_name() {
        let names: Vec<_> = definitions()
            .into_iter()
            .map(|definition| {
                let names = definition.spec.names;
                let fields = definition.spec.versions[0].selectable_fields.clone();
                let selected = fields
                    .unwrap_or_default()
                    .into_iter()
                    .map(|field| field.json_path);
                (
                    names.short_names.unwrap(),
                    names.categories.unwrap(),
                    selected.collect::<Vec<_>>(),
                )
            })
            .collect();
        let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let cluster = strings(&[".spec.clusterRef.name"]);
        let mq = strings(&["mq"]);
        assert_eq!(
            names,
            [
                (strings(&["bc"]), mq.clone(), vec![]),
                (strings(&["cg"]), mq.clone(), cluster.clone()),
                (strings(&["mqt"]), mq, cluster),
            ]
        );
    }
}
