//! Which ConsumerGroups alerts are about.

use super::notification::{Alert, Labels};
use kube::ResourceExt as _;
use sluice_operator_api::ConsumerGroup;
use std::collections::BTreeMap;

/// A namespace and a name.
pub type Name = (String, String);

/// The scaled groups that alerts name, each with the places of these alerts.
pub fn matches<'a>(
    alerts: &[Alert],
    groups: impl IntoIterator<Item = &'a ConsumerGroup>,
) -> BTreeMap<Name, Vec<usize>> {
    let mut found = BTreeMap::new();
    for group in groups
        .into_iter()
        .filter(|group| group.spec.autoscaling.is_some())
    {
        let numbered = alerts.iter().enumerate();
        let about: Vec<_> = numbered
            .filter(|(_, alert)| is_about(&alert.labels, group))
            .map(|(index, _)| index)
            .collect();
        if !about.is_empty() {
            found.insert((group.namespace().unwrap_or_default(), group.name_any()), about);
        }
    }
    found
}

/// An alert has to name the group. What else it says has to be so; what it does not say may be anything.
fn is_about(labels: &Labels, group: &ConsumerGroup) -> bool {
    let may_be = |label: &Option<String>, value: Option<&str>| label.is_none() || label.as_deref() == value;
    labels.consumer_group.as_deref() == Some(&*group.group_name())
        && may_be(&labels.cluster, Some(&group.spec.cluster_ref.name))
        && may_be(&labels.namespace, group.metadata.namespace.as_deref())
}

#[cfg(test)]
mod tests {
    use super::super::notification::Status;
    use super::*;
    use k8s_openapi::jiff::Timestamp;

    fn group(namespace: &str, name: &str, spec: &str) -> ConsumerGroup {
        let yaml = format!(
            "{{apiVersion: sluice.dev/v1alpha1, kind: ConsumerGroup, metadata: {{name: {name}, namespace: {namespace}}}, \
             spec: {{{spec}}}}}"
        );
        serde_yaml::from_str(&yaml).unwrap()
    }

    fn alert(consumer_group: &str, cluster: &str, namespace: &str) -> Alert {
        let label = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Alert {
            status: Status::Firing,
            labels: Labels {
                consumer_group: label(consumer_group),
                cluster: label(cluster),
                namespace: label(namespace),
            },
            fingerprint: "f".to_owned(),
            starts_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn an_alert_is_about_the_scaled_groups_that_all_of_its_labels_fit() {
        let scaled = "autoscaling: {scaleTargetRef: {name: worker}, maxReplicas: 8}";
        let on = |cluster: &str| format!("clusterRef: {{name: {cluster}}}, {scaled}");
        let groups = [
            group("shop", "billing", &on("main")),
            group(
                "shop",
                "invoices",
                &format!("groupName: Billing_1, {}", on("main")),
            ),
            group("shop", "other", &format!("groupName: billing, {}", on("second"))),
            group("office", "billing", &on("main")),
            group("shop", "unscaled", "clusterRef: {name: main}"),
        ];
        for (labels, names) in [
            (
                ("billing", "", ""),
                &["office/billing", "shop/billing", "shop/other"][..],
            ),
            (("billing", "main", ""), &["office/billing", "shop/billing"]),
            (("billing", "main", "shop"), &["shop/billing"]),
            (("billing", "", "shop"), &["shop/billing", "shop/other"]),
            (("billing", "main", "attic"), &[]),
            (("billing", "third", "shop"), &[]),
            (("Billing_1", "main", "shop"), &["shop/invoices"]),
            (("invoices", "main", "shop"), &[]),
            (("other", "", ""), &[]),
            (("unscaled", "", ""), &[]),
            (("", "main", "shop"), &[]),
            (("", "", ""), &[]),
        ] {
            let alerts = [alert(labels.0, labels.1, labels.2)];
            let found = matches(&alerts, &groups);
            let found: Vec<_> = found
                .keys()
                .map(|(namespace, name)| format!("{namespace}/{name}"))
                .collect();
            assert_eq!(found, names, "{labels:?}");
        }
    }

    #[test]
    fn a_group_is_found_once_with_all_alerts_that_are_about_it() {
        let groups = [group(
            "shop",
            "billing",
            "clusterRef: {name: main}, autoscaling: {scaleTargetRef: {name: w}, maxReplicas: 2}",
        )];
        let alerts = [
            alert("billing", "", ""),
            alert("none", "", ""),
            alert("billing", "main", "shop"),
        ];
        let found = matches(&alerts, &groups);
        assert_eq!(found.into_values().collect::<Vec<_>>(), [[0, 2]]);
    }
}
