//! What the suites make in somebody's cluster. It bears a mark, by which it is found and removed after a run, and before one if
//! an earlier run was killed; what does not bear it is never touched.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::kube::kubectl::Kubectl;

/// The label of what may be removed.
pub const MARK: &str = "tests.sluice.dev/disposable";
/// How Helm notes down of which release's namespace an object is.
const NAMESPACE_OF_RELEASE: &str = "meta.helm.sh/release-namespace";
/// The kinds without a namespace that suites and the chart make.
const WIDE: &str = "customresourcedefinitions,clusterroles,clusterrolebindings";
const DEFINITION: &str = "CustomResourceDefinition";
/// What makes other objects in a namespace, and would make them again.
const MAKERS: &str = "deployments,daemonsets,jobs";
/// What a test or the operator may have put a finalizer on, beside the resources that are defined.
const HELD: &str = "statefulsets.apps";
/// For each step of a removal.
const WITHIN: &str = "--timeout=300s";

/// Puts the mark on an object.
pub fn mark(object: &mut Value) {
    object["metadata"]["labels"][MARK] = json!("true");
}

/// All that bears the mark, or came by Helm into a namespace that does.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Belongings {
    namespaces: Vec<String>,
    /// Definitions among what has no namespace, as PLURAL.GROUP.
    definitions: Vec<String>,
    /// The others, as KIND/NAME.
    roles: Vec<String>,
}

impl Belongings {
    /// Looks for it.
    ///
    /// # Errors
    /// When the server does not say what it has.
    pub fn find(kubectl: &Kubectl) -> Result<Self> {
        let marked = format!("--selector={MARK}");
        let namespaces = items(kubectl.json(&["get", "namespaces", &marked])?);
        let wide = items(kubectl.json(&["get", WIDE])?);
        Ok(Self::among(&namespaces, &wide))
    }

    fn among(marked_namespaces: &[Value], wide: &[Value]) -> Self {
        let mut found = Self {
            namespaces: marked_namespaces.iter().map(name).collect(),
            ..Self::default()
        };
        for object in wide {
            let metadata = &object["metadata"];
            let of_release = metadata["annotations"][NAMESPACE_OF_RELEASE].as_str();
            let is_of_release = of_release.is_some_and(|of| found.namespaces.iter().any(|known| known == of));
            if !is_of_release && metadata["labels"][MARK].is_null() {
                continue;
            }
            match object["kind"].as_str() {
                Some(DEFINITION) => found.definitions.push(name(object)),
                kind => found
                    .roles
                    .push(format!("{}/{}", kind.unwrap_or_default(), name(object))),
            }
        }
        found
    }

    /// Removes it, and waits until it is gone; gives the names.
    ///
    /// # Errors
    /// When there are resources of the definitions elsewhere, which would go with them, or the server refuses.
    pub fn remove(self, kubectl: &Kubectl) -> Result<Vec<String>> {
        let resources = self.resources(kubectl)?;
        let strangers = self.elsewhere(&resources);
        ensure!(
            strangers.is_empty(),
            "the cluster has resources whose definitions are left by a run of the suites, and would go with them: {}; \
             delete these resources, and try again",
            strangers.join(", ")
        );
        for namespace in &self.namespaces {
            let all = ["delete", MAKERS, "--all", "--cascade=foreground", WITHIN];
            kubectl.run(&[&all[..], &["--namespace", namespace]].concat())?;
        }
        self.release(kubectl)?;
        let definitions = self.definitions.iter().map(|name| format!("crd/{name}"));
        let wide: Vec<_> = definitions.chain(self.roles.iter().cloned()).collect();
        let namespaces = self.namespaces.iter().map(|name| format!("namespace/{name}"));
        let namespaces: Vec<_> = namespaces.collect();
        // By the namespaces it is known what else is to be removed: they go last, should this be interrupted.
        for objects in [&wide, &namespaces] {
            if !objects.is_empty() {
                let names: Vec<_> = objects.iter().map(String::as_str).collect();
                kubectl.run(&[&["delete", "--ignore-not-found", WITHIN], &names[..]].concat())?;
            }
        }
        Ok([wide, namespaces].concat())
    }

    /// All resources of the definitions.
    fn resources(&self, kubectl: &Kubectl) -> Result<Vec<Value>> {
        let mut resources = Vec::new();
        for definition in &self.definitions {
            resources.extend(items(kubectl.json(&["get", definition, "--all-namespaces"])?));
        }
        Ok(resources)
    }

    /// Those in namespaces that are not the suites'.
    fn elsewhere(&self, resources: &[Value]) -> Vec<String> {
        let namespace = |resource: &Value| {
            resource["metadata"]["namespace"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        resources
            .iter()
            .filter(|resource| !self.namespaces.contains(&namespace(resource)))
            .map(|resource| {
                let kind = resource["kind"].as_str().unwrap_or_default();
                format!("{kind} {}/{}", namespace(resource), name(resource))
            })
            .collect()
    }

    /// Takes all finalizers off: whoever was to act on them is gone.
    fn release(&self, kubectl: &Kubectl) -> Result<()> {
        for kind in self.definitions.iter().map(String::as_str).chain([HELD]) {
            for object in items(kubectl.json(&["get", kind, "--all-namespaces"])?) {
                let (namespace, name) = (&object["metadata"]["namespace"], name(&object));
                let Some(namespace) = namespace.as_str() else {
                    continue;
                };
                let is_ours = self.namespaces.iter().any(|known| known == namespace);
                if !is_ours || object["metadata"]["finalizers"].is_null() {
                    continue;
                }
                let object = [kind, &name, "--namespace", namespace];
                let change = ["--type=merge", "--patch", "{\"metadata\":{\"finalizers\":null}}"];
                let patched = kubectl.run(&[&["patch"], &object[..], &change].concat());
                if patched.is_err() {
                    // It may have been let go of just before.
                    let is_gone = kubectl
                        .run(&[&["get", "--ignore-not-found"], &object[..]].concat())?
                        .is_empty();
                    if !is_gone {
                        patched?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a definition is one of them.
    #[must_use]
    pub fn has_definition(&self, name: &str) -> bool {
        self.definitions.iter().any(|known| known == name)
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The objects of a list.
pub fn items(mut list: Value) -> Vec<Value> {
    match list["items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// An object's name.
pub fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, name: &str, of_release: Option<&str>, is_marked: bool) -> Value {
        let mut object = json!({"kind": kind, "metadata": {"name": name}});
        if let Some(namespace) = of_release {
            object["metadata"]["annotations"][NAMESPACE_OF_RELEASE] = json!(namespace);
        }
        if is_marked {
            mark(&mut object);
        }
        object
    }

    #[test]
    fn only_what_is_marked_or_came_into_a_marked_namespace_is_found() {
        let namespaces = [object("Namespace", "sluice-system", None, true)];
        let wide = [
            object(DEFINITION, "topics.sluice.dev", Some("sluice-system"), false),
            object(DEFINITION, "podmonitors.monitoring.coreos.com", None, true),
            object(DEFINITION, "servicemonitors.monitoring.coreos.com", None, false),
            object("ClusterRole", "sluice", Some("sluice-system"), false),
            object("ClusterRole", "sluice-of-somebody", Some("messaging"), false),
            object("ClusterRole", "prometheus", None, false),
            object("ClusterRoleBinding", "sluice-tests-prometheus", None, true),
        ];

        let found = Belongings::among(&namespaces, &wide);

        let expected = Belongings {
            namespaces: vec!["sluice-system".to_owned()],
            definitions: vec![
                "topics.sluice.dev".to_owned(),
                "podmonitors.monitoring.coreos.com".to_owned(),
            ],
            roles: vec![
                "ClusterRole/sluice".to_owned(),
                "ClusterRoleBinding/sluice-tests-prometheus".to_owned(),
            ],
        };
        assert_eq!(found, expected);
        assert!(found.has_definition("topics.sluice.dev"));
        assert!(!found.has_definition("servicemonitors.monitoring.coreos.com"));
        assert!(!found.is_empty());
    }

    #[test]
    fn in_a_cluster_without_marks_nothing_is_found() {
        let wide = [
            object(DEFINITION, "topics.sluice.dev", Some("sluice-system"), false),
            object("ClusterRole", "sluice", Some("sluice-system"), false),
        ];
        assert!(Belongings::among(&[], &wide).is_empty());
    }

    #[test]
    fn resources_in_other_namespaces_are_named() {
        let namespaces = [object("Namespace", "shop", None, true)];
        let found = Belongings::among(&namespaces, &[]);
        let resource =
            |namespace: &str| json!({"kind": "Topic", "metadata": {"namespace": namespace, "name": "mails"}});
        assert_eq!(
            found.elsewhere(&[resource("shop"), resource("default")]),
            ["Topic default/mails"]
        );
    }
}
