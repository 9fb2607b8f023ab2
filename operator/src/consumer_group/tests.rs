//! A group goes through the broker's calls as a topic does: made, looked at, changed, deleted.

use super::*;
use crate::broker::fake::Fake;

#[tokio::test]
async fn a_group_is_changed_and_deleted_only_in_the_generation_that_was_seen() {
    let fake = Fake::default();
    let wanted = |yaml: &str| {
        let text = format!("clusterRef: {{name: main}}\n{yaml}");
        ConsumerGroup::new("billing", serde_yaml::from_str(&text).unwrap())
            .wanted()
            .unwrap()
    };
    let present = || async {
        let found = ConsumerGroup::describe(&fake, "billing").await.unwrap();
        found.as_ref().map(ConsumerGroup::present)
    };
    assert!(present().await.is_none());
    ConsumerGroup::create(&fake, "billing", wanted("")).await.unwrap();
    let made = present().await.unwrap();
    assert_eq!(ConsumerGroup::difference(&wanted(""), &made.spec), None);
    let changed = ConsumerGroup::difference(&wanted("deliveryOrder: Fifo"), &made.spec).unwrap();
    ConsumerGroup::update(&fake, "billing", changed.clone(), made.generation)
        .await
        .unwrap();
    let late = ConsumerGroup::update(&fake, "billing", changed, made.generation).await;
    assert!(matches!(late, Err(BrokerError::Conflict(_))));
    let deleted = ConsumerGroup::delete(&fake, "billing", true, made.generation).await;
    assert!(matches!(deleted, Err(BrokerError::Conflict(_))));
    ConsumerGroup::delete(&fake, "billing", true, made.generation + 1)
        .await
        .unwrap();
    assert!(present().await.is_none());
}
