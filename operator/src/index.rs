//! Resources that claim the same thing, found without a look at all that there are: with a look at all of them for each of them,
//! the work grows with the square of their number.

use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What a resource claims: equal for all that claim the same.
pub type Claim = Vec<String>;
/// A namespace and a name.
type Name = (String, String);

/// The resources of a store, by what they claim. Only names are kept here; a resource is what the store has under its name.
pub struct Index<K: Resource<DynamicType = ()> + Clone + 'static> {
    store: Store<K>,
    claim: fn(&K) -> Option<Claim>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    claims: HashMap<Name, Claim>,
    names: HashMap<Claim, BTreeSet<Name>>,
    /// Those of a list that is being read; what is not in it is gone.
    listed: BTreeSet<Name>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Index<K> {
    /// Of a store, whose events have to be followed. A resource for which `claim` gives nothing claims nothing.
    pub fn new(store: Store<K>, claim: fn(&K) -> Option<Claim>) -> Self {
        let index = Self {
            store,
            claim,
            known: Mutex::default(),
        };
        for resource in index.store.state() {
            index.known.lock().put(name_of(&*resource), claim(&resource));
        }
        index
    }

    /// Takes in what has happened to a resource.
    pub fn follow(&self, event: &Event<K>) {
        let mut known = self.known.lock();
        match event {
            Event::Init => known.listed.clear(),
            Event::InitApply(resource) => {
                known.listed.insert(name_of(resource));
                known.put(name_of(resource), (self.claim)(resource));
            }
            Event::InitDone => known.keep_listed(),
            Event::Apply(resource) => known.put(name_of(resource), (self.claim)(resource)),
            Event::Delete(resource) => known.put(name_of(resource), None),
        }
    }

    /// The resources that claim this.
    pub fn claiming(&self, claim: &Claim) -> Vec<Arc<K>> {
        let known = self.known.lock();
        let names = known.names.get(claim).into_iter().flatten();
        names
            .filter_map(|(namespace, name)| self.store.get(&ObjectRef::new(name).within(namespace)))
            .collect()
    }
}

impl Known {
    fn put(&mut self, name: Name, claim: Option<Claim>) {
        if self.claims.get(&name) == claim.as_ref() {
            return;
        }
        if let Some(before) = self.claims.remove(&name)
            && let Some(names) = self.names.get_mut(&before)
        {
            names.remove(&name);
            if names.is_empty() {
                self.names.remove(&before);
            }
        }
        if let Some(claim) = claim {
            self.claims.insert(name.clone(), claim.clone());
            self.names.entry(claim).or_default().insert(name);
        }
    }

    fn keep_listed(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        let gone: Vec<_> = self
            .claims
            .keys()
            .filter(|name| !listed.contains(*name))
            .cloned()
            .collect();
        for name in gone {
            self.put(name, None);
        }
    }
}

fn name_of(resource: &impl Resource) -> Name {
    let meta = resource.meta();
    (
        meta.namespace.clone().unwrap_or_default(),
        meta.name.clone().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::ResourceExt as _;
    use kube::runtime::reflector;

    fn map(name: &str, claim: Option<&str>) -> ConfigMap {
        let mut map = ConfigMap::default();
        map.metadata.namespace = Some("shop".to_owned());
        map.metadata.name = Some(name.to_owned());
        map.data = claim.map(|claim| [("claim".to_owned(), claim.to_owned())].into());
        map
    }

    fn claim(map: &ConfigMap) -> Option<Claim> {
        Some(vec![map.data.as_ref()?.get("claim")?.clone()])
    }

    #[test]
    fn who_claims_the_same_is_known_after_each_change_and_each_new_list() {
        let (store, mut writer) = reflector::store();
        let index = Index::new(store, claim);
        let mut happens = |event: Event<ConfigMap>| {
            index.follow(&event);
            writer.apply_watcher_event(&event);
        };
        let claiming = |what: &str| {
            let mut names: Vec<_> = index
                .claiming(&vec![what.to_owned()])
                .iter()
                .map(|map| map.name_any())
                .collect();
            names.sort();
            names
        };
        happens(Event::Init);
        happens(Event::InitApply(map("a", Some("x"))));
        happens(Event::InitApply(map("b", Some("x"))));
        happens(Event::InitDone);
        assert_eq!(claiming("x"), ["a", "b"]);
        happens(Event::Apply(map("c", Some("y"))));
        happens(Event::Apply(map("b", Some("y"))));
        assert_eq!(
            (claiming("x"), claiming("y")),
            (vec!["a".into()], vec!["b".into(), "c".into()])
        );
        happens(Event::Apply(map("c", None)));
        happens(Event::Delete(map("a", Some("x"))));
        assert_eq!((claiming("x"), claiming("y")), (vec![], vec!["b".into()]));
        happens(Event::Init);
        happens(Event::InitApply(map("d", Some("y"))));
        assert_eq!(claiming("y"), ["b"], "the list is not whole yet");
        happens(Event::InitDone);
        assert_eq!(claiming("y"), ["d"]);
    }
}
