//! `sluice-operator run`: its flags, and what they mean once they are checked.

use crate::alerts::{Guarding, WebhookArgs};
use crate::lease::Terms;
use crate::logging::{Format, Levels};
use crate::prometheus::Server;
use clap::Args;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// How the operator runs. Every flag is an environment variable too; a flag goes before its variable.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = "\
The API server is found as kubectl finds it: by KUBECONFIG, else ~/.kube/config, else as the pod's own account.

One replica leads and the others stand by, ready to take over: start as many as you like. On SIGTERM the leader ends what it is \
doing and gives its lease back, so that another leads at once; after a crash that takes --lease-duration-seconds. Whoever loses \
the lease ends with code 1, to be started again.

Examples:
  sluice-operator run                                    all namespaces, as in a pod
  sluice-operator run --namespaces shop,billing          only these, for which roles in them suffice
  KUBECONFIG=dev.yaml sluice-operator run --lease-namespace default --listen 127.0.0.1:8080 --log-format text \
    --admin-addresses shop/main=127.0.0.1:8082         on your machine, with `kubectl port-forward -n shop svc/main-admin 8082`")]
pub struct RunArgs {
    /// Watch the resources of these namespaces only; of all unless given
    #[arg(
        long,
        env = "SLUICE_OPERATOR_NAMESPACES",
        value_name = "NAME,…",
        value_delimiter = ','
    )]
    namespaces: Vec<String>,
    /// Serve /livez, /readyz and /metrics on this address, over HTTP
    #[arg(
        long,
        env = "SLUICE_OPERATOR_LISTEN",
        value_name = "HOST:PORT",
        default_value = "0.0.0.0:8080"
    )]
    listen: SocketAddr,
    /// Reconcile this many resources of a kind and a namespace (or of all) at one time
    #[arg(
        long,
        env = "SLUICE_OPERATOR_CONCURRENCY",
        value_name = "COUNT",
        default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    concurrency: u16,
    /// Look at each resource again after this time, without an event: so drift is found, and figures stay fresh
    #[arg(
        long,
        env = "SLUICE_OPERATOR_RESYNC_SECONDS",
        value_name = "SECONDS",
        default_value_t = 120,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    resync_seconds: u64,
    /// Look at the replicas of each consumer group with autoscaling this often
    #[arg(
        long,
        env = "SLUICE_OPERATOR_EVALUATE_SECONDS",
        value_name = "SECONDS",
        default_value_t = 15,
        value_parser = clap::value_parser!(u64).range(1..=300)
    )]
    evaluate_seconds: u64,
    /// Read lag and guards from this Prometheus for consumer groups that name none: `http://prometheus.monitoring:9090`
    #[arg(long, env = "SLUICE_OPERATOR_PROMETHEUS_URL", value_name = "URL")]
    prometheus_url: Option<String>,
    #[command(flatten)]
    webhook: WebhookArgs,
    /// Reach the admin API of these clusters under other addresses than their Services': for an operator outside of the
    /// Kubernetes cluster, with a forwarded port
    #[arg(
        long,
        env = "SLUICE_OPERATOR_ADMIN_ADDRESSES",
        value_name = "NAMESPACE/CLUSTER=HOST:PORT,…",
        value_delimiter = ','
    )]
    admin_addresses: Vec<String>,
    /// Run brokers from this image, without tag, unless their BrokerCluster names another; the tag is the cluster's version
    #[arg(
        long,
        env = "SLUICE_OPERATOR_BROKER_IMAGE",
        value_name = "IMAGE",
        default_value = "sluice-broker"
    )]
    broker_image: String,
    /// Agree on the leader by the Lease of this name
    #[arg(
        long,
        env = "SLUICE_OPERATOR_LEASE_NAME",
        value_name = "NAME",
        default_value = "sluice-operator"
    )]
    lease_name: String,
    /// Keep the Lease in this namespace; in that of the pod, or of the kubeconfig file, unless given
    #[arg(long, env = "SLUICE_OPERATOR_LEASE_NAMESPACE", value_name = "NAME")]
    lease_namespace: Option<String>,
    /// Let others take over when the leader has been silent for this long
    #[arg(
        long,
        env = "SLUICE_OPERATOR_LEASE_DURATION_SECONDS",
        value_name = "SECONDS",
        default_value_t = 15,
        value_parser = clap::value_parser!(u64).range(3..=3_600)
    )]
    lease_duration_seconds: u64,
    /// End as the leader when the lease could not be renewed for this long; less than the duration
    #[arg(
        long,
        env = "SLUICE_OPERATOR_LEASE_RENEW_WITHIN_SECONDS",
        value_name = "SECONDS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(2..=3_600)
    )]
    lease_renew_within_seconds: u64,
    /// Renew the lease, or look whether it is free, this often; less than --lease-renew-within-seconds
    #[arg(
        long,
        env = "SLUICE_OPERATOR_LEASE_RETRY_SECONDS",
        value_name = "SECONDS",
        default_value_t = 2,
        value_parser = clap::value_parser!(u64).range(1..=3_600)
    )]
    lease_retry_seconds: u64,
    /// Call this replica so in the lease, in events and towards brokers; the name of the host, which in a pod is the pod's,
    /// unless given
    #[arg(long, env = "SLUICE_OPERATOR_IDENTITY", value_name = "NAME")]
    identity: Option<String>,
    /// Log for people or an object a line
    #[arg(long, env = "SLUICE_OPERATOR_LOG_FORMAT", value_enum, default_value = "json")]
    log_format: Format,
    /// Log from this level on: error, warn, info, debug, trace or off, for all packages or by PACKAGE=LEVEL
    #[arg(
        long,
        env = "SLUICE_OPERATOR_LOG",
        value_name = "LEVELS",
        default_value = "info"
    )]
    log: Levels,
}

/// What the flags mean.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where resources are watched.
    pub scopes: Vec<Scope>,
    /// Where probes and metrics are served.
    pub listen: SocketAddr,
    /// Reconciliations at one time, by kind and scope.
    pub concurrency: u16,
    /// From one look at a resource to the next.
    pub resync: Duration,
    /// From one evaluation of a group's replicas to the next.
    pub evaluate_every: Duration,
    /// The Prometheus of groups that name none.
    pub prometheus_url: Option<String>,
    /// Where alerts are taken.
    pub webhook: Option<Guarding>,
    /// Admin APIs that are elsewhere than their Services, by NAMESPACE/CLUSTER.
    pub admin_addresses: BTreeMap<String, String>,
    /// Where the brokers' image is from unless a cluster says otherwise.
    pub broker_image: String,
    /// The Lease.
    pub lease_name: String,
    /// Its namespace; the client's own if absent.
    pub lease_namespace: Option<String>,
    /// Its times.
    pub lease_terms: Terms,
    /// What this replica is called.
    pub identity: String,
    /// How lines are logged.
    pub log_format: Format,
    /// Which lines are logged.
    pub log: Levels,
}

/// Namespaces that are watched together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All of them.
    All,
    /// One.
    Namespace(String),
}

impl Scope {
    /// The resources of a kind that are in it.
    pub fn api<K>(&self, client: Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match self {
            Self::All => Api::all(client),
            Self::Namespace(name) => Api::namespaced(client, name),
        }
    }
}

impl RunArgs {
    /// Checks them against each other. `host` is what the machine is called.
    ///
    /// # Errors
    /// A sentence that names the flags that do not go together.
    pub fn check(self, host: Option<String>) -> Result<Settings, String> {
        let lease_terms = Terms {
            duration: Duration::from_secs(self.lease_duration_seconds),
            renew_within: Duration::from_secs(self.lease_renew_within_seconds),
            retry: Duration::from_secs(self.lease_retry_seconds),
        };
        if lease_terms.renew_within >= lease_terms.duration {
            return Err(format!(
                "--lease-renew-within-seconds {} must be less than --lease-duration-seconds {}: a leader has to stop before another begins",
                self.lease_renew_within_seconds, self.lease_duration_seconds
            ));
        }
        if lease_terms.retry >= lease_terms.renew_within {
            return Err(format!(
                "--lease-retry-seconds {} must be less than --lease-renew-within-seconds {}: a leader has to try more than once",
                self.lease_retry_seconds, self.lease_renew_within_seconds
            ));
        }
        let identity = self.identity.or(host).filter(|name| !name.is_empty());
        Ok(Settings {
            scopes: scopes(&self.namespaces)?,
            listen: self.listen,
            concurrency: self.concurrency,
            resync: Duration::from_secs(self.resync_seconds),
            evaluate_every: Duration::from_secs(self.evaluate_seconds),
            prometheus_url: prometheus_url(self.prometheus_url)?,
            webhook: self.webhook.check()?,
            admin_addresses: addresses(&self.admin_addresses)?,
            broker_image: self.broker_image,
            lease_name: self.lease_name,
            lease_namespace: self.lease_namespace,
            lease_terms,
            identity: identity.unwrap_or_else(|| "sluice-operator".to_owned()),
            log_format: self.log_format,
            log: self.log,
        })
    }
}

/// One that cannot be used is refused at the start, and not by each group.
fn prometheus_url(url: Option<String>) -> Result<Option<String>, String> {
    let url = url.map(|url| url.trim().to_owned()).filter(|url| !url.is_empty());
    let Some(url) = url else { return Ok(None) };
    let server = Server {
        url: url.clone(),
        authorization: None,
        tenant: None,
        ca_bundle: None,
        client_certificate: None,
        timeout: Duration::from_secs(1),
    };
    server
        .check()
        .map_err(|error| format!("--prometheus-url: {error}"))?;
    Ok(Some(url))
}

fn addresses(entries: &[String]) -> Result<BTreeMap<String, String>, String> {
    let entries = entries
        .iter()
        .map(|entry| entry.trim())
        .filter(|entry| !entry.is_empty());
    let read = |entry: &str| {
        let (cluster, address) = entry.split_once('=')?;
        let (namespace, name) = cluster.split_once('/')?;
        let (host, port) = address.rsplit_once(':')?;
        let whole =
            !namespace.is_empty() && !name.is_empty() && !host.is_empty() && port.parse::<u16>().is_ok();
        whole.then(|| (cluster.to_owned(), address.to_owned()))
    };
    entries
        .map(|entry| {
            read(entry)
                .ok_or_else(|| format!("--admin-addresses: '{entry}' is not NAMESPACE/CLUSTER=HOST:PORT"))
        })
        .collect()
}

fn scopes(namespaces: &[String]) -> Result<Vec<Scope>, String> {
    let names = namespaces
        .iter()
        .map(|name| name.trim())
        .filter(|name| !name.is_empty());
    let names: BTreeSet<_> = names.collect();
    let is_label = |name: &&str| {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        name.len() <= 63 && name.bytes().all(inside) && !name.starts_with('-') && !name.ends_with('-')
    };
    if let Some(name) = names.iter().find(|name| !is_label(name)) {
        return Err(format!(
            "--namespaces: '{name}' is no name of a namespace; write names with commas between, or leave the flag out for all"
        ));
    }
    if names.is_empty() {
        return Ok(vec![Scope::All]);
    }
    Ok(names
        .into_iter()
        .map(|name| Scope::Namespace(name.to_owned()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser};

    const PAGE: &str = include_str!("../../docs/operator.md");

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArgs,
    }

    fn check(flags: &[&str]) -> Result<Settings, String> {
        let line = ["run"].iter().chain(flags);
        let args = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        args.run.check(Some("host".to_owned()))
    }

    #[test]
    fn without_flags_there_are_defaults_that_go_together() {
        let settings = check(&[]).unwrap();
        assert_eq!(settings.scopes, [Scope::All]);
        assert_eq!(settings.identity, "host");
        assert_eq!(settings.lease_terms.duration, Duration::from_secs(15));
        assert_eq!(settings.lease_terms.renew_within, Duration::from_secs(10));
        assert_eq!(settings.lease_terms.retry, Duration::from_secs(2));
    }

    #[test]
    fn namespaces_are_a_list_in_which_each_counts_once() {
        let namespace = |name: &str| Scope::Namespace(name.to_owned());
        for (flag, scopes) in [
            ("", vec![Scope::All]),
            ("shop", vec![namespace("shop")]),
            (
                " shop,billing,,shop ",
                vec![namespace("billing"), namespace("shop")],
            ),
        ] {
            assert_eq!(check(&["--namespaces", flag]).unwrap().scopes, scopes, "{flag}");
        }
    }

    #[test]
    fn admin_addresses_are_by_cluster() {
        let flag = "shop/main=127.0.0.1:8082, billing/main=[::1]:9";
        let addresses = check(&["--admin-addresses", flag]).unwrap().admin_addresses;
        let entry = |cluster: &str, address: &str| (cluster.to_owned(), address.to_owned());
        let wanted = [
            entry("shop/main", "127.0.0.1:8082"),
            entry("billing/main", "[::1]:9"),
        ];
        assert_eq!(addresses, wanted.into());
    }

    #[test]
    fn what_does_not_go_together_is_refused_by_name() {
        for (flags, named) in [
            (&["--namespaces", "Shop"][..], "'Shop'"),
            (&["--namespaces", "-a"], "'-a'"),
            (
                &["--lease-duration-seconds", "10"],
                "--lease-renew-within-seconds 10 must be less",
            ),
            (
                &["--lease-retry-seconds", "10"],
                "--lease-retry-seconds 10 must be less",
            ),
            (&["--admin-addresses", "shop=localhost:1"], "'shop=localhost:1'"),
            (
                &["--admin-addresses", "shop/main=localhost"],
                "'shop/main=localhost'",
            ),
            (&["--concurrency", "0"], "--concurrency"),
            (&["--listen", "8080"], "--listen"),
            (&["--log", "loud"], "'loud'"),
            (&["--webhook-listen", "0.0.0.0:1"], "--webhook-token-file"),
        ] {
            let error = check(flags).unwrap_err();
            assert!(error.contains(named), "{flags:?}: {error}");
        }
    }

    #[test]
    fn every_flag_has_a_variable_and_a_row_on_the_page() {
        for argument in Line::command().get_arguments() {
            let flag = argument.get_long().unwrap();
            let name = flag.replace('-', "_").to_uppercase();
            let variable = ["SLUICE", "OPERATOR", &name].join("_");
            assert_eq!(
                argument.get_env().and_then(|name| name.to_str()),
                Some(&*variable)
            );
            let default = argument
                .get_default_values()
                .first()
                .and_then(|value| value.to_str());
            let default = default.map_or_else(|| "none".to_owned(), |default| format!("`{default}`"));
            let row = format!("| `--{flag}` | `{variable}` | {default} | ");
            assert!(
                PAGE.lines().any(|line| line.starts_with(&row)),
                "docs/operator.md lacks {row}"
            );
        }
        let flags = Line::command().get_arguments().count();
        let rows = PAGE.lines().filter(|line| line.starts_with("| `--")).count();
        assert_eq!(rows, flags, "docs/operator.md has rows of flags that are gone");
    }
}
