//! The way to a Kubernetes API server, and what goes wrong on it.

use crate::args::KubernetesArgs;
use crate::failure::{Failure, Kind};
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Api, Client, Config, ResourceExt as _};
use sluice_operator_api::ConsumerGroup;
use std::time::Duration;

/// So many groups of a namespace are looked through for a name.
const LISTED_MAX: u32 = 5_000;

/// A namespace of an API server.
pub struct Kubernetes {
    client: Client,
    /// Where groups are looked for.
    namespace: String,
    /// What messages call the server.
    address: String,
}

impl Kubernetes {
    /// The server and the namespace that the arguments name, else those that kubectl would take. Nothing is asked yet.
    ///
    /// # Errors
    /// When no kubeconfig says where the server is.
    pub async fn find(args: &KubernetesArgs, timeout: Duration) -> Result<Self, Failure> {
        // The provider is the process's; a second installation changes nothing.
        let _ = rustls::crypto::CryptoProvider::install_default(rustls::crypto::ring::default_provider());
        let mut config = configuration(args).await?;
        config.connect_timeout = Some(timeout);
        config.read_timeout = Some(timeout);
        let address = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let namespace = args.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| {
            Failure::new(Kind::Failed, format!("no client can be made: {}", causes(&error)))
                .about(address.clone())
                .hint("see whether the kubeconfig's certificates and token are what they should be")
        })?;
        Ok(Self {
            client,
            namespace,
            address,
        })
    }

    /// The ConsumerGroup with this name, or for the group with this name.
    ///
    /// # Errors
    /// When there is none, several stand for the group, or the server does not say.
    pub async fn group(&self, name: &str) -> Result<ConsumerGroup, Failure> {
        let api = Api::<ConsumerGroup>::namespaced(self.client.clone(), &self.namespace);
        // A group's name need not be one that a resource can have.
        if is_resource_name(name)
            && let Some(found) = api
                .get_opt(name)
                .await
                .map_err(|error| self.failure(error, name))?
        {
            return Ok(found);
        }
        let listed = api.list(&ListParams::default().limit(LISTED_MAX)).await;
        let listed = listed.map_err(|error| self.failure(error, name))?.items;
        one_of(name, &self.namespace, listed)
    }

    fn failure(&self, error: kube::Error, group: &str) -> Failure {
        let status = match error {
            kube::Error::Api(status) => status,
            error => {
                return Failure::new(Kind::Unreachable, causes(&error))
                    .about(format!("the API server {}", self.address))
                    .hint(
                        "see whether `kubectl get consumergroups` works; --kube-context names another cluster, and --timeout gives it longer",
                    );
            }
        };
        let about = format!("ConsumerGroup '{group}' in the namespace '{}'", self.namespace);
        match status.code {
            // Of a list: the server does not know the kind.
            404 => Failure::new(Kind::NotFound, "the cluster does not know ConsumerGroups")
                .about(self.address.clone())
                .hint("install the operator's chart there, or name another cluster with --kube-context"),
            401 | 403 => Failure::new(Kind::NotAllowed, status.message)
                .about(about)
                .hint("it takes the rights to get and list consumergroups in the API group sluice.dev"),
            _ => Failure::new(Kind::Failed, status.message).about(about),
        }
    }
}

async fn configuration(args: &KubernetesArgs) -> Result<Config, Failure> {
    let options = KubeConfigOptions {
        context: args.kube_context.clone(),
        ..KubeConfigOptions::default()
    };
    let read = match &args.kubeconfig {
        Some(path) => match Kubeconfig::read_from(path) {
            Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &options).await,
            Err(error) => Err(error),
        },
        None if args.kube_context.is_some() => Config::from_kubeconfig(&options).await,
        // Within a pod there is no kubeconfig.
        None => match Config::infer().await {
            Ok(config) => return Ok(config),
            Err(_) => Config::from_kubeconfig(&options).await,
        },
    };
    read.map_err(|error| unusable(&error, args))
}

fn unusable(error: &KubeconfigError, args: &KubernetesArgs) -> Failure {
    let file = args.kubeconfig.as_ref().map_or_else(
        || "the kubeconfig".to_owned(),
        |path| format!("the kubeconfig {}", path.display()),
    );
    let kind = match error {
        KubeconfigError::LoadContext(_) | KubeconfigError::CurrentContextNotSet => Kind::Usage,
        _ => Kind::Failed,
    };
    Failure::new(kind, causes(error))
        .about(file)
        .hint("name a file with --kubeconfig or KUBECONFIG, and one of its contexts with --kube-context")
}

/// The one of these that stands for a group.
fn one_of(name: &str, namespace: &str, listed: Vec<ConsumerGroup>) -> Result<ConsumerGroup, Failure> {
    let about = format!("ConsumerGroup '{name}' in the namespace '{namespace}'");
    let mut names: Vec<_> = listed.iter().map(|group| group.name_any()).collect();
    names.sort_unstable();
    let mut fitting: Vec<_> = listed
        .into_iter()
        .filter(|group| group.group_name() == name)
        .collect();
    if fitting.len() > 1 {
        let several: Vec<_> = fitting.iter().map(|group| group.name_any()).collect();
        return Err(Failure::usage("several of them stand for a group of this name")
            .about(about)
            .hint(format!("name one: {}", several.join(", "))));
    }
    let hint = match &names[..] {
        [] => "there is none in this namespace; --namespace names another one".to_owned(),
        names => format!("there are: {}", names.join(", ")),
    };
    fitting.pop().ok_or_else(|| {
        Failure::new(Kind::NotFound, "there is none")
            .about(about)
            .hint(hint)
    })
}

/// Whether a resource can have this name; others would make another address of it.
fn is_resource_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
}

/// An error with what it comes from, each said once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, group_name: Option<&str>) -> ConsumerGroup {
        let spec = serde_json::json!({"clusterRef": {"name": "main"}, "groupName": group_name});
        ConsumerGroup::new(name, serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn a_group_is_found_by_its_own_name_and_else_those_that_there_are_are_named() {
        let groups = || vec![group("b", Some("order_workers")), group("a", None)];
        let found = one_of("order_workers", "shop", groups()).unwrap();
        assert_eq!(found.name_any(), "b");
        let failure = one_of("nobody", "shop", groups()).unwrap_err();
        assert_eq!(failure.kind, Kind::NotFound);
        assert_eq!(failure.hint.as_deref(), Some("there are: a, b"));
        let failure = one_of("nobody", "shop", Vec::new()).unwrap_err();
        assert!(failure.hint.unwrap().contains("--namespace"));
    }

    #[test]
    fn one_name_in_two_clusters_is_asked_back() {
        let groups = vec![group("x", Some("workers")), group("y", Some("workers"))];
        let failure = one_of("workers", "shop", groups).unwrap_err();
        assert_eq!(failure.kind, Kind::Usage);
        assert_eq!(failure.hint.as_deref(), Some("name one: x, y"));
    }

    #[test]
    fn what_is_no_name_of_a_resource_never_becomes_a_part_of_an_address() {
        for (name, is) in [
            ("billing-2", true),
            ("Order_Paid", false),
            ("a/b", false),
            ("", false),
        ] {
            assert_eq!(is_resource_name(name), is, "{name}");
        }
    }
}
