//! `sluice-operator check`: whether a replica is ready, and whether the account that this runs as may do what it has to. The
//! chart's tests run it, since the image has no other program.

use crate::kubernetes;
use crate::metrics::Metrics;
use anyhow::{Context as _, Result, bail, ensure};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::PostParams;
use kube::{Api, Client};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Of an answer to a probe, which is one line.
const ANSWER_BYTES_MAX: usize = 4096;

/// What to look at.
#[derive(clap::Args)]
#[command(after_long_help = "\
Both are tried if both are given. It ends with code 1 and says why if either fails.

Examples:
  sluice-operator check --ready http://sluice:8080/readyz
  sluice-operator check --rights rights.yaml

A file of rights is a list of what the account is to have, with rules as in a Role; without namespaces, in all of them:
  - namespaces: [shop]
    rules:
      - {apiGroups: [sluice.dev], resources: [topics/status], verbs: [patch]}")]
pub struct CheckArgs {
    /// Ask this address until it answers with 200
    #[arg(long, value_name = "URL", required_unless_present = "rights")]
    ready: Option<Uri>,
    /// Give up on --ready after this time
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    within_seconds: u64,
    /// Ask the API server for each right of this file
    #[arg(long, value_name = "FILE")]
    rights: Option<PathBuf>,
}

/// Rights in some namespaces, or in all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    #[serde(default)]
    namespaces: Vec<String>,
    rules: Vec<PolicyRule>,
}

/// Does what the arguments ask for.
pub fn check(args: &CheckArgs) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    runtime.block_on(async {
        if let Some(url) = &args.ready {
            wait_until_ready(url, Duration::from_secs(args.within_seconds)).await?;
        }
        match &args.rights {
            Some(file) => check_rights(file).await,
            None => Ok(()),
        }
    })
}

async fn wait_until_ready(url: &Uri, within: Duration) -> Result<()> {
    let mut last = String::from("it was not asked");
    let asked = tokio::time::timeout(within, async {
        loop {
            let answer = tokio::time::timeout(ANSWER_WITHIN, get(url)).await;
            match answer {
                Ok(Ok((200, body))) => return body,
                Ok(Ok((status, body))) => last = format!("it answers {status}: {}", body.trim()),
                Ok(Err(error)) => last = format!("{error:#}"),
                Err(_) => last = "it does not answer".to_owned(),
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    });
    match asked.await {
        Ok(body) => println!("{url} is ready: {}", body.trim()),
        Err(_) => bail!("{url} is not ready after {} s: {last}", within.as_secs()),
    }
    Ok(())
}

/// The status and the text that an address answers with.
async fn get(url: &Uri) -> Result<(u16, String)> {
    ensure!(
        url.scheme_str() == Some("http"),
        "{url} is no address of the form http://HOST:PORT/PATH"
    );
    let host = url.host().context("the address has no host")?;
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), url.port_u16().unwrap_or(80)))
        .await
        .with_context(|| format!("cannot connect to {host}"))?;
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the answer; what breaks it is seen there.
    tokio::spawn(connection);
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header("host", host)
        .header("connection", "close")
        .body(Empty::<Bytes>::new())?;
    let answer = requests.send_request(request).await?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("the answer breaks off: {error}"))?;
    Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}

async fn check_rights(file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let grants: Vec<Grant> =
        serde_yaml::from_str(&text).with_context(|| format!("{} is no list of rights", file.display()))?;
    let wanted = grants.iter().flat_map(rights).collect::<Vec<_>>();
    let metrics = Metrics::new().context("cannot make the metrics")?;
    let client = kubernetes::connect(Arc::new(metrics)).await?;
    let mut missing = Vec::new();
    for right in &wanted {
        if !allowed(&client, right).await? {
            missing.push(sentence(right));
        }
    }
    ensure!(
        missing.is_empty(),
        "{} of {} rights are missing; the account's roles lack:\n  {}",
        missing.len(),
        wanted.len(),
        missing.join("\n  ")
    );
    println!("the account has all {} rights", wanted.len());
    Ok(())
}

/// Each verb on each resource in each namespace.
fn rights(grant: &Grant) -> Vec<ResourceAttributes> {
    let everywhere = [String::new()];
    let namespaces = if grant.namespaces.is_empty() {
        &everywhere[..]
    } else {
        &grant.namespaces
    };
    let nameless = [String::new()];
    let mut rights = Vec::new();
    for namespace in namespaces {
        for rule in &grant.rules {
            let names = rule.resource_names.as_deref().unwrap_or(&nameless);
            for group in rule.api_groups.iter().flatten() {
                for resource in rule.resources.iter().flatten() {
                    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                    for (verb, name) in rule
                        .verbs
                        .iter()
                        .flat_map(|verb| names.iter().map(move |name| (verb, name)))
                    {
                        rights.push(ResourceAttributes {
                            group: Some(group.clone()),
                            resource: Some(resource.to_owned()),
                            subresource: Some(subresource.to_owned()),
                            verb: Some(verb.clone()),
                            namespace: Some(namespace.clone()),
                            name: Some(name.clone()),
                            ..ResourceAttributes::default()
                        });
                    }
                }
            }
        }
    }
    rights
}

async fn allowed(client: &Client, right: &ResourceAttributes) -> Result<bool> {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(right.clone()),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let answer = Api::all(client.clone())
        .create(&PostParams::default(), &review)
        .await;
    let answer = answer.context("the API server does not say what the account may do")?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

fn sentence(right: &ResourceAttributes) -> String {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let behind = |sign: &str, part: String| {
        if part.is_empty() {
            part
        } else {
            format!("{sign}{part}")
        }
    };
    format!(
        "{} {}{}{}{} {}",
        text(&right.verb),
        text(&right.resource),
        behind("/", text(&right.subresource)),
        behind(".", text(&right.group)),
        behind(" ", text(&right.name)),
        match text(&right.namespace) {
            all if all.is_empty() => "in all namespaces".to_owned(),
            namespace => format!("in the namespace {namespace}"),
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    const RIGHTS: &str = "\
- namespaces: [shop, billing]
  rules:
    - {apiGroups: [apps], resources: [deployments/scale], verbs: [get, patch]}
- rules:
    - {apiGroups: [''], resources: [secrets], resourceNames: [token], verbs: [get]}
";

    #[test]
    fn each_verb_on_each_resource_in_each_namespace_is_a_right() {
        let grants: Vec<Grant> = serde_yaml::from_str(RIGHTS).unwrap();
        let sentences: Vec<_> = grants
            .iter()
            .flat_map(rights)
            .map(|right| sentence(&right))
            .collect();
        assert_eq!(
            sentences,
            [
                "get deployments/scale.apps in the namespace shop",
                "patch deployments/scale.apps in the namespace shop",
                "get deployments/scale.apps in the namespace billing",
                "patch deployments/scale.apps in the namespace billing",
                "get secrets token in all namespaces",
            ]
        );
    }

    /// Answers each connection with the next of these, and then no more.
    async fn server(answers: &'static [&'static str]) -> Uri {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let read = stream.read(&mut request).await.unwrap();
                assert!(request[..read].starts_with(b"GET /readyz HTTP/1.1\r\n"));
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        format!("http://{address}/readyz").parse().unwrap()
    }

    #[tokio::test]
    async fn a_replica_is_asked_until_it_is_ready() {
        let url = server(&[
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\nstarting\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nleading\n",
        ])
        .await;
        wait_until_ready(&url, Duration::from_secs(20)).await.unwrap();
    }

    #[tokio::test]
    async fn a_replica_that_does_not_become_ready_is_named_with_its_last_answer() {
        let url = server(&["HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\nstarting\n"]).await;
        let error = wait_until_ready(&url, Duration::from_millis(500))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("is not ready") && error.ends_with("it answers 503: starting"),
            "{error}"
        );
        let nobody: Uri = "http://127.0.0.1:1/readyz".parse().unwrap();
        let error = wait_until_ready(&nobody, Duration::from_millis(100))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("cannot connect to 127.0.0.1"), "{error}");
    }
}
