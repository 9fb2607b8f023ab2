//! `Telemetry`, `Heartbeat`, `NotifyClientTermination`, and the end of the broker.

use crate::support::*;
use sluice_proto::v2::settings::PubSub;
use sluice_proto::v2::telemetry_command::Command;
use sluice_proto::v2::*;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

pub struct Session {
    up: mpsc::Sender<TelemetryCommand>,
    down: Streaming<TelemetryCommand>,
}

pub async fn open(fixture: &Fixture, client: &str) -> Session {
    let (up, commands) = mpsc::channel(4);
    let mut request = fixture.request_by(client, ReceiverStream::new(commands));
    request.metadata_mut().remove("grpc-timeout");
    let mut stub = fixture.stub();
    let down = tokio::time::timeout(Duration::from_secs(3), stub.telemetry(request));
    Session {
        up,
        down: down
            .await
            .expect("the headers come at once")
            .unwrap()
            .into_inner(),
    }
}

impl Session {
    pub async fn announce(&mut self, settings: Settings) -> Result<Settings, tonic::Status> {
        let command = TelemetryCommand {
            command: Some(Command::Settings(settings)),
            ..Default::default()
        };
        self.up.send(command).await.unwrap();
        self.next().await
    }

    /// Nothing comes, and the stream does not end.
    pub async fn is_silent_for(&mut self, time: Duration) {
        let came = tokio::time::timeout(time, self.down.message()).await;
        assert!(came.is_err(), "{came:?}");
    }

    async fn next(&mut self) -> Result<Settings, tonic::Status> {
        let command = tokio::time::timeout(DEADLINE, self.down.message())
            .await
            .unwrap()?;
        let command = command.expect("the stream goes on");
        assert_eq!(code(&command.status), Code::Ok);
        match command.command {
            Some(Command::Settings(settings)) => Ok(settings),
            other => panic!("{other:?}"),
        }
    }
}

pub fn producer() -> Settings {
    Settings {
        pub_sub: Some(PubSub::Publishing(Publishing::default())),
        ..Default::default()
    }
}

pub fn consumer(group: &str) -> Settings {
    let subscription = Subscription {
        group: named(group),
        ..Default::default()
    };
    Settings {
        pub_sub: Some(PubSub::Subscription(subscription)),
        ..Default::default()
    }
}

async fn heartbeat(fixture: &Fixture, client: &str) -> Code {
    let request = fixture.request_by(client, HeartbeatRequest::default());
    code(
        &fixture
            .stub()
            .heartbeat(request)
            .await
            .unwrap()
            .into_inner()
            .status,
    )
}

async fn farewell(fixture: &Fixture, client: &str) -> Code {
    let request = fixture.request_by(client, NotifyClientTerminationRequest { group: named("") });
    code(
        &fixture
            .stub()
            .notify_client_termination(request)
            .await
            .unwrap()
            .into_inner()
            .status,
    )
}

// Quirks java-start, java-no-group, python-status, rust-settings, all-repeated-settings: at once, with an OK, also for a group
// that is not there, and whatever they leave out.
#[tokio::test]
async fn settings_are_answered_each_time_and_the_stream_stays() {
    let fixture = Fixture::with("groups: [{name: ordered, fifo: true, maxAttempts: 4}]\n", &[]).await;
    let mut session = open(&fixture, "c").await;
    for (group, fifo, attempts) in [("ordered", true, 4), ("absent", false, 17)] {
        let merged = session.announce(consumer(group)).await.unwrap();
        let Some(PubSub::Subscription(subscription)) = merged.pub_sub else {
            panic!()
        };
        assert_eq!(
            (subscription.fifo, subscription.group),
            (Some(fifo), named(group))
        );
        assert_eq!(merged.backoff_policy.unwrap().max_attempts, attempts);
    }
}

#[tokio::test]
async fn settings_that_make_no_sense_end_the_stream_with_invalid_argument() {
    let fixture = Fixture::new().await;
    let topics = vec![Resource {
        name: "a b".into(),
        ..Default::default()
    }];
    let publishing = PubSub::Publishing(Publishing {
        topics,
        ..Default::default()
    });
    for settings in [
        Settings::default(),
        consumer("a b"),
        Settings {
            pub_sub: Some(publishing),
            ..Default::default()
        },
    ] {
        let refusal = open(&fixture, "c").await.announce(settings).await.unwrap_err();
        assert_eq!(refusal.code(), tonic::Code::InvalidArgument, "{refusal:?}");
    }
    let nameless = fixture.stub().telemetry(tokio_stream::empty()).await.unwrap_err();
    assert_eq!(nameless.code(), tonic::Code::InvalidArgument);
}

type Change = fn(&mut Settings);

// What clients announce is kept, and takes many times the bytes that it has on its way.
#[tokio::test]
async fn settings_of_more_parts_than_any_client_has_are_refused() {
    let fixture = Fixture::new().await;
    let parts: [(&str, Change); 4] = [
        ("topics", |settings| {
            if let Some(PubSub::Subscription(subscription)) = &mut settings.pub_sub {
                subscription.subscriptions = vec![Default::default(); 4097];
            }
        }),
        ("addresses", |settings| {
            settings.access_point.get_or_insert_default().addresses = vec![Default::default(); 129];
        }),
        ("steps", |settings| {
            let next = vec![Default::default(); 129];
            settings.backoff_policy.get_or_insert_default().strategy =
                Some(retry_policy::Strategy::CustomizedBackoff(CustomizedBackoff {
                    next,
                }));
        }),
        ("client properties", |settings| {
            let properties = (0..129).map(|number| (number.to_string(), String::new()));
            settings.client_properties.extend(properties);
        }),
    ];
    for (what, many) in parts {
        let mut settings = consumer("g");
        many(&mut settings);
        let refusal = open(&fixture, "c").await.announce(settings).await.unwrap_err();
        assert_eq!(
            refusal.code(),
            tonic::Code::InvalidArgument,
            "{what}: {refusal:?}"
        );
        assert!(refusal.message().contains(what), "{refusal:?}");
    }
}

// Quirk go-farewell: a producer's names a group without a name.
#[tokio::test]
async fn a_heartbeat_needs_settings_and_a_farewell_needs_nothing() {
    let fixture = Fixture::new().await;
    assert_eq!(heartbeat(&fixture, "c").await, Code::UnrecognizedClientType);
    let mut session = open(&fixture, "c").await;
    session.announce(consumer("g")).await.unwrap();
    assert_eq!(heartbeat(&fixture, "c").await, Code::Ok);
    assert_eq!(farewell(&fixture, "c").await, Code::Ok);
    assert_eq!(farewell(&fixture, "c").await, Code::Ok, "once more");
    assert_eq!(heartbeat(&fixture, "c").await, Code::UnrecognizedClientType);
    session.announce(consumer("g")).await.unwrap();
    assert_eq!(heartbeat(&fixture, "c").await, Code::Ok, "it has come back");
}

// Quirk node-first-settings: with several topics it waits for them after they have come.
#[tokio::test]
async fn node_gets_its_settings_again_three_times_and_others_do_not() {
    let fixture = Fixture::new().await;
    let announced = |language: Language| Settings {
        user_agent: Some(Ua {
            language: language.into(),
            ..Default::default()
        }),
        ..consumer("g")
    };
    let mut session = open(&fixture, "c").await;
    let told = Instant::now();
    let first = session.announce(announced(Language::NodeJs)).await.unwrap();
    for after_ms in [100, 600, 2600] {
        assert_eq!(session.next().await.unwrap(), first);
        assert!(told.elapsed() >= Duration::from_millis(after_ms));
    }
    let mut other = open(&fixture, "other").await;
    other.announce(announced(Language::Java)).await.unwrap();
    other.is_silent_for(Duration::from_secs(3)).await;
    session.is_silent_for(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn what_a_leaving_client_held_comes_back_and_only_if_the_broker_renewed_it() {
    let fixture = Fixture::new().await;
    for body in ["renewed", "timed"] {
        fixture.send_ok(message("t", body)).await;
        let held = fixture
            .receive_by("leaving", |request| request.auto_renew = body == "renewed")
            .await;
        assert_eq!(held.bodies(), [body]);
    }
    assert_eq!(farewell(&fixture, "leaving").await, Code::Ok);
    let received = fixture
        .receive(|request| request.long_polling_timeout = Some(seconds(6)))
        .await;
    assert_eq!(received.bodies(), ["renewed"]);
    assert_eq!(system(&received.messages[0]).delivery_attempt, Some(2));
    assert!(fixture.receive(|_| {}).await.messages.is_empty());
}

#[tokio::test]
async fn a_stopping_broker_ends_polls_and_streams_in_peace() {
    let fixture = Fixture::new().await;
    let mut session = open(&fixture, "c").await;
    session.announce(consumer("g")).await.unwrap();
    let Fixture { broker, stub, .. } = fixture;
    let mut request = tonic::Request::new(receive_request("g", "t"));
    request
        .metadata_mut()
        .insert("x-mq-client-id", "c".parse().unwrap());
    request.get_mut().long_polling_timeout = Some(seconds(15));
    let poll = tokio::spawn(async move {
        let mut frames = stub.clone().receive_message(request).await.unwrap().into_inner();
        frames.message().await.unwrap().unwrap().content.unwrap()
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    tokio::time::timeout(Duration::from_secs(5), broker.stop())
        .await
        .unwrap()
        .unwrap();
    let receive_message_response::Content::Status(status) = poll.await.unwrap() else {
        panic!()
    };
    assert_eq!(code(&Some(status)), Code::MessageNotFound);
    assert!(
        session.down.message().await.unwrap().is_none(),
        "ended, not broken off"
    );
}
