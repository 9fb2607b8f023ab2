//! Who else writes a workload's replicas, and what is to be done about it.
//!
//! The API server keeps in `metadata.managedFields` who has written which field. A write that changes the value takes the field
//! from all others; of several that have written the same value, the newest counts.

use crate::autoscale::{ReplicasWriter, Time};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use sluice_operator_api::labels::SCALE_FIELD_MANAGER;

/// The longest name of a writer in the API server's schema.
const NAME_CHARS_MAX: usize = 128;

/// Who but ourselves has written `spec.replicas` last.
pub fn last_writer(metadata: &ObjectMeta) -> Option<ReplicasWriter> {
    let entries = metadata.managed_fields.iter().flatten();
    let others = entries.filter(|entry| {
        entry.manager.as_deref() != Some(SCALE_FIELD_MANAGER) && has_replicas(entry).is_some()
    });
    let newest = others.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?;
    let name = newest.manager.as_deref().filter(|name| !name.is_empty());
    Some(ReplicasWriter {
        name: name.unwrap_or("unknown").chars().take(NAME_CHARS_MAX).collect(),
        operation: newest.operation.clone().unwrap_or_default(),
        subresource: newest.subresource.clone().filter(|name| !name.is_empty()),
        at: newest
            .time
            .as_ref()
            .and_then(|time| Some(Time(u64::try_from(time.0.as_second()).ok()?))),
    })
}

fn has_replicas(entry: &ManagedFieldsEntry) -> Option<()> {
    let fields = &entry.fields_v1.as_ref()?.0;
    fields.pointer("/f:spec/f:replicas").map(|_| ())
}

/// Who it is, in words: `argocd-controller (Apply at 2026-01-01T00:00:00Z)`.
pub fn words(writer: &ReplicasWriter) -> String {
    let ReplicasWriter {
        name,
        operation,
        subresource,
        at,
    } = writer;
    let through = subresource
        .as_ref()
        .map_or_else(String::new, |name| format!(" of {name}"));
    let at = at.and_then(|at| Timestamp::from_second(i64::try_from(at.0).ok()?).ok());
    let at = at.map_or_else(String::new, |at| format!(" at {at}"));
    format!("{name} ({operation}{through}{at})")
}

/// What to do about a writer of this name.
pub fn advice(writer: Option<&ReplicasWriter>) -> &'static str {
    let name = writer.map_or("", |writer| &writer.name);
    match name {
        _ if name.starts_with("argocd") => {
            "have Argo CD leave /spec/replicas alone with ignoreDifferences and the sync option \
             RespectIgnoreDifferences=true"
        }
        "kustomize-controller" => "take replicas out of the manifests that Flux applies",
        "helm-controller" => {
            "take replicas out of the chart's manifest, and have the HelmRelease's driftDetection ignore /spec/replicas"
        }
        "helm" | "Helm" => "take replicas out of the chart's manifest, or switch them off with its values",
        _ if name.starts_with("kubectl") => {
            "somebody calls kubectl, by hand or in a script: take replicas out of what is applied, and set the mode to \
             Recommend for as long as people are to choose the number"
        }
        _ => "take replicas out of what is applied to the workload",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(entries: &str) -> ObjectMeta {
        serde_yaml::from_str(&format!("{{name: worker, managedFields: [{entries}]}}")).unwrap()
    }

    /// Of a manager that has written these fields of `spec`.
    fn entry(manager: &str, operation: &str, second: u32, fields: &str) -> String {
        format!(
            "{{manager: {manager}, operation: {operation}, apiVersion: apps/v1, time: '2026-01-01T00:00:{second:02}Z', \
             fieldsType: FieldsV1, fieldsV1: {{'f:spec': {{{fields}}}}}}}"
        )
    }

    #[test]
    fn the_newest_writer_of_replicas_but_ourselves_is_found() {
        let (replicas, others) = ("'f:replicas': {}", "'f:paused': {}");
        let git = entry("argocd-controller", "Apply", 10, replicas);
        let helm = entry("helm", "Update", 5, replicas);
        let rows: &[(&[&String], Option<&str>)] = &[
            (&[], None),
            (&[&git], Some("argocd-controller (Apply at 2026-01-01T00:00:10Z)")),
            (
                &[&git, &helm],
                Some("argocd-controller (Apply at 2026-01-01T00:00:10Z)"),
            ),
            (&[&helm], Some("helm (Update at 2026-01-01T00:00:05Z)")),
            (&[&entry(SCALE_FIELD_MANAGER, "Update", 20, replicas)], None),
            (
                &[&helm, &entry(SCALE_FIELD_MANAGER, "Update", 20, replicas)],
                Some("helm (Update at 2026-01-01T00:00:05Z)"),
            ),
            (&[&entry("kubectl-edit", "Update", 20, others)], None),
        ];
        for (entries, wanted) in rows {
            let joined = entries
                .iter()
                .map(|entry| &***entry)
                .collect::<Vec<_>>()
                .join(", ");
            let found = last_writer(&metadata(&joined));
            assert_eq!(found.as_ref().map(words).as_deref(), *wanted, "{joined}");
        }
    }

    #[test]
    fn what_an_api_server_leaves_out_is_left_out_of_the_words() {
        let scale = "{manager: kubectl, operation: Update, subresource: scale, fieldsV1: {'f:spec': {'f:replicas': {}}}}";
        let found = last_writer(&metadata(scale)).unwrap();
        assert_eq!(words(&found), "kubectl (Update of scale)");
        let nobody = "{operation: Update, fieldsV1: {'f:spec': {'f:replicas': {}}}}";
        let found = last_writer(&metadata(nobody)).unwrap();
        assert_eq!(words(&found), "unknown (Update)");
        assert_eq!(last_writer(&ObjectMeta::default()), None);
    }

    #[test]
    fn the_advice_is_about_the_tool_that_writes() {
        for (name, word) in [
            ("argocd-controller", "RespectIgnoreDifferences"),
            ("argocd-application-controller", "ignoreDifferences"),
            ("kustomize-controller", "Flux"),
            ("helm-controller", "driftDetection"),
            ("helm", "chart"),
            ("kubectl", "Recommend"),
            ("kubectl-client-side-apply", "Recommend"),
            ("terraform", "what is applied"),
        ] {
            let writer = ReplicasWriter {
                name: name.to_owned(),
                operation: "Update".to_owned(),
                subresource: None,
                at: None,
            };
            assert!(advice(Some(&writer)).contains(word), "{name}");
        }
        assert!(advice(None).contains("what is applied"));
    }
}
