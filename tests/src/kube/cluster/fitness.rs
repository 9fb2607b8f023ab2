//! Whether somebody's cluster can be used: looked at before anything is made in it, so that what is missing is said at once.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::belongings::{Belongings, items, name};
use crate::kube::kubectl::Kubectl;

/// What the operator needs of a server.
const OLDEST: (u32, u32) = (1, 31);
const GROUP: &str = "sluice.dev";
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
/// A server that is not there is to be found out about soon.
const SOON: &str = "--request-timeout=10s";

/// That there is such a context, with a server that answers its user and lets him do everything.
///
/// # Errors
/// When it is not so: what to do is in the error.
pub fn answers(kubectl: &Kubectl, context: &str) -> Result<()> {
    let known = kubectl.run(&["config", "get-contexts", "--output=name"])?;
    let known: Vec<_> = known.lines().collect();
    if !known.contains(&context) {
        let there_are = match known.as_slice() {
            [] => "it has none".to_owned(),
            _ => format!("it has {}", known.join(", ")),
        };
        bail!(
            "the kubeconfig has no context {context}: {there_are}; the variable KUBECONFIG says which file it is, \
             and it is ~/.kube/config otherwise"
        );
    }
    let version = kubectl.run(&["get", "--raw=/version", SOON]);
    let version = version.with_context(|| format!("the cluster of the context {context} cannot be asked"))?;
    let version: Value = serde_json::from_str(&version).context("a server tells its version in JSON")?;
    let number = |field: &str| leading_number(version[field].as_str().unwrap_or_default());
    let found = (number("major"), number("minor"));
    ensure!(
        found >= OLDEST,
        "the cluster of the context {context} is of version {}.{}, and the operator needs {}.{} or newer",
        found.0,
        found.1,
        OLDEST.0,
        OLDEST.1
    );
    let everything = ["auth", "can-i", "*", "*", "--all-namespaces", SOON];
    let said = kubectl.output(&everything)?;
    ensure!(
        said.status.success(),
        "the user of the context {context} may not do everything, and the suites make namespaces, definitions and \
         roles: use one that is bound to the ClusterRole cluster-admin ({}{})",
        String::from_utf8_lossy(&said.stdout).trim(),
        String::from_utf8_lossy(&said.stderr).trim()
    );
    Ok(())
}

/// That nobody uses Sluice in it, whose operator would look after the resources of the suites too, and that claims get volumes.
///
/// # Errors
/// When it is not so.
pub fn is_free(kubectl: &Kubectl, context: &str) -> Result<()> {
    let ours = Belongings::find(kubectl)?;
    let definitions = items(kubectl.json(&["get", "customresourcedefinitions"])?);
    let foreign = foreign_definitions(&definitions, &ours);
    ensure!(
        foreign.is_empty(),
        "the cluster of the context {context} has definitions of Sluice that are not the suites': {}; the suites would \
         get into the way of whoever uses them, and leave them alone: use another cluster",
        foreign.join(", ")
    );
    let classes = items(kubectl.json(&["get", "storageclasses"])?);
    ensure!(
        classes.iter().any(is_default),
        "the cluster of the context {context} has no default StorageClass, and the brokers' claims name none: annotate \
         one with {DEFAULT_CLASS}=true"
    );
    Ok(())
}

fn foreign_definitions(definitions: &[Value], ours: &Belongings) -> Vec<String> {
    definitions
        .iter()
        .filter(|definition| definition["spec"]["group"] == GROUP)
        .map(name)
        .filter(|name| !ours.has_definition(name))
        .collect()
}

fn is_default(class: &Value) -> bool {
    class["metadata"]["annotations"][DEFAULT_CLASS] == "true"
}

/// Providers write minor versions as in `31+`.
fn leading_number(text: &str) -> u32 {
    let digits: String = text
        .chars()
        .take_while(|letter| letter.is_ascii_digit())
        .collect();
    digits.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_of_providers_are_read() {
        for (text, number) in [("34", 34), ("31+", 31), ("", 0), ("x", 0)] {
            assert_eq!(leading_number(text), number, "{text:?}");
        }
    }

    #[test]
    fn definitions_of_sluice_that_bear_no_mark_are_somebodys() {
        let definition =
            |name: &str, group: &str| json!({"metadata": {"name": name}, "spec": {"group": group}});
        let definitions = [
            definition("topics.sluice.dev", GROUP),
            definition("certificates.cert-manager.io", "cert-manager.io"),
        ];
        assert_eq!(
            foreign_definitions(&definitions, &Belongings::default()),
            ["topics.sluice.dev"]
        );
    }

    #[test]
    fn a_class_is_the_default_if_it_says_so() {
        for (value, expected) in [
            (json!("true"), true),
            (json!("false"), false),
            (json!(null), false),
        ] {
            let class = json!({"metadata": {"annotations": {DEFAULT_CLASS: value}}});
            assert_eq!(is_default(&class), expected, "{class}");
        }
    }
}
