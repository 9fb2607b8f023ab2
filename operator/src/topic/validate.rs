//! What a Topic asks the broker for, and what to make of a topic that is there.

use crate::quantity;
use sluice_operator_api::TopicSpec as Resource;
use sluice_operator_api::topic::{Access, MessageType};
use sluice_proto::admin::{TopicSpec, TopicType};

/// A topic as a resource wants it, or as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// 0 is any number.
    pub(super) queues: u32,
    pub(super) types: Vec<i32>,
    pub(super) closed: bool,
    /// `None` is any: whoever set it on the brokers keeps it.
    pub(super) retention_hours: Option<u32>,
    /// The same.
    pub(super) retention_bytes: Option<u64>,
}

impl From<TopicSpec> for Wanted {
    fn from(found: TopicSpec) -> Self {
        Self {
            queues: found.queues,
            types: found.types,
            closed: found.closed,
            retention_hours: Some(found.retention_hours),
            retention_bytes: Some(found.retention_bytes),
        }
    }
}

impl From<Wanted> for TopicSpec {
    /// The brokers' words for it.
    fn from(wanted: Wanted) -> Self {
        Self {
            queues: wanted.queues,
            types: wanted.types,
            closed: wanted.closed,
            retention_hours: wanted.retention_hours.unwrap_or(0),
            retention_bytes: wanted.retention_bytes.unwrap_or(0),
        }
    }
}

/// What the resource asks for. No number of queues is 0: as many as there are, or the broker's default.
pub fn wanted(resource: &Resource) -> Result<Wanted, String> {
    let queues = resource.queues.unwrap_or(0);
    let queues = u32::try_from(queues)
        .map_err(|_| format!("spec.queues is {queues}; give 1 to 4096, or leave it out"))?;
    let hours = resource.retention_hours.map(|hours| {
        u32::try_from(hours)
            .map_err(|_| format!("spec.retentionHours is {hours}; give 0 to 876000, or leave it out"))
    });
    let bytes = resource.retention_bytes.as_deref().map(|size| {
        quantity::bytes(size)
            .and_then(|bytes| u64::try_from(bytes).ok())
            .ok_or_else(|| {
                format!("spec.retentionBytes is {size}; give a size such as 10Gi, or 0 for any number, or leave it out")
            })
    });
    let types = match resource.message_type {
        MessageType::Normal => vec![TopicType::Normal],
        MessageType::Fifo => vec![TopicType::Fifo],
        MessageType::Mixed => vec![TopicType::Normal, TopicType::Fifo],
    };
    Ok(Wanted {
        queues,
        types: types.into_iter().map(i32::from).collect(),
        closed: resource.producers == Access::Closed,
        retention_hours: hours.transpose()?,
        retention_bytes: bytes.transpose()?,
    })
}

/// Queues never become fewer: a topic that has more keeps them.
pub fn difference(wanted: &Wanted, present: &Wanted) -> Option<Wanted> {
    let target = Wanted {
        queues: wanted.queues.max(present.queues),
        retention_hours: wanted.retention_hours.or(present.retention_hours),
        retention_bytes: wanted.retention_bytes.or(present.retention_bytes),
        ..wanted.clone()
    };
    let same = target.queues == present.queues
        && target.closed == present.closed
        && target.retention_hours == present.retention_hours
        && target.retention_bytes == present.retention_bytes
        && kinds(&target.types) == kinds(&present.types);
    (!same).then_some(target)
}

/// In one order; none is everything that a broker takes.
fn kinds(types: &[i32]) -> Vec<i32> {
    let mut kinds = types.to_vec();
    if kinds.is_empty() {
        kinds = vec![TopicType::Normal.into(), TopicType::Fifo.into()];
    }
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(queues: u32, types: &[i32], closed: bool) -> Wanted {
        Wanted {
            queues,
            types: types.to_vec(),
            closed,
            retention_hours: None,
            retention_bytes: None,
        }
    }

    fn kept(hours: u32) -> Wanted {
        Wanted {
            retention_hours: Some(hours),
            ..spec(8, &[1], false)
        }
    }

    fn bounded(bytes: u64) -> Wanted {
        Wanted {
            retention_bytes: Some(bytes),
            ..spec(8, &[1], false)
        }
    }

    #[test]
    fn a_resource_is_said_in_the_brokers_words() {
        for (yaml, wanted_spec) in [
            ("clusterRef: {name: main}", spec(0, &[1], false)),
            (
                "{clusterRef: {name: main}, messageType: Fifo, queues: 8}",
                spec(8, &[2], false),
            ),
            (
                "{clusterRef: {name: main}, messageType: Mixed, producers: Closed}",
                spec(0, &[1, 2], true),
            ),
            (
                "{clusterRef: {name: main}, queues: 8, retentionHours: 960}",
                kept(960),
            ),
            (
                "{clusterRef: {name: main}, queues: 8, retentionHours: 0}",
                kept(0),
            ),
            (
                "{clusterRef: {name: main}, queues: 8, retentionBytes: 1.5Gi}",
                bounded(1_610_612_736),
            ),
            (
                "{clusterRef: {name: main}, queues: 8, retentionBytes: '0'}",
                bounded(0),
            ),
        ] {
            let resource: Resource = serde_yaml::from_str(yaml).unwrap();
            assert_eq!(wanted(&resource).unwrap(), wanted_spec, "{yaml}");
        }
        let negative = serde_yaml::from_str("{clusterRef: {name: main}, queues: -1}").unwrap();
        assert!(wanted(&negative).unwrap_err().contains("spec.queues is -1"));
        let negative = serde_yaml::from_str("{clusterRef: {name: main}, retentionHours: -1}").unwrap();
        assert!(
            wanted(&negative)
                .unwrap_err()
                .contains("spec.retentionHours is -1")
        );
        for size in ["much", "999999999999999Ei"] {
            let yaml = format!("{{clusterRef: {{name: main}}, retentionBytes: {size}}}");
            let refusal = wanted(&serde_yaml::from_str(&yaml).unwrap()).unwrap_err();
            assert!(
                refusal.contains(&format!("spec.retentionBytes is {size}")),
                "{refusal}"
            );
        }
    }

    #[test]
    fn a_topic_grows_opens_and_closes_and_never_shrinks() {
        for (name, wanted, present, made) in [
            ("same", spec(8, &[1], false), spec(8, &[1], false), None),
            (
                "grows",
                spec(8, &[1], false),
                spec(4, &[1], false),
                Some(spec(8, &[1], false)),
            ),
            ("has more", spec(4, &[1], false), spec(8, &[1], false), None),
            ("any number", spec(0, &[1], false), spec(8, &[1], false), None),
            (
                "closes, and has more",
                spec(4, &[1], true),
                spec(8, &[1], false),
                Some(spec(8, &[1], true)),
            ),
            (
                "opens",
                spec(0, &[1], false),
                spec(8, &[1], true),
                Some(spec(8, &[1], false)),
            ),
            (
                "another type",
                spec(0, &[2], false),
                spec(8, &[1], false),
                Some(spec(8, &[2], false)),
            ),
            ("everything", spec(0, &[2, 1], false), spec(8, &[], false), None),
        ] {
            let present = Wanted {
                retention_hours: Some(24),
                retention_bytes: Some(1 << 30),
                ..present
            };
            let made = made.map(|made| Wanted {
                retention_hours: Some(24),
                retention_bytes: Some(1 << 30),
                ..made
            });
            assert_eq!(difference(&wanted, &present), made, "{name}");
        }
    }

    #[test]
    fn hours_and_bytes_follow_the_resource_only_where_it_gives_them() {
        let both = |hours, bytes| Wanted {
            retention_hours: Some(hours),
            ..bounded(bytes)
        };
        for (wanted, present, made) in [
            (spec(8, &[1], false), kept(960), None),
            (kept(960), kept(960), None),
            (kept(48), kept(960), Some(kept(48))),
            (kept(0), kept(960), Some(kept(0))),
            (kept(960), kept(0), Some(kept(960))),
            (spec(8, &[1], false), both(24, 1 << 30), None),
            (bounded(1 << 30), both(24, 1 << 30), None),
            (bounded(1 << 20), both(24, 1 << 30), Some(both(24, 1 << 20))),
            (bounded(0), both(24, 1 << 30), Some(both(24, 0))),
            (kept(48), both(24, 1 << 30), Some(both(48, 1 << 30))),
        ] {
            assert_eq!(difference(&wanted, &present), made, "{wanted:?}");
        }
        let unsaid = TopicSpec::from(spec(8, &[1], false));
        assert_eq!((unsaid.retention_hours, unsaid.retention_bytes), (0, 0));
    }
}
