//! Watching resources: only what is needed of them stays in memory.

use futures::{Stream, TryStreamExt as _};
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// A copy of the whole resource that kubectl leaves in it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Keeps the store of the writer up to date for as long as it is polled, and calls `happens` with each event before the store has it.
pub fn watched<K>(
    api: Api<K>,
    writer: Writer<K>,
    happens: impl Fn(&watcher::Event<K>) + Send,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(slim)
        .inspect_ok(happens)
        .reflect(writer)
}

/// Takes out what nobody here reads, which is more than half of a resource.
pub fn slim<K: Resource>(resource: &mut K) {
    let meta = resource.meta_mut();
    meta.managed_fields = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;

    #[test]
    fn what_nobody_reads_is_taken_out_and_the_rest_stays() {
        let yaml = format!(
            "{{metadata: {{name: a, annotations: {{{LAST_APPLIED}: '{{}}', b: c}}, managedFields: [{{manager: kubectl}}]}}, data: {{d: e}}}}"
        );
        let mut map: ConfigMap = serde_yaml::from_str(&yaml).unwrap();
        slim(&mut map);
        let wanted = "{metadata: {name: a, annotations: {b: c}}, data: {d: e}}";
        assert_eq!(map, serde_yaml::from_str(wanted).unwrap());
    }
}
