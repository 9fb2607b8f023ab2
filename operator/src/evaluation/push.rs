//! Asking for an evaluation at once, as an alert does.

use futures::{FutureExt as _, Stream};
use kube::runtime::reflector::{ObjectRef, Store};
use parking_lot::Mutex;
use sluice_operator_api::ConsumerGroup;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Groups that were asked for and are not looked at yet; beyond that all are.
const WAITING_MAX: usize = 1_024;

/// Whoever has it can ask for evaluations; clones share it.
#[derive(Clone)]
pub struct Pushes {
    asks: broadcast::Sender<(String, String)>,
    /// The groups of each scope, from when it is watched.
    stores: Arc<Mutex<Vec<Store<ConsumerGroup>>>>,
    scopes: usize,
}

impl Pushes {
    /// For controllers of that many scopes.
    pub fn new(scopes: usize) -> Self {
        Self {
            asks: broadcast::Sender::new(WAITING_MAX),
            stores: Arc::default(),
            scopes,
        }
    }

    /// Has the ConsumerGroup evaluated now. One that there is not, or that is not scaled, is passed over.
    pub fn evaluate(&self, namespace: &str, name: &str) {
        // Without controllers there is nobody to ask.
        let _ = self.asks.send((namespace.to_owned(), name.to_owned()));
    }

    /// All groups, where the controllers of all scopes know theirs. Each group is evaluated when they come to know it.
    pub fn groups(&self) -> Option<Vec<Arc<ConsumerGroup>>> {
        let stores = self.stores.lock();
        let known = |store: &Store<ConsumerGroup>| store.wait_until_ready().now_or_never().is_some();
        let all = stores.len() == self.scopes && stores.iter().all(known);
        all.then(|| stores.iter().flat_map(Store::state).collect())
    }

    /// The groups of a store that were asked for.
    pub fn asked(
        &self,
        store: Store<ConsumerGroup>,
    ) -> impl Stream<Item = ObjectRef<ConsumerGroup>> + Send + use<> {
        let receiver = self.asks.subscribe();
        self.stores.lock().push(store.clone());
        let asked = futures::stream::unfold(receiver, |mut receiver| async move {
            match receiver.recv().await {
                Ok(asked) => Some((Some(asked), receiver)),
                // Too many at a time to tell which.
                Err(broadcast::error::RecvError::Lagged(_)) => Some((None, receiver)),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        });
        futures::StreamExt::flat_map(asked, move |asked| {
            let wanted = match asked {
                // The store of another scope has it, or none.
                Some((namespace, name)) => {
                    let wanted = ObjectRef::new(&name).within(&namespace);
                    store.get(&wanted).map(|_| wanted).into_iter().collect()
                }
                None => store
                    .state()
                    .iter()
                    .map(|group| ObjectRef::from_obj(&**group))
                    .collect(),
            };
            let wanted: Vec<_> = wanted;
            futures::stream::iter(wanted)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use kube::ResourceExt as _;
    use kube::runtime::{reflector, watcher};

    fn store(names: &[&str]) -> Store<ConsumerGroup> {
        let (store, mut writer) = reflector::store();
        writer.apply_watcher_event(&watcher::Event::Init);
        for name in names {
            let yaml = format!(
                "{{apiVersion: sluice.dev/v1alpha1, kind: ConsumerGroup, metadata: {{name: {name}, namespace: shop}}, spec: {{clusterRef: {{name: main}}}}}}"
            );
            let group: ConsumerGroup = serde_yaml::from_str(&yaml).unwrap();
            writer.apply_watcher_event(&watcher::Event::InitApply(group));
        }
        writer.apply_watcher_event(&watcher::Event::InitDone);
        store
    }

    #[tokio::test]
    async fn only_groups_that_there_are_are_evaluated_and_all_of_them_when_too_many_were_asked_for() {
        let pushes = Pushes::new(1);
        let mut asked = Box::pin(pushes.asked(store(&["a", "b"])));
        pushes.evaluate("shop", "unknown");
        pushes.evaluate("other", "a");
        pushes.evaluate("shop", "b");
        assert_eq!(asked.next().await.unwrap().name, "b");
        for _ in 0..=WAITING_MAX {
            pushes.evaluate("shop", "a");
        }
        let mut names = [asked.next().await.unwrap().name, asked.next().await.unwrap().name];
        names.sort();
        assert_eq!(names, ["a", "b"]);
    }

    #[tokio::test]
    async fn groups_are_told_of_once_all_scopes_know_theirs() {
        let pushes = Pushes::new(2);
        let names = || {
            let mut names: Vec<_> = pushes.groups()?.iter().map(|group| group.name_any()).collect();
            names.sort();
            Some(names)
        };
        let _first = pushes.asked(store(&["a", "b"]));
        assert_eq!(names(), None, "the other scope is not watched yet");
        let (late, mut writer) = reflector::store();
        let _second = pushes.asked(late);
        assert_eq!(names(), None, "it is, and has brought nothing yet");
        writer.apply_watcher_event(&watcher::Event::Init);
        writer.apply_watcher_event(&watcher::Event::InitDone);
        assert_eq!(names(), Some(vec!["a".to_owned(), "b".to_owned()]));
    }
}
