//! Topics that a group's resource names and that the brokers do not have: a name that is misspelt, or of a topic that nobody has
//! made. The broker is asked only for what its answer about the group leaves out.

use crate::broker::BrokerAdmin;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use sluice_operator_api::{ConsumerGroup, Topic};

/// So many of them are looked for at a time; those that are found missing are told of, and the next ones once these are mended.
const LOOKED_FOR_MAX: usize = 4;
/// Where brokers put what was not done after all attempts; such a topic is there from its first message on.
const DEAD_LETTERS: &str = "%DLQ%";

/// A subscription without a topic, and its place in the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Absent {
    place: usize,
    topic: String,
}

/// What to say of the topics that the group is to read and that are not there, if there are such. `answered` tells whether the
/// answer about the group has a topic.
pub async fn sentence(
    group: &ConsumerGroup,
    admin: &impl BrokerAdmin,
    client: &Client,
    answered: impl Fn(&str) -> bool,
) -> Option<String> {
    let absent = absent(group, admin, answered).await;
    if absent.is_empty() {
        return None;
    }
    let topics = Api::<Topic>::namespaced(client.clone(), &group.namespace().unwrap_or_default());
    // From the API server's memory. Without them it is said without a hint.
    let listed = topics.list(&ListParams::default().match_any()).await;
    let mut topics = listed.map(|list| list.items).unwrap_or_default();
    topics.retain(|topic| topic.spec.cluster_ref.name == group.spec.cluster_ref.name);
    let words: Vec<_> = absent.iter().map(|absent| words(absent, &topics)).collect();
    Some(words.join("; "))
}

async fn absent(
    group: &ConsumerGroup,
    admin: &impl BrokerAdmin,
    answered: impl Fn(&str) -> bool,
) -> Vec<Absent> {
    let named = group.spec.subscriptions.iter().enumerate();
    let unanswered = named.filter(|(_, subscription)| !answered(&subscription.topic));
    let mut absent = Vec::new();
    for (place, subscription) in unanswered.take(LOOKED_FOR_MAX) {
        // What the broker does not say is nothing to tell of.
        if let Ok(None) = admin.topic(&subscription.topic).await {
            let topic = subscription.topic.clone();
            absent.push(Absent { place, topic });
        }
    }
    absent
}

fn words(absent: &Absent, topics: &[Topic]) -> String {
    let Absent { place, topic } = absent;
    format!(
        "the brokers have no topic '{topic}' (spec.subscriptions[{place}]): {}",
        advice(topic, topics)
    )
}

fn advice(wanted: &str, topics: &[Topic]) -> String {
    let named = |is: &dyn Fn(&Topic) -> bool| topics.iter().find(|topic| is(topic));
    if let Some(own) = named(&|topic| topic.topic_name() == wanted) {
        return format!(
            "see the conditions of the Topic '{}', which is to make it",
            own.name_any()
        );
    }
    if let Some(other) = named(&|topic| topic.name_any() == wanted) {
        return format!(
            "the Topic '{wanted}' stands for the topic '{0}', so name '{0}'",
            other.topic_name()
        );
    }
    if let Some(other) = named(&|topic| topic.topic_name().eq_ignore_ascii_case(wanted)) {
        return format!(
            "there is '{0}', and upper and lower case differ, so name '{0}'",
            other.topic_name()
        );
    }
    match wanted.starts_with(DEAD_LETTERS) {
        true => "it is made with the first dead letter".to_owned(),
        false => "make a Topic for it, or name one that there is".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::fake::Fake;
    use sluice_proto::admin::TopicSpec;

    fn topic(name: &str, topic_name: Option<&str>) -> Topic {
        let mut topic = Topic::new(name, serde_yaml::from_str("clusterRef: {name: main}").unwrap());
        topic.spec.topic_name = topic_name.map(str::to_owned);
        topic
    }

    fn group(topics: &[&str]) -> ConsumerGroup {
        let named: Vec<_> = topics
            .iter()
            .map(|topic| format!("{{topic: '{topic}'}}"))
            .collect();
        let spec = format!(
            "{{clusterRef: {{name: main}}, subscriptions: [{}]}}",
            named.join(", ")
        );
        ConsumerGroup::new("billing", serde_yaml::from_str(&spec).unwrap())
    }

    #[tokio::test]
    async fn the_broker_is_asked_only_for_what_its_answer_leaves_out() {
        let fake = Fake::default();
        fake.create_topic("later", TopicSpec::default()).await.unwrap();
        let group = group(&["orders", "later", "bills"]);
        assert_eq!(absent(&group, &fake, |_| true).await, []);
        assert_eq!(fake.topics_asked(), 0);
        let bills = Absent {
            place: 2,
            topic: "bills".to_owned(),
        };
        assert_eq!(absent(&group, &fake, |topic| topic == "orders").await, [bills]);
        assert_eq!(fake.topics_asked(), 2);
    }

    #[tokio::test]
    async fn of_many_a_few_are_looked_for() {
        let (fake, names) = (Fake::default(), ["a", "b", "c", "d", "e", "f"]);
        let absent = absent(&group(&names), &fake, |_| false).await;
        assert_eq!(absent.len(), LOOKED_FOR_MAX);
        assert_eq!(fake.topics_asked() as usize, LOOKED_FOR_MAX);
    }

    #[test]
    fn a_topic_that_is_not_there_is_named_with_what_to_do() {
        let topics = [
            topic("bills", Some("Bills")),
            topic("orders-of-2026", Some("Orders")),
            topic("refunds", None),
        ];
        for (wanted, advice) in [
            (
                "bills",
                "the Topic 'bills' stands for the topic 'Bills', so name 'Bills'",
            ),
            (
                "ORDERS",
                "there is 'Orders', and upper and lower case differ, so name 'Orders'",
            ),
            (
                "refunds",
                "see the conditions of the Topic 'refunds', which is to make it",
            ),
            ("%DLQ%billing", "it is made with the first dead letter"),
            ("bils", "make a Topic for it, or name one that there is"),
        ] {
            let absent = Absent {
                place: 1,
                topic: wanted.to_owned(),
            };
            assert_eq!(
                words(&absent, &topics),
                format!("the brokers have no topic '{wanted}' (spec.subscriptions[1]): {advice}")
            );
        }
    }
}
