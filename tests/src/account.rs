//! The operator's account as the chart makes it, for an operator that runs outside of Kubernetes: what it may do in a release, it may
//! do in a test, and nothing else.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::kube::helm::Helm;
use crate::kube::kubectl::Kubectl;

/// The release.
pub const RELEASE: &str = "sluice";

/// An account on a server.
#[derive(Debug)]
pub struct Account {
    /// With a token of the account.
    pub kubeconfig: PathBuf,
    /// The flags that the chart starts the operator with.
    pub flags: Vec<String>,
}

impl Account {
    /// Makes the account of a release in this namespace, which is there, with these arguments of `helm template`. The kubeconfig is
    /// that of an administrator; the account's is put beside it.
    ///
    /// # Errors
    /// When the chart or the server refuses something.
    pub fn install(kubeconfig: &Path, namespace: &str, values: &[&str]) -> Result<Self> {
        let arguments = [&["--set", "crds.enabled=false"], values].concat();
        let objects = Helm::default().template(RELEASE, namespace, &arguments)?;
        let folder = kubeconfig.parent().context("the kubeconfig is in no folder")?;
        let kubectl = Kubectl::of(kubeconfig);
        let of_account = |object: &&Value| {
            let kind = object["kind"].as_str().unwrap_or_default();
            kind == "ServiceAccount" || kind.contains("Role")
        };
        let items: Vec<_> = objects.iter().filter(of_account).collect();
        let file = folder.join(format!("account-in-{namespace}.json"));
        std::fs::write(
            &file,
            json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string(),
        )?;
        let path = file.to_str().context("the folder is not UTF-8")?;
        kubectl.run(&["apply", "--server-side", "--filename", path])?;
        Ok(Self {
            flags: flags(&objects).context("the chart has no Deployment with arguments")?,
            kubeconfig: with_token(kubeconfig, &kubectl, namespace)?,
        })
    }
}

fn flags(objects: &[Value]) -> Option<Vec<String>> {
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment")?;
    let arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array()?;
    let flags = arguments.iter().filter_map(Value::as_str);
    Some(flags.filter(|flag| *flag != "run").map(str::to_owned).collect())
}

/// A kubeconfig with a token of the account in place of the administrator's certificate.
fn with_token(administrators: &Path, kubectl: &Kubectl, namespace: &str) -> Result<PathBuf> {
    let token = kubectl.run(&["create", "token", RELEASE, "--namespace", namespace])?;
    let mut config: Value = serde_yaml::from_str(&std::fs::read_to_string(administrators)?)?;
    config["users"][0]["user"] = json!({"token": token.trim()});
    let file = administrators.with_file_name(format!("account-in-{namespace}"));
    std::fs::write(&file, serde_yaml::to_string(&config)?)?;
    Ok(file)
}
