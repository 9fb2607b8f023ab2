//! Whatever topic there is, and whatever a resource wants: after one round it is so, and a second one writes nothing.

use super::*;
use crate::broker::fake::Fake;
use crate::broker_object::plan::{Action, ClusterState, Facts, Observed, Seen, plan};
use proptest::prelude::*;

fn wanted() -> impl Strategy<Value = Wanted> {
    let types = proptest::sample::subsequence(vec![1, 2], 0..=2);
    let hours = proptest::option::of(0..3_u32);
    let bytes = proptest::option::of(0..3_u64);
    (0..6_u32, types, any::<bool>(), hours, bytes).prop_map(
        |(queues, types, closed, retention_hours, retention_bytes)| Wanted {
            queues,
            types,
            closed,
            retention_hours,
            retention_bytes,
        },
    )
}

/// One round: what a reconciliation asks of the broker.
async fn round(fake: &Fake, wanted: &Wanted, known_id: Option<u32>) -> Option<u32> {
    let present = || async {
        Topic::describe(fake, "orders")
            .await
            .unwrap()
            .as_ref()
            .map(Topic::present)
    };
    let facts = Facts {
        lost: Topic::LOST,
        noun: Topic::NOUN,
        object: "orders".to_owned(),
        cluster: "main".to_owned(),
        deleting: false,
        finalized: false,
        paused: false,
        policy: DeletionPolicy::Retain,
        known_id,
        was_in_sync: true,
    };
    let observed = Observed {
        owner: None,
        heir: None,
        cluster: ClusterState::Ready,
        object: present().await.map_or(Seen::Absent, Seen::Present),
    };
    let plan = plan(&facts, &Ok(wanted.clone()), &observed, Topic::difference);
    for action in plan.actions {
        match action {
            Action::Create(spec) => Topic::create(fake, "orders", spec).await.unwrap(),
            Action::Update { spec, generation } => {
                Topic::update(fake, "orders", spec, generation).await.unwrap();
            }
            Action::Tell(_) => {}
            other => panic!("{other:?}"),
        }
    }
    present().await.map(|present| present.id)
}

proptest! {
    #[test]
    fn one_round_makes_a_topic_as_wanted_and_a_second_one_writes_nothing(
        there in proptest::option::of(wanted()),
        wanted in wanted(),
        drift in proptest::option::of(wanted()),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let converge = async {
            let fake = Fake::default();
            if let Some(spec) = there.clone() {
                fake.create_topic("orders", spec.into()).await.unwrap();
            }
            let mut id = None;
            for drift in [None, drift.clone()] {
                if let Some(mut spec) = drift {
                    let present = Topic::present(&fake.topic("orders").await.unwrap().unwrap());
                    spec.queues = spec.queues.max(present.spec.queues);
                    fake.update_topic("orders", spec.into(), present.generation).await.unwrap();
                }
                id = round(&fake, &wanted, id).await;
                let found = Topic::present(&fake.topic("orders").await.unwrap().unwrap()).spec;
                prop_assert_eq!(Topic::difference(&wanted, &found), None);
                prop_assert!(found.queues >= wanted.queues.max(1));
                prop_assert_eq!(found.closed, wanted.closed);
                prop_assert!(wanted.retention_hours.is_none_or(|hours| found.retention_hours == Some(hours)));
                prop_assert!(wanted.retention_bytes.is_none_or(|bytes| found.retention_bytes == Some(bytes)));
                let writes = fake.writes();
                round(&fake, &wanted, id).await;
                prop_assert_eq!(fake.writes(), writes);
            }
            Ok(())
        };
        runtime.block_on(converge)?;
    }
}
