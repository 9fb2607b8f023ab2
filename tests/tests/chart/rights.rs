//! What the operator's account may do: no more than it has to, and that as the API server sees it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::stage::{NAMESPACE, RELEASE, name, of_kind, render, render_file, texts};

/// A verb on a resource of a group, and the namespace of the role; none for all.
type Right = (String, String, String, Option<String>);

/// What all roles together allow that are not for people.
fn rights(objects: &[Value]) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for object in objects
        .iter()
        .filter(|object| object["rules"].is_array() && !is_for_people(object))
    {
        let namespace = object["metadata"]["namespace"].as_str().map(str::to_owned);
        for rule in object["rules"].as_array().unwrap() {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        rights.insert((verb.into(), resource.into(), group.into(), namespace.clone()));
                    }
                }
            }
        }
    }
    rights
}

fn is_for_people(object: &Value) -> bool {
    let labels = object["metadata"]["labels"].as_object().unwrap();
    labels.keys().any(|label| label.contains("/aggregate-to-"))
}

/// Every way in which the roles are made.
fn all_ways() -> Vec<Vec<Value>> {
    vec![render(&[]), render_file("namespaced"), render_file("everything")]
}

#[test]
fn no_rule_has_a_wildcard_or_gives_what_nobody_needs() {
    for objects in all_ways() {
        for (verb, resource, group, namespace) in rights(&objects) {
            let right = format!("{verb} {resource} of {group:?} in {namespace:?}");
            for part in [&verb, &resource, &group] {
                assert!(!part.contains('*'), "{right}");
            }
            assert!(!resource.starts_with("pods/"), "{right}");
            assert!(
                !matches!(&*verb, "escalate" | "bind" | "impersonate" | "deletecollection"),
                "{right}"
            );
            assert_ne!(group, "rbac.authorization.k8s.io", "{right}");
            if resource == "secrets" {
                assert!(!matches!(&*verb, "list" | "watch"), "{right}");
            }
            if resource == "leases" {
                assert_eq!(namespace.as_deref(), Some(NAMESPACE), "{right}");
            }
        }
    }
}

#[test]
fn only_the_scale_of_what_is_named_is_written() {
    for (arguments, expected) in [
        (&[][..], &["deployments/scale", "statefulsets/scale"][..]),
        (&["--set", "rbac.scaleTargets=null"], &[]),
        (
            &[
                "--set",
                "rbac.scaleTargets[0].apiGroup=example.org,rbac.scaleTargets[0].resource=workers",
            ],
            &["workers/scale"],
        ),
    ] {
        let rights = rights(&render(arguments));
        let of_scale = || {
            rights
                .iter()
                .filter(|(_, resource, ..)| resource.ends_with("/scale"))
        };
        let scaled: BTreeSet<_> = of_scale().map(|(_, resource, ..)| &**resource).collect();
        assert_eq!(scaled, expected.iter().copied().collect(), "{arguments:?}");
        let verbs: BTreeSet<_> = of_scale().map(|(verb, ..)| &**verb).collect();
        assert!(verbs.is_subset(&BTreeSet::from(["get", "patch"])), "{verbs:?}");
        let of_workloads = rights
            .iter()
            .filter(|(_, resource, ..)| resource == "deployments");
        assert!(
            of_workloads.into_iter().all(|(verb, ..)| verb == "get"),
            "{arguments:?}"
        );
    }
}

#[test]
fn with_namespaces_named_there_is_no_right_in_any_other() {
    let objects = render_file("namespaced");
    for kind in ["ClusterRole", "ClusterRoleBinding"] {
        let found = of_kind(&objects, kind);
        assert!(
            found.is_empty(),
            "{:?}",
            found.iter().map(|object| name(object)).collect::<Vec<_>>()
        );
    }
    let namespaces: BTreeSet<_> = rights(&objects)
        .into_iter()
        .map(|(.., namespace)| namespace.unwrap())
        .collect();
    assert_eq!(
        namespaces,
        ["shop", "billing", NAMESPACE].map(str::to_owned).into()
    );
    let in_own: BTreeSet<_> = rights(&objects)
        .into_iter()
        .filter(|(.., namespace)| namespace.as_deref() == Some(NAMESPACE))
        .map(|(_, resource, ..)| resource)
        .collect();
    assert_eq!(in_own, ["leases".to_owned()].into());
}

#[test]
fn the_same_is_allowed_by_roles_as_by_cluster_roles() {
    let without_namespace = |objects: &[Value]| -> BTreeSet<_> {
        let rights = rights(objects).into_iter();
        rights
            .map(|(verb, resource, group, _)| (verb, resource, group))
            .collect()
    };
    assert_eq!(
        without_namespace(&render(&[])),
        without_namespace(&render_file("namespaced"))
    );
}

#[test]
fn every_role_is_bound_to_the_operators_account_and_to_nobody_else() {
    for objects in all_ways() {
        let roles: BTreeSet<_> = ["Role", "ClusterRole"]
            .iter()
            .flat_map(|kind| of_kind(&objects, kind))
            .filter(|role| !is_for_people(role))
            .map(|role| {
                (
                    role["metadata"]["name"].to_string(),
                    role["metadata"]["namespace"].to_string(),
                )
            })
            .collect();
        let mut bound = BTreeSet::new();
        for binding in ["RoleBinding", "ClusterRoleBinding"]
            .iter()
            .flat_map(|kind| of_kind(&objects, kind))
        {
            let subjects = binding["subjects"].as_array().unwrap();
            assert_eq!(subjects.len(), 1);
            assert_eq!(subjects[0]["kind"], "ServiceAccount");
            assert_eq!(subjects[0]["namespace"], NAMESPACE);
            bound.insert((
                binding["roleRef"]["name"].to_string(),
                binding["metadata"]["namespace"].to_string(),
            ));
        }
        assert_eq!(bound, roles);
    }
}

#[test]
fn two_releases_of_a_name_do_not_share_what_belongs_to_the_whole_cluster() {
    let objects = render(&[]);
    for object in ["ClusterRole", "ClusterRoleBinding"]
        .iter()
        .flat_map(|kind| of_kind(&objects, kind))
    {
        let expected = format!("{NAMESPACE}:{RELEASE}:");
        assert!(
            object["metadata"]["name"]
                .as_str()
                .unwrap()
                .starts_with(&expected),
            "{}",
            name(object)
        );
    }
}

#[test]
fn what_helm_tests_is_what_the_roles_allow() {
    for objects in all_ways() {
        let configured = of_kind(&objects, "ConfigMap");
        let text = configured
            .iter()
            .find_map(|object| object["data"]["rights.yaml"].as_str())
            .unwrap();
        let tested = sluice_tests::kube::helm::objects(text).unwrap().remove(0);
        let mut expected = BTreeSet::new();
        for grant in tested.as_array().unwrap() {
            for rule in grant["rules"].as_array().unwrap() {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        expected.insert((verb.to_owned(), resource.to_owned()));
                    }
                }
            }
        }
        let allowed: BTreeSet<_> = rights(&objects)
            .into_iter()
            .map(|(verb, resource, ..)| (verb, resource))
            .collect();
        assert_eq!(expected, allowed);
    }
}
