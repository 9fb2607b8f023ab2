//! `QueryRoute` and `QueryAssignment`.

use crate::support::*;
use sluice_proto::v2::*;

async fn route(fixture: &Fixture, topic: &str, endpoints: Option<Endpoints>) -> QueryRouteResponse {
    let body = QueryRouteRequest {
        topic: named(topic),
        endpoints,
    };
    fixture
        .stub()
        .query_route(fixture.request(body))
        .await
        .unwrap()
        .into_inner()
}

async fn assignment(fixture: &Fixture, group: &str, topic: &str) -> QueryAssignmentResponse {
    let body = QueryAssignmentRequest {
        topic: named(topic),
        group: named(group),
        endpoints: None,
    };
    fixture
        .stub()
        .query_assignment(fixture.request(body))
        .await
        .unwrap()
        .into_inner()
}

// Quirks java-unspecified, python-address: nothing in it is left open, and it has one address.
#[tokio::test]
async fn a_route_is_complete_and_names_just_what_the_topic_takes() {
    let fixture = Fixture::with("topics: [{name: fifo, queues: 2, types: fifo}]\n", &[]).await;
    for (topic, queues, types) in [
        ("fifo", 2, vec![MessageType::Fifo]),
        ("made", 4, vec![MessageType::Normal, MessageType::Fifo]),
    ] {
        let route = route(&fixture, topic, None).await;
        assert_eq!(code(&route.status), Code::Ok);
        assert_eq!(route.message_queues.len(), queues, "{topic}");
        for (id, queue) in route.message_queues.iter().enumerate() {
            assert_eq!((queue.id, &queue.topic), (id as i32, &named(topic)));
            assert_eq!(queue.permission(), Permission::ReadWrite);
            assert_eq!(queue.accept_message_types().collect::<Vec<_>>(), types);
            let broker = queue.broker.as_ref().unwrap();
            assert_eq!((broker.name.as_str(), broker.id), ("broker-a", 0));
            let [address] = &broker.endpoints.as_ref().unwrap().addresses[..] else {
                panic!("{broker:?}");
            };
            assert_eq!(
                (address.host.as_str(), address.port),
                ("127.0.0.1", i32::from(fixture.address.port()))
            );
        }
    }
}

// Quirk go-permission: a queue that cannot be written is chosen all the same.
#[tokio::test]
async fn a_closed_topic_is_for_reading_and_takes_nothing() {
    let fixture = Fixture::with("topics: [{name: t, queues: 2, closed: true}]\n", &[]).await;
    let route = route(&fixture, "t", None).await;
    assert_eq!(code(&route.status), Code::Ok);
    for queue in &route.message_queues {
        assert_eq!(queue.permission(), Permission::Read);
    }
    let sent = fixture.send(vec![message("t", "m")]).await;
    let status = sent.status.unwrap();
    assert_eq!(status.code(), Code::Forbidden);
    assert!(
        status.message.contains("topic 't' is closed"),
        "{}",
        status.message
    );
    let received = fixture.receive(|body| body.auto_renew = true).await;
    assert_eq!(code(&received.status), Code::MessageNotFound);
}

#[tokio::test]
async fn a_route_that_cannot_be_given_is_refused_by_its_code() {
    let fixture = Fixture::with("", &["--auto-create-topics", "false"]).await;
    let malformed = Endpoints {
        scheme: 9,
        addresses: vec![Address {
            host: "h".into(),
            port: 1,
        }],
    };
    for (topic, endpoints, expected) in [
        ("absent", None, Code::TopicNotFound),
        ("%DLQ%absent", None, Code::TopicNotFound),
        ("a b", None, Code::IllegalTopic),
        ("", None, Code::IllegalTopic),
        ("TBW102", None, Code::IllegalTopic),
        ("absent", Some(malformed), Code::IllegalAccessPoint),
    ] {
        assert_eq!(
            code(&route(&fixture, topic, endpoints).await.status),
            expected,
            "{topic}"
        );
    }
    let body = QueryRouteRequest {
        topic: None,
        endpoints: None,
    };
    let answer = fixture
        .stub()
        .query_route(fixture.request(body))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(code(&answer.status), Code::IllegalTopic);
}

#[tokio::test]
async fn topics_of_groups_are_not_made_by_asking_for_them() {
    let fixture = Fixture::new().await;
    for (topic, told) in [("%RETRY%g", "there will be none"), ("%DLQ%g", "itself")] {
        let answer = route(&fixture, topic, None).await;
        assert_eq!(code(&answer.status), Code::TopicNotFound, "{topic}");
        assert!(answer.status.unwrap().message.contains(told), "{topic}");
        let received = fixture
            .receive(|request| request.message_queue.as_mut().unwrap().topic = named(topic))
            .await;
        assert_eq!(code(&received.status), Code::TopicNotFound, "{topic}");
    }
    // Such a name is nobody's but the client's, for the prefix stands elsewhere.
    let answer = route(&fixture, "a%DLQ%b", None).await;
    assert_eq!(code(&answer.status), Code::Ok);
}

#[tokio::test]
async fn an_assignment_is_the_broker_or_for_fifo_groups_each_queue() {
    let fixture = Fixture::with("groups: [{name: ordered, fifo: true}]\n", &[]).await;
    for (group, expected) in [("anyone", vec![-1]), ("ordered", vec![0, 1, 2, 3])] {
        let answer = assignment(&fixture, group, "t").await;
        assert_eq!(code(&answer.status), Code::Ok);
        let queues = answer
            .assignments
            .iter()
            .map(|assignment| assignment.message_queue.as_ref().unwrap());
        assert_eq!(
            queues.clone().map(|queue| queue.id).collect::<Vec<_>>(),
            expected,
            "{group}"
        );
        assert!(
            queues
                .clone()
                .all(|queue| queue.broker.as_ref().unwrap().endpoints.is_some())
        );
    }
    assert_eq!(
        code(&assignment(&fixture, "a b", "t").await.status),
        Code::IllegalConsumerGroup
    );
    assert_eq!(
        code(&assignment(&fixture, "g", "a b").await.status),
        Code::IllegalTopic
    );
}

#[tokio::test]
async fn namespaces_keep_topics_of_one_name_apart() {
    let fixture = Fixture::new().await;
    let in_namespace = |mut message: Message| {
        message.topic.as_mut().unwrap().resource_namespace = "blue".to_owned();
        message
    };
    fixture.send_ok(message("t", "bare")).await;
    fixture.send_ok(in_namespace(message("t", "blue"))).await;
    let bare = fixture.receive(|_| {}).await;
    assert_eq!(bare.bodies(), ["bare"]);
    let blue = fixture
        .receive(|request| {
            request.group.as_mut().unwrap().resource_namespace = "blue".to_owned();
            let queue = request.message_queue.as_mut().unwrap();
            queue.topic.as_mut().unwrap().resource_namespace = "blue".to_owned();
        })
        .await;
    assert_eq!(blue.bodies(), ["blue"]);
    assert_eq!(
        blue.messages[0].topic.as_ref().unwrap().resource_namespace,
        "blue"
    );
    assert_eq!(blue.messages[0].topic.as_ref().unwrap().name, "t");
}

#[tokio::test]
async fn calls_without_a_client_id_are_told_so() {
    let fixture = Fixture::new().await;
    let body = HeartbeatRequest::default();
    let answer = fixture
        .stub()
        .heartbeat(tonic::Request::new(body))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(code(&answer.status), Code::ClientIdRequired);
}
