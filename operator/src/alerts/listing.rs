//! Groups that alerts name, looked for at the API server: by a replica that stands by, and watches none.

use super::matching::{Name, matches};
use super::notification::{Alert, Labels};
use crate::settings::Scope;
use kube::Client;
use kube::api::{Api, ListParams};
use sluice_operator_api::ConsumerGroup;
use std::collections::BTreeMap;
use tokio::sync::Semaphore;

/// Groups in one answer of the API server.
const PAGE: u32 = 500;
/// Of these answers.
const PAGES_MAX: usize = 40;
/// Notifications for which groups are listed at one time: an answer with many groups takes megabytes.
const LISTS_AT_ONCE: usize = 2;

/// Where groups are looked for.
pub struct Listing {
    scopes: Vec<Scope>,
    places: Semaphore,
}

impl Listing {
    /// In these scopes.
    pub fn of(scopes: Vec<Scope>) -> Self {
        Self {
            scopes,
            places: Semaphore::new(LISTS_AT_ONCE),
        }
    }

    /// The scaled groups that the alerts name, each with the places of these alerts.
    pub async fn named(
        &self,
        client: &Client,
        alerts: &[Alert],
    ) -> Result<BTreeMap<Name, Vec<usize>>, kube::Error> {
        let mut named = BTreeMap::new();
        let naming = alerts.iter().map(|alert| &alert.labels);
        let naming: Vec<_> = naming.filter(|labels| labels.consumer_group.is_some()).collect();
        if naming.is_empty() {
            return Ok(named);
        }
        // The semaphore is never closed.
        let _place = self.places.acquire().await.ok();
        let namespace = only(&naming, |labels| labels.namespace.as_deref());
        let cluster = only(&naming, |labels| labels.cluster.as_deref());
        let mut first = ListParams::default().limit(PAGE);
        if let Some(cluster) = cluster.filter(|name| is_plain(name)) {
            first = first.fields(&format!("spec.clusterRef.name={cluster}"));
        }
        for scope in within(&self.scopes, namespace.filter(|name| is_plain(name))) {
            let api: Api<ConsumerGroup> = scope.api(client.clone());
            let mut parameters = first.clone();
            for _ in 0..PAGES_MAX {
                let page = api.list(&parameters).await?;
                named.extend(matches(alerts, &page.items));
                match page.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => parameters = parameters.continue_token(&token),
                    None => break,
                }
            }
        }
        Ok(named)
    }
}

/// What all of them say, if they say one thing.
fn only<'a>(alerts: &[&'a Labels], label: impl Fn(&'a Labels) -> Option<&'a str>) -> Option<&'a str> {
    let mut said = alerts.iter().map(|labels| label(labels));
    let first = said.next().flatten()?;
    said.all(|other| other == Some(first)).then_some(first)
}

/// Whether it can stand in a path and in a selector as it is. What cannot is no name of Kubernetes'.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    !name.is_empty() && name.bytes().all(plain) && !name.starts_with('.')
}

/// The scopes, as far as the namespace is in them.
fn within(scopes: &[Scope], namespace: Option<&str>) -> Vec<Scope> {
    let Some(namespace) = namespace else {
        return scopes.to_vec();
    };
    let has = |scope: &Scope| match scope {
        Scope::All => true,
        Scope::Namespace(name) => name == namespace,
    };
    let some = scopes
        .iter()
        .any(has)
        .then(|| Scope::Namespace(namespace.to_owned()));
    some.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_narrowed_by_what_all_alerts_say_alike() {
        let labels = |namespace: &str| Labels {
            namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
            ..Labels::default()
        };
        for (namespaces, common) in [
            (&["shop"][..], Some("shop")),
            (&["shop", "shop"], Some("shop")),
            (&["shop", "office"], None),
            (&["shop", ""], None),
            (&["", "shop"], None),
            (&[""], None),
            (&[], None),
        ] {
            let all: Vec<_> = namespaces.iter().map(|name| labels(name)).collect();
            let all: Vec<_> = all.iter().collect();
            let found = only(&all, |labels| labels.namespace.as_deref());
            assert_eq!(found, common, "{namespaces:?}");
        }
    }

    #[test]
    fn only_namespaces_that_are_watched_are_asked_about() {
        let scope = |name: &str| Scope::Namespace(name.to_owned());
        let named = [scope("shop"), scope("office")];
        for (scopes, namespace, asked) in [
            (&[Scope::All][..], None, vec![Scope::All]),
            (&[Scope::All], Some("shop"), vec![scope("shop")]),
            (&named, None, named.to_vec()),
            (&named, Some("shop"), vec![scope("shop")]),
            (&named, Some("attic"), vec![]),
        ] {
            assert_eq!(within(scopes, namespace), asked, "{namespace:?}");
        }
    }

    #[test]
    fn what_is_no_name_stands_in_no_path_and_no_selector() {
        for (name, plain) in [
            ("main", true),
            ("a-1.b", true),
            ("", false),
            (".", false),
            ("..", false),
            ("a/b", false),
            ("a,metadata.name=b", false),
            ("a?b", false),
            ("größe", false),
        ] {
            assert_eq!(is_plain(name), plain, "{name}");
        }
    }
}
