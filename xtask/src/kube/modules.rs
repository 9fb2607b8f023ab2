//! What the Kubernetes of the tests is made of: Go modules, each pinned by a `go.mod` of its own, and the programs in them.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::workspace;

/// A module and the programs that are built from it.
#[derive(Debug, Hash)]
pub struct Module {
    /// Below `tests/kube/tools`: a `go.mod` and a `go.sum`, since the modules want different versions of the same others.
    pub folder: &'static str,
    /// What the linker is told beside leaving out symbols.
    pub link: &'static str,
    /// What is built of it, in words that the module knows.
    pub tags: &'static str,
    pub programs: &'static [Program],
}

/// A program and the package that is its `main`.
#[derive(Debug, Hash)]
pub struct Program {
    pub name: &'static str,
    pub package: &'static str,
}

/// In the order in which they are built: what most suites need comes first.
pub const MODULES: &[Module] = &[
    Module {
        folder: "etcd",
        link: "",
        tags: "",
        programs: &[program("etcd", "go.etcd.io/etcd/server/v3")],
    },
    Module {
        folder: "pause",
        link: "",
        tags: "",
        programs: &[program("pause", "sluice.dev/tests/pause")],
    },
    Module {
        folder: "kubernetes",
        // Without it the server says that it is v0.0.0, and clients do what they do with one of that version.
        link: "-X k8s.io/component-base/version.gitVersion=v1.34.4 -X k8s.io/component-base/version.gitMajor=1 \
               -X k8s.io/component-base/version.gitMinor=34",
        tags: "",
        programs: &[
            program("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            program(
                "kube-controller-manager",
                "k8s.io/kubernetes/cmd/kube-controller-manager",
            ),
            program("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
            program("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
            program("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
            program("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        ],
    },
    Module {
        folder: "coredns",
        link: "",
        tags: "",
        programs: &[program("coredns", "github.com/coredns/coredns")],
    },
    Module {
        folder: "helm",
        link: "",
        tags: "",
        programs: &[program("helm", "helm.sh/helm/v4/cmd/helm")],
    },
    // Debian's cannot ask Kubernetes for pods. Of all the others that it could ask, none is built in.
    Module {
        folder: "prometheus",
        link: "",
        tags: "remove_all_sd,enable_kubernetes_sd",
        programs: &[program(
            "prometheus",
            "github.com/prometheus/prometheus/cmd/prometheus",
        )],
    },
];

/// The module that is only fetched: the definitions of ServiceMonitor, PodMonitor and PrometheusRule lie in it.
pub const DEFINITIONS: &str = "prometheus-operator";
/// The module's path, by which Go is asked for it.
pub const DEFINITIONS_MODULE: &str = "github.com/prometheus-operator/prometheus-operator";
/// Where they lie in the module.
pub const DEFINITIONS_WITHIN: &str = "example/prometheus-operator-crd";
/// The files, which keep their names.
pub const DEFINITION_FILES: [&str; 3] = [
    "monitoring.coreos.com_podmonitors.yaml",
    "monitoring.coreos.com_prometheusrules.yaml",
    "monitoring.coreos.com_servicemonitors.yaml",
];

const fn program(name: &'static str, package: &'static str) -> Program {
    Program { name, package }
}

/// The folder with a module's `go.mod`.
pub fn folder_of(module: &str) -> PathBuf {
    workspace::root().join("tests/kube/tools").join(module)
}

/// The names of everything that is there once all is built.
pub fn files() -> impl Iterator<Item = &'static str> {
    let programs = MODULES.iter().flat_map(|module| module.programs);
    programs.map(|program| program.name).chain(DEFINITION_FILES)
}

/// Differs where anything would be built differently. A new Rust may hash differently: that costs one build.
pub fn fingerprint() -> Result<String> {
    let mut hasher = DefaultHasher::new();
    MODULES.hash(&mut hasher);
    DEFINITION_FILES.hash(&mut hasher);
    for folder in MODULES.iter().map(|module| module.folder).chain([DEFINITIONS]) {
        let path = folder_of(folder).join("go.mod");
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        text.hash(&mut hasher);
        // Of the one program whose source is here.
        std::fs::read_to_string(path.with_file_name("main.go"))
            .ok()
            .hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_module_is_pinned_and_names_its_programs_as_tools() {
        for module in MODULES {
            let path = folder_of(module.folder).join("go.mod");
            let text = std::fs::read_to_string(&path).unwrap();
            for program in module.programs {
                assert!(
                    text.contains(program.package),
                    "{}: {}",
                    path.display(),
                    program.package
                );
            }
        }
    }

    #[test]
    fn the_linker_is_told_the_version_that_is_pinned() {
        let kubernetes = MODULES
            .iter()
            .find(|module| module.folder == "kubernetes")
            .unwrap();
        let text = std::fs::read_to_string(folder_of(kubernetes.folder).join("go.mod")).unwrap();
        let pinned = text
            .lines()
            .find_map(|line| line.split_once("k8s.io/kubernetes v"));
        let pinned = pinned
            .and_then(|(_, rest)| rest.split_whitespace().next())
            .unwrap();
        assert!(
            kubernetes.link.contains(&format!("gitVersion=v{pinned} ")),
            "{pinned}"
        );
    }

    #[test]
    fn no_two_files_have_the_same_name() {
        let names: Vec<_> = files().collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
