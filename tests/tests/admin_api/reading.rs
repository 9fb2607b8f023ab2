//! Topics, groups, lag and the broker, as they are told.

use sluice_proto::admin::*;
use tonic::Code;

use crate::stage::{Stage, refused};

const INIT: &str = "\
topics:
  - {name: orders, queues: 2, types: normal}
  - {name: bills, queues: 3, types: fifo}
groups:
  - {name: billing, fifo: true, maxAttempts: 5, backoff: [1s, 10s], startFrom: latest}
";

fn names(topics: &[Topic]) -> Vec<&str> {
    topics.iter().map(|topic| topic.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_listed_by_name_a_page_at_a_time() {
    let stage = Stage::with(INIT);
    let list = |request| {
        let mut topics = stage.admin.topics();
        async move { topics.list_topics(request).await.map(tonic::Response::into_inner) }
    };
    let all = list(ListTopicsRequest::default()).await.unwrap();
    assert_eq!(names(&all.topics), ["bills", "orders"]);
    assert_eq!(all.next_page_token, "");
    let bills = &all.topics[0];
    let spec = bills.spec.as_ref().unwrap();
    assert_eq!((spec.queues, spec.closed), (3, false));
    assert_eq!(spec.types, [TopicType::Fifo as i32]);
    assert_eq!((bills.generation, bills.system), (1, false));

    let page = ListTopicsRequest {
        page_size: 1,
        ..Default::default()
    };
    let first = list(page.clone()).await.unwrap();
    assert_eq!(names(&first.topics), ["bills"]);
    let second = list(ListTopicsRequest {
        page_token: first.next_page_token.clone(),
        ..page.clone()
    });
    let second = second.await.unwrap();
    assert_eq!(
        (names(&second.topics), second.next_page_token.as_str()),
        (vec!["orders"], "")
    );
    let some = list(ListTopicsRequest {
        prefix: "o".to_owned(),
        ..page.clone()
    });
    assert_eq!(names(&some.await.unwrap().topics), ["orders"]);
    let mut topics = stage.admin.topics();
    let other = topics.list_topics(ListTopicsRequest {
        page_token: first.next_page_token,
        prefix: "o".to_owned(),
        ..page
    });
    refused(
        other.await,
        Code::InvalidArgument,
        "PAGE_TOKEN_INVALID",
        "first page",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_is_told_with_its_queues_and_its_groups() {
    let stage = Stage::with(INIT);
    stage.send("orders", 5).await;
    stage.consume("readers", "orders", 2).await;
    stage.receive("readers", "orders", 1).await;

    let request = DescribeTopicRequest {
        name: "orders".to_owned(),
    };
    let told = stage
        .admin
        .topics()
        .describe_topic(request)
        .await
        .unwrap()
        .into_inner();

    assert_eq!(told.topic.unwrap().spec.unwrap().queues, 2);
    assert_eq!(told.messages, 5);
    let ends: u64 = told.queues.iter().map(|queue| queue.max_offset).sum();
    assert_eq!((told.queues.len(), ends), (2, 5));
    assert!(told.queues.iter().all(|queue| queue.min_offset == 0));
    assert!(
        told.queues
            .iter()
            .all(|queue| queue.last_put_ms.is_some() == (queue.max_offset > 0))
    );
    assert_eq!(told.groups.len(), 1);
    let readers = &told.groups[0];
    assert_eq!(readers.group, "readers");
    assert_eq!((readers.ready, readers.inflight, readers.lag), (2, 1, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_groups_lag_is_told_by_topic_and_queue() {
    let stage = Stage::with(INIT);
    stage.send("orders", 6).await;
    stage.consume("readers", "orders", 2).await;
    stage.receive("readers", "orders", 3).await;
    let lag = |group: &str, topic: &str| {
        let request = GetLagRequest {
            group: group.to_owned(),
            topic: topic.to_owned(),
        };
        let mut groups = stage.admin.groups();
        async move { groups.get_lag(request).await }
    };

    let told = lag("readers", "").await.unwrap().into_inner();
    assert_eq!((told.group.as_str(), told.topics.len()), ("readers", 1));
    let orders = &told.topics[0];
    assert_eq!(
        (orders.topic.as_str(), orders.expression.as_str()),
        ("orders", "*")
    );
    assert_eq!((orders.ready, orders.inflight, orders.lag), (1, 3, 4));
    let queues: Vec<_> = orders.queues.iter().map(|queue| queue.queue).collect();
    assert_eq!(queues, [0, 1]);
    assert_eq!(orders.queues.iter().map(|queue| queue.lag).sum::<u64>(), 4);
    assert!(orders.age_ms < 60_000);
    let one = lag("readers", "orders").await.unwrap().into_inner();
    assert_eq!((one.topics.len(), one.topics[0].lag), (1, 4));
    refused(
        lag("readers", "bills").await,
        Code::FailedPrecondition,
        "NOT_SUBSCRIBED",
        "'bills'",
    );
    assert!(lag("billing", "").await.unwrap().into_inner().topics.is_empty());
    refused(
        lag("nobody", "").await,
        Code::NotFound,
        "GROUP_NOT_FOUND",
        "'nobody'",
    );
    refused(
        lag("readers", "nothing").await,
        Code::NotFound,
        "TOPIC_NOT_FOUND",
        "'nothing'",
    );
    refused(
        lag("a b", "").await,
        Code::InvalidArgument,
        "GROUP_NAME_INVALID",
        "'a b'",
    );
    refused(
        lag("readers", "a b").await,
        Code::InvalidArgument,
        "TOPIC_NAME_INVALID",
        "'a b'",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_are_told_with_what_they_are_and_have_not_done() {
    let stage = Stage::with(INIT);
    stage.send("orders", 4).await;
    stage.consume("readers", "orders", 1).await;
    let mut groups = stage.admin.groups();

    let list = groups
        .list_groups(ListGroupsRequest::default())
        .await
        .unwrap()
        .into_inner();
    let told: Vec<_> = list
        .groups
        .iter()
        .map(|summary| (summary.group.as_ref().unwrap().name.as_str(), summary.lag))
        .collect();
    assert_eq!(told, [("billing", 0), ("readers", 3)]);

    let request = DescribeGroupRequest {
        name: "billing".to_owned(),
    };
    let billing = groups
        .describe_group(request)
        .await
        .unwrap()
        .into_inner()
        .group
        .unwrap();
    let spec = billing.spec.unwrap();
    assert_eq!((spec.fifo, spec.max_attempts, billing.generation), (true, 5, 1));
    let steps = backoff::Strategy::Customized(CustomizedBackoff {
        steps_ms: vec![1000, 10_000],
    });
    assert_eq!(spec.backoff.unwrap().strategy, Some(steps));
    assert_eq!(
        spec.start_from.unwrap().position,
        Some(start_from::Position::Latest(true))
    );

    let request = DescribeGroupRequest {
        name: "readers".to_owned(),
    };
    let readers = groups.describe_group(request).await.unwrap().into_inner();
    assert_eq!(readers.topics.len(), 1);
    assert_eq!((readers.topics[0].lag, readers.topics[0].queues.len()), (3, 0));
    assert_eq!((readers.members, readers.dead_letters), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_told_apart_from_what_cannot_be() {
    let stage = Stage::new();
    for (name, code, why) in [
        ("nothing", Code::NotFound, "TOPIC_NOT_FOUND"),
        ("%DLQ%nobody", Code::NotFound, "TOPIC_NOT_FOUND"),
        ("", Code::InvalidArgument, "TOPIC_NAME_INVALID"),
        ("a b", Code::InvalidArgument, "TOPIC_NAME_INVALID"),
        ("TBW102", Code::InvalidArgument, "TOPIC_NAME_INVALID"),
    ] {
        let request = DescribeTopicRequest {
            name: name.to_owned(),
        };
        refused(
            stage.admin.topics().describe_topic(request).await,
            code,
            why,
            name,
        );
    }
    for (name, code, why) in [
        ("nobody", Code::NotFound, "GROUP_NOT_FOUND"),
        ("", Code::InvalidArgument, "GROUP_NAME_INVALID"),
    ] {
        let request = DescribeGroupRequest {
            name: name.to_owned(),
        };
        refused(
            stage.admin.groups().describe_group(request).await,
            code,
            why,
            name,
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_tells_how_it_is() {
    let stage = Stage::with(INIT);
    stage.send("orders", 3).await;
    let mut broker = stage.admin.broker();
    let told = broker.get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!(
        (told.broker_name.as_str(), told.cluster_name.as_str()),
        ("broker-a", "DefaultCluster")
    );
    assert_eq!(told.client_address, stage.broker.endpoint());
    let listeners: Vec<_> = told
        .listeners
        .iter()
        .map(|listener| (listener.name.as_str(), listener.address.as_str()))
        .collect();
    let http = format!("127.0.0.1:{}", stage.broker.http_port());
    let (clients, admin) = (stage.broker.endpoint(), stage.broker.admin_endpoint());
    assert_eq!(
        listeners,
        [("client", clients.as_str()), ("admin", &admin), ("http", &http)]
    );
    assert_eq!((told.topics, told.groups, told.connections), (2, 1, 1));
    assert_eq!((told.uuid.len(), told.fence_epoch), (32, 0));
    assert!(told.started_ms > 1_700_000_000_000);
    let log = told.log.unwrap();
    assert_eq!((log.flush.as_str(), log.term), ("sync", 1));
    assert!(
        log.written >= log.durable && log.durable > 0 && log.next_index > 3,
        "{log:?}"
    );
    assert_eq!((log.retention_hours, log.retention_bytes), (72, 0));
    let disk = told.disk.unwrap();
    assert!(disk.free_bytes > 0 && disk.free_bytes < disk.total_bytes && !disk.refusing_sends);
    assert_eq!(disk.folder, stage.broker.shard_dir().display().to_string());
    // Tests run with the marks off, whatever disk they are on.
    let marks = (
        disk.early_retention_percent,
        disk.forced_retention_percent,
        disk.refuse_sends_percent,
    );
    assert_eq!((marks, disk.level.as_str()), ((0, 0, 0), "none"));
    assert!(disk.used_percent > 0.0 && disk.used_percent <= 100.0, "{disk:?}");
}
