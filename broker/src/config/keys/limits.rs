//! How much clients can make the broker hold: the keys of [`crate::config::Limits`].

use super::{KEY, Key, LIMITS};
use crate::config::forms::Form;
use sluice_core::limits;

pub static MAX_CONNECTIONS: Key = Key {
    name: "maxConnections",
    flag: "max-connections",
    variable: "SLUICE_MAX_CONNECTIONS",
    form: Form::Count(1, 1 << 20),
    default: Some("16384"),
    heading: LIMITS,
    help: "Clients' connections at a time, and never more than half of the limit on open files; further ones wait",
    ..KEY
};

pub static MAX_CLIENTS: Key = Key {
    name: "maxClients",
    flag: "max-clients",
    variable: "SLUICE_MAX_CLIENTS",
    form: Form::Count(1, 1 << 20),
    default: Some("50000"),
    heading: LIMITS,
    help: "Clients known at a time, by their ids; further ones are told to come again",
    ..KEY
};

pub static MAX_RECEIVES: Key = Key {
    name: "maxReceives",
    flag: "max-receives",
    variable: "SLUICE_MAX_RECEIVES",
    form: Form::Count(1, 1 << 20),
    default: Some("100000"),
    heading: LIMITS,
    help: "Receives that wait or are being served at a time; further ones are told to come again",
    ..KEY
};

pub static MAX_BODY_SIZE: Key = Key {
    name: "maxBodySize",
    flag: "max-body-size",
    variable: "SLUICE_MAX_BODY_SIZE",
    form: Form::Bytes(1 << 10, limits::BODY_BYTES_MAX as u64),
    default: Some("4MiB"),
    heading: LIMITS,
    help: "The largest body of a message that is taken; an eighth of --segment-size where that is less",
    ..KEY
};

pub static MAX_UNANSWERED_SENDS: Key = Key {
    name: "maxUnansweredSends",
    flag: "max-unanswered-sends",
    variable: "SLUICE_MAX_UNANSWERED_SENDS",
    form: Form::Bytes(8 << 20, 1 << 40),
    default: Some("128MiB"),
    heading: LIMITS,
    help: "Bodies that were sent and are not answered yet, and 4KiB a send; further sends are told to come again",
    ..KEY
};

pub static MAX_SEND_WAIT: Key = Key {
    name: "maxSendWaitMillis",
    flag: "max-send-wait-millis",
    variable: "SLUICE_MAX_SEND_WAIT_MILLIS",
    form: Form::Count(10, 60_000),
    default: Some("500"),
    heading: LIMITS,
    help: "Milliseconds that a send may wait until the log writes it; later it is told to come again",
    ..KEY
};

pub static MAX_UNFINISHED_REQUESTS: Key = Key {
    name: "maxUnfinishedRequests",
    flag: "max-unfinished-requests",
    variable: "SLUICE_MAX_UNFINISHED_REQUESTS",
    form: Form::Bytes(1 << 20, 1 << 40),
    default: Some("128MiB"),
    heading: LIMITS,
    help: "What has come of requests that are not whole, and 4KiB each; further ones are told to come again",
    ..KEY
};

pub static MAX_UNREAD_ANSWERS: Key = Key {
    name: "maxUnreadAnswers",
    flag: "max-unread-answers",
    variable: "SLUICE_MAX_UNREAD_ANSWERS",
    form: Form::Bytes(1 << 20, 1 << 40),
    default: Some("128MiB"),
    heading: LIMITS,
    help: "Messages that were asked for and are not read yet, and 4KiB an answer; further receives are told to come again",
    ..KEY
};

pub static MAX_TRANSFER_SECONDS: Key = Key {
    name: "maxTransferSeconds",
    flag: "max-transfer-seconds",
    variable: "SLUICE_MAX_TRANSFER_SECONDS",
    form: Form::Count(1, 3600),
    default: Some("60"),
    heading: LIMITS,
    help: "Seconds in which a request has come to its end and messages are read; later their connection is closed",
    ..KEY
};
