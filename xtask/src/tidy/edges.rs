//! Which package may use which, and which crates stay out of which packages: the direction of
//! ARCHITECTURE.md.

use super::Violation;
use super::tree::{Dependency, Package, Tree};

/// The packages by folder, each with those it may use directly; what these may use, it may use too.
const USES: &[(&str, &[&str])] = &[
    ("access", &[]),
    ("broker/core", &[]),
    ("broker/store", &["broker/core"]),
    ("broker/replication", &["broker/store"]),
    (
        "broker",
        &["access", "broker/replication", "broker/store", "proto"],
    ),
    ("proto", &[]),
    ("operator/api", &[]),
    ("operator", &["access", "operator/api", "proto"]),
    ("client", &["proto"]),
    ("cli", &["operator/api", "broker/store", "proto"]),
    ("bench", &["broker/store", "proto"]),
    ("xtask", &[]),
];

/// The package that may use all others, which none may use.
const TESTS: &str = "tests";

/// Crates by package that must not be its dependencies, with the reason; its tests may use them.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "broker/core",
        &["tokio", "tonic", "serde"],
        "core is a pure fold: no runtime, no wire, no derived formats",
    ),
    ("broker/core", &["rustix", "tempfile"], "core does no IO"),
    (
        "broker/store",
        &["tokio", "tonic"],
        "the store runs on plain threads and knows no wire",
    ),
];

/// Crates that only one package may use, with the reason.
const RESERVED: &[(&str, &str, &str)] = &[(
    "memmap2",
    "broker/store",
    "one file maps files, and it is in the store",
)];

/// Every edge inside the workspace is one the design knows.
pub fn follow_the_design(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in tree.packages.iter().filter(|package| package.folder != TESTS) {
        if !USES.iter().any(|(folder, _)| *folder == package.folder) {
            violations.push(package.violation(
                "this package is not in the design: give it its edges in xtask/src/tidy/edges.rs",
            ));
        }
        for target in package
            .dependencies
            .iter()
            .filter_map(|dependency| dependency.folder.as_deref())
        {
            if !may_use(&package.folder, target) {
                violations.push(package.violation(&format!("{} must not use {target}", package.folder)));
            }
        }
    }
    violations
}

/// No package uses a crate that is kept out of it.
pub fn crates_stay_where_they_belong(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in &tree.packages {
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| !dependency.in_tests_only)
        {
            if let Some(reason) = kept_out(package, dependency) {
                let message = format!(
                    "{} must not use the crate {}: {reason}",
                    package.folder, dependency.name
                );
                violations.push(package.violation(&message));
            }
        }
    }
    violations
}

fn may_use(from: &str, to: &str) -> bool {
    let direct = USES
        .iter()
        .find(|(folder, _)| *folder == from)
        .map_or(&[][..], |(_, targets)| targets);
    direct.iter().any(|target| *target == to || may_use(target, to))
}

fn kept_out(package: &Package, dependency: &Dependency) -> Option<&'static str> {
    let forbidden = FORBIDDEN
        .iter()
        .filter(|(folder, crates, _)| *folder == package.folder && crates.contains(&dependency.name.as_str()))
        .map(|(_, _, reason)| *reason);
    let reserved = RESERVED
        .iter()
        .filter(|(name, folder, _)| *name == dependency.name && *folder != package.folder)
        .map(|(_, _, reason)| *reason);
    forbidden.chain(reserved).next()
}

impl Package {
    fn violation(&self, message: &str) -> Violation {
        Violation::new(&format!("{}/Cargo.toml", self.folder), 1, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(folder: &str, dependencies: Vec<Dependency>) -> Tree {
        Tree {
            packages: vec![Package {
                folder: folder.to_owned(),
                dependencies,
            }],
            ..Tree::default()
        }
    }

    fn inside(folder: &str) -> Dependency {
        Dependency {
            name: folder.replace('/', "-"),
            folder: Some(folder.to_owned()),
            in_tests_only: false,
        }
    }

    fn outside(name: &str) -> Dependency {
        Dependency {
            name: name.to_owned(),
            folder: None,
            in_tests_only: false,
        }
    }

    fn edge_is_allowed(from: &str, to: &str) -> bool {
        follow_the_design(&tree(from, vec![inside(to)])).is_empty()
    }

    #[test]
    fn edges_of_the_design_pass() {
        for (from, to) in [
            ("broker/store", "broker/core"),
            ("broker/replication", "broker/core"),
            ("broker", "broker/core"),
            ("broker", "proto"),
            ("bench", "broker/store"),
            ("cli", "operator/api"),
            ("operator", "proto"),
            ("operator", "access"),
            ("broker", "access"),
            ("client", "proto"),
            ("tests", "broker"),
            ("tests", "xtask"),
        ] {
            assert!(edge_is_allowed(from, to), "{from} may use {to}");
        }
    }

    #[test]
    fn edges_against_the_design_are_caught() {
        for (from, to) in [
            ("broker/core", "broker/store"),
            ("broker/core", "proto"),
            ("broker/store", "proto"),
            ("broker", "operator/api"),
            ("operator", "broker/core"),
            ("access", "proto"),
            ("client", "broker/core"),
            ("bench", "broker"),
            ("xtask", "proto"),
            ("broker", "tests"),
        ] {
            assert!(!edge_is_allowed(from, to), "{from} must not use {to}");
        }
    }

    #[test]
    fn an_edge_of_the_tests_alone_counts_too() {
        let edge = Dependency {
            in_tests_only: true,
            ..inside("broker/store")
        };
        assert_eq!(follow_the_design(&tree("broker/core", vec![edge])).len(), 1);
    }

    #[test]
    fn a_package_the_design_does_not_know_is_caught() {
        let violations = follow_the_design(&tree("helpers", vec![]));
        assert_eq!(violations[0].path, "helpers/Cargo.toml");
    }

    #[test]
    fn crates_kept_out_are_caught() {
        for (folder, name) in [
            ("broker/core", "tokio"),
            ("broker/core", "serde"),
            ("broker/store", "tonic"),
            ("broker", "memmap2"),
        ] {
            assert_eq!(
                crates_stay_where_they_belong(&tree(folder, vec![outside(name)])).len(),
                1,
                "{folder} {name}"
            );
        }
    }

    #[test]
    fn crates_in_their_place_pass() {
        let for_tests = Dependency {
            in_tests_only: true,
            ..outside("tokio")
        };
        for (folder, dependency) in [
            ("broker", outside("tokio")),
            ("broker/store", outside("memmap2")),
            ("broker/store", for_tests),
        ] {
            assert_eq!(
                crates_stay_where_they_belong(&tree(folder, vec![dependency])),
                [],
                "{folder}"
            );
        }
    }
}
