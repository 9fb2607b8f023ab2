//! The part of the manual that is made of the definitions: fields, conditions and reasons of each resource.

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use sluice_operator_api::{Described, broker_cluster, consumer_group, definitions, topic};
use std::fmt::Write as _;

/// Everything from here to the end of a page is made of the definitions.
const HEADING: &str = "## Reference\n";

/// A page of the manual.
pub struct Page {
    /// Its file.
    pub name: &'static str,
    kind: &'static str,
    conditions: fn() -> Vec<Described>,
    reasons: fn() -> Vec<Described>,
}

/// The pages.
pub const PAGES: &[Page] = &[
    Page {
        name: "brokercluster.md",
        kind: "BrokerCluster",
        conditions: broker_cluster::ConditionType::described,
        reasons: broker_cluster::Reason::described,
    },
    Page {
        name: "topic.md",
        kind: "Topic",
        conditions: topic::ConditionType::described,
        reasons: topic::Reason::described,
    },
    Page {
        name: "consumergroup.md",
        kind: "ConsumerGroup",
        conditions: consumer_group::ConditionType::described,
        reasons: consumer_group::Reason::described,
    },
];

impl Page {
    /// The page with what is made of the definitions.
    pub fn with_reference(&self, page: &str) -> Result<String> {
        let (prose, _) = page
            .split_once(HEADING)
            .with_context(|| format!("there is no line '{}'", HEADING.trim()))?;
        let definition = definitions()
            .into_iter()
            .find(|definition| definition.spec.names.kind == self.kind);
        let version = definition.and_then(|definition| definition.spec.versions.into_iter().next());
        let schema = version.and_then(|version| version.schema?.open_api_v3_schema);
        let schema = schema.with_context(|| format!("there is no schema of {}", self.kind))?;
        let mut text = format!("{prose}{HEADING}\n{}", fields("Spec", "spec", &schema));
        text += &fields("Status", "status", &schema);
        text += &words("Conditions", "Type", (self.conditions)());
        text += "\n";
        text += &words("Reasons", "Reason", (self.reasons)());
        Ok(text)
    }
}

fn words(heading: &str, column: &str, words: Vec<Described>) -> String {
    let mut text = format!("### {heading}\n\n| {column} | Means |\n| --- | --- |\n");
    for Described { word, meaning } in words {
        let _ = writeln!(text, "| `{word}` | {} |", cell(meaning));
    }
    text
}

fn fields(heading: &str, root: &str, schema: &JSONSchemaProps) -> String {
    let mut text =
        format!("### {heading}\n\n| Field | Type | Default | Meaning |\n| --- | --- | --- | --- |\n");
    if let Some(root) = schema
        .properties
        .as_ref()
        .and_then(|properties| properties.get(root))
    {
        rows("", root, &mut text);
    }
    text.push('\n');
    text
}

/// A row for each field that has a description, those inside of it after it. Fields of Kubernetes' own types have none.
fn rows(prefix: &str, schema: &JSONSchemaProps, text: &mut String) {
    for (name, field) in schema.properties.iter().flatten() {
        let Some(description) = &field.description else {
            continue;
        };
        let path = format!("{prefix}{name}");
        let required = schema.required.iter().flatten().any(|required| required == name);
        let default = default(field, required);
        let _ = writeln!(
            text,
            "| `{path}` | {} | {default} | {} |",
            type_of(field),
            cell(description)
        );
        rows(&format!("{path}."), field, text);
        if let Some(items) = items(field) {
            rows(&format!("{path}[]."), items, text);
        }
    }
}

fn items(field: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match &field.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some(items),
        _ => None,
    }
}

fn default(field: &JSONSchemaProps, required: bool) -> String {
    match &field.default {
        Some(default) if default.0.is_object() || default.0.is_array() => String::new(),
        Some(default) => match default.0.as_str() {
            Some(text) => format!("`{text}`"),
            None => format!("`{}`", default.0),
        },
        None if required => "required".to_owned(),
        None => String::new(),
    }
}

fn type_of(field: &JSONSchemaProps) -> String {
    if let Some(values) = &field.enum_ {
        let values = values.iter().filter_map(|value| value.0.as_str());
        return values
            .map(|value| format!("`{value}`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    match (field.type_.as_deref(), field.format.as_deref()) {
        (Some("string"), Some("date-time")) => "time".to_owned(),
        (Some("array"), _) => format!(
            "list of {}",
            items(field).map_or_else(|| "anything".to_owned(), type_of)
        ),
        (Some("object"), _) if field.additional_properties.is_some() => match &field.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(values)) if values.type_.is_some() => {
                format!("map to {}", type_of(values))
            }
            _ => "map".to_owned(),
        },
        (Some(type_), _) => type_.to_owned(),
        (None, _) => "anything".to_owned(),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_stays_and_what_is_made_is_made_anew() {
        let page = &PAGES[1];
        let mended = page
            .with_reference("# Topic\n\nProse.\n\n## Reference\n\nOut of date.\n")
            .unwrap();
        assert!(
            mended.starts_with("# Topic\n\nProse.\n\n## Reference\n\n### Spec\n\n| Field |"),
            "{mended}"
        );
        assert!(!mended.contains("Out of date"));
        for row in [
            "\n| `clusterRef` | object | required | The cluster that has the topic. It cannot be changed. |\n",
            "\n| `clusterRef.name` | string | required | ",
            "\n| `messageType` | `Normal`, `Fifo`, `Mixed` | `Normal` | ",
            "\n| `conditions` | list of object |  | ",
            "\n| `lastChangeTime` | time |  | ",
            "\n| `Conflicted` | An older Topic has the name. |\n",
            "\n| `NameTaken` | An older Topic has the name. |\n",
        ] {
            assert!(mended.contains(row), "{row} is not in {mended}");
        }
        assert_eq!(page.with_reference(&mended).unwrap(), mended);
    }

    #[test]
    fn a_page_without_the_heading_is_refused() {
        let error = PAGES[0].with_reference("# Page\n").unwrap_err();
        assert_eq!(error.to_string(), "there is no line '## Reference'");
    }
}
