//! Pins numbers of the wire format by looking at encoded bytes: a renumbered field would still round-trip
//! through our own types, but no official client would understand it.

use prost::Message as _;
use prost_types::{Duration, Timestamp};
use sluice_proto::v2::*;

/// The top-level field numbers of an encoded message, in the order of the bytes.
fn fields(encoded: &[u8]) -> Vec<u64> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (first, rest) = bytes.split_first().expect("a whole varint");
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            shift += 7;
            if first & 0x80 == 0 {
                return value;
            }
        }
    }
    let mut rest = encoded;
    let mut numbers = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest);
        numbers.push(tag >> 3);
        let length = match tag & 7 {
            0 => {
                varint(&mut rest);
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut rest)).expect("a length"),
            5 => 4,
            other => unreachable!("wire type {other}"),
        };
        rest = &rest[length..];
    }
    numbers
}

fn text() -> String {
    "x".to_owned()
}

fn resource() -> Option<Resource> {
    Some(Resource {
        resource_namespace: text(),
        name: text(),
    })
}

#[test]
fn system_properties_have_fields_1_to_22_in_their_published_order() {
    let properties = SystemProperties {
        tag: Some(text()),
        keys: vec![text()],
        message_id: text(),
        body_digest: Some(Digest {
            r#type: DigestType::Md5.into(),
            checksum: text(),
        }),
        body_encoding: Encoding::Identity.into(),
        message_type: MessageType::Normal.into(),
        born_timestamp: Some(Timestamp::default()),
        born_host: text(),
        store_timestamp: Some(Timestamp::default()),
        store_host: text(),
        delivery_timestamp: Some(Timestamp::default()),
        receipt_handle: Some(text()),
        queue_id: 1,
        queue_offset: Some(0),
        invisible_duration: Some(Duration::default()),
        delivery_attempt: Some(0),
        message_group: Some(text()),
        trace_context: Some(text()),
        orphaned_transaction_recovery_duration: Some(Duration::default()),
        dead_letter_queue: Some(DeadLetterQueue {
            topic: text(),
            message_id: text(),
        }),
        lite_topic: Some(text()),
        priority: Some(0),
    };
    assert_eq!(fields(&properties.encode_to_vec()), (1..=22).collect::<Vec<_>>());
    // Absent and set to zero differ for a field with presence: queue_offset is 14, so its tag is 0x70.
    let only_offset = SystemProperties {
        queue_offset: Some(0),
        ..Default::default()
    };
    assert_eq!(only_offset.encode_to_vec(), [0x70, 0]);
}

#[test]
fn single_fields_have_their_published_numbers() {
    let receive = ReceiveMessageRequest {
        attempt_id: Some(text()),
        ..Default::default()
    };
    assert_eq!(receive.encode_to_vec(), [8 << 3 | 2, 1, b'x']);
    let renew = ReceiveMessageRequest {
        auto_renew: true,
        ..Default::default()
    };
    assert_eq!(renew.encode_to_vec(), [6 << 3, 1]);
    let batch = ReceiveMessageRequest {
        batch_size: 32,
        ..Default::default()
    };
    assert_eq!(batch.encode_to_vec(), [4 << 3, 32]);
    let unset = ReceiveMessageRequest {
        batch_size: 0,
        auto_renew: false,
        ..Default::default()
    };
    assert!(unset.encode_to_vec().is_empty(), "no presence: zero is unset");
    let body = Message {
        body: bytes::Bytes::from_static(b"hi"),
        ..Default::default()
    };
    assert_eq!(body.encode_to_vec(), [4 << 3 | 2, 2, b'h', b'i']);
    let orphan = RecoverOrphanedTransactionCommand {
        message: None,
        transaction_id: text(),
    };
    assert_eq!(fields(&orphan.encode_to_vec()), [2]);
    let change = ChangeInvisibleDurationRequest {
        suspend: Some(false),
        ..Default::default()
    };
    assert_eq!(change.encode_to_vec(), [7 << 3, 0]);
    let entry = SendResultEntry {
        offset: 1,
        recall_handle: text(),
        ..Default::default()
    };
    assert_eq!(fields(&entry.encode_to_vec()), [4, 5]);
}

#[test]
fn settings_and_subscriptions_have_their_published_numbers() {
    let settings = Settings {
        client_type: Some(ClientType::PushConsumer.into()),
        access_point: Some(Endpoints::default()),
        backoff_policy: Some(RetryPolicy::default()),
        request_timeout: Some(Duration::default()),
        user_agent: Some(Ua::default()),
        metric: Some(Metric::default()),
        client_properties: [(text(), text())].into(),
        pub_sub: Some(settings::PubSub::Subscription(Subscription {
            group: resource(),
            subscriptions: vec![SubscriptionEntry::default()],
            fifo: Some(false),
            receive_batch_size: Some(0),
            long_polling_timeout: Some(Duration::default()),
            lite_subscription_quota: Some(0),
            max_lite_topic_size: Some(0),
        })),
    };
    assert_eq!(fields(&settings.encode_to_vec()), [1, 2, 3, 4, 6, 7, 8, 9]);
    let Some(settings::PubSub::Subscription(subscription)) = settings.pub_sub else {
        panic!("a subscription")
    };
    assert_eq!(fields(&subscription.encode_to_vec()), (1..=7).collect::<Vec<_>>());
    let command = TelemetryCommand {
        status: None,
        command: Some(telemetry_command::Command::Settings(Settings::default())),
    };
    assert_eq!(command.encode_to_vec(), [2 << 3 | 2, 0]);
}

#[test]
fn codes_and_other_enums_have_their_published_numbers() {
    let numbers = [
        (Code::Unspecified, 0),
        (Code::Ok, 20000),
        (Code::MultipleResults, 30000),
        (Code::BadRequest, 40000),
        (Code::InvalidReceiptHandle, 40013),
        (Code::MessagePropertyConflictWithType, 40014),
        (Code::ClientIdRequired, 40017),
        (Code::InvalidClientProperties, 40021),
        (Code::Unauthorized, 40100),
        (Code::MessageNotFound, 40401),
        (Code::TopicNotFound, 40402),
        (Code::MessageBodyTooLarge, 41301),
        (Code::TooManyRequests, 42900),
        (Code::MessagePropertiesTooLarge, 43101),
        (Code::InternalServerError, 50001),
        (Code::NotImplemented, 50100),
        (Code::ProxyTimeout, 50400),
        (Code::VerifyFifoMessageUnsupported, 50502),
        (Code::FailedToConsumeMessage, 60000),
    ];
    for (code, number) in numbers {
        assert_eq!(code as i32, number, "{code:?}");
    }
    let status = Status {
        code: Code::Ok.into(),
        message: String::new(),
    };
    assert_eq!(status.encode_to_vec(), [1 << 3, 0xa0, 0x9c, 0x01]);
    assert_eq!(TransactionSource::SourceServerCheck as i32, 2);
    assert_eq!(AddressScheme::IPv4 as i32, 1);
    assert_eq!(Permission::ReadWrite as i32, 4);
    assert_eq!(ClientType::LiteSimpleConsumer as i32, 6);
    assert_eq!(Language::Kotlin as i32, 12);
    assert_eq!(offset_option::Policy::Max as i32, 2);
}
