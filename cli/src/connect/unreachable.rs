//! Nobody answers: why, and what to do about it.

use crate::failure::{Failure, Kind};
use crate::settings::Address;
use std::error::Error;

/// What an address is for; decides the advice when nobody answers there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Admin,
    Messages,
    /// Messages, of a broker that has named the address itself, or has answered there before.
    MoreMessages,
}

/// Everything that an error says, each cause once.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    // What it was while doing says little once there is a cause.
    if parts.len() > 1 {
        parts.retain(|part| part != "transport error" && part != "client error (Connect)");
    }
    parts.join(": ")
}

/// What the libraries below say when the time is over before anybody has answered.
const TOO_LATE: [&str; 3] = ["Timeout expired", "deadline has elapsed", "timed out"];
/// What they say when the other end breaks off, or answers in another protocol.
const NO_HTTP_2: [&str; 3] = ["broken pipe", "frame with invalid size", "FRAME_SIZE_ERROR"];

/// Nobody answers, or not as a broker does.
pub(super) fn unreachable(address: &Address, cause: &str, tls: bool, purpose: Purpose) -> Failure {
    let too_late = says_one_of(cause, &TOO_LATE);
    let what = if too_late {
        format!("no answer in time from {address}: {cause}")
    } else if purpose == Purpose::MoreMessages {
        format!("the connection to the broker at {address} broke: {cause}")
    } else {
        format!("no broker can be reached at {address}: {cause}")
    };
    let hint = if too_late {
        "give it longer, such as --timeout 30s; the broker may be busy, or its port full of other connections"
    } else {
        certificate_hint(cause).unwrap_or_else(|| other_hint(cause, tls, purpose))
    };
    Failure::new(Kind::Unreachable, what)
        .about(address.to_string())
        .hint(hint)
}

fn says_one_of(cause: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| cause.contains(text))
}

/// What to do where one end does not take the other's certificate.
fn certificate_hint(cause: &str) -> Option<&'static str> {
    if cause.contains("received fatal alert") {
        let about_ours = says_one_of(cause, &["ertificate", "UnknownCA", "UnknownCa"]);
        return about_ours.then_some(
            "the broker does not take the certificate that it was shown: give one that its --admin-client-ca has signed and that has not expired, with --cert and --cert-key",
        );
    }
    if says_one_of(cause, &["Expired", "certificate expired"]) {
        return Some(
            "the broker's certificate has expired: renew it; the broker reads its changed files by itself",
        );
    }
    if says_one_of(cause, &["NotValidYet", "not valid yet"]) {
        return Some("the broker's certificate is not valid yet: look at the clocks of both machines");
    }
    if says_one_of(cause, &["NotValidForName", "not valid for name"]) {
        return Some(
            "reach the broker under a name that its certificate has, or give it a certificate with this name; one that it makes itself has the name of --advertise",
        );
    }
    says_one_of(cause, &["certificate", "UnknownIssuer"])
        .then_some("give the CA that has signed the broker's certificate with --ca FILE")
}

fn other_hint(cause: &str, tls: bool, purpose: Purpose) -> &'static str {
    if tls && cause.contains("corrupt message") {
        return "the port may speak plaintext only: leave the flags for TLS out";
    }
    match purpose {
        Purpose::Admin if says_one_of(cause, &NO_HTTP_2) => {
            "this may be no gRPC port, such as the broker's HTTP port: name its --admin-listen with --admin HOST:PORT; or the broker has stopped"
        }
        Purpose::Messages if says_one_of(cause, &NO_HTTP_2) => {
            "this may be no gRPC port, such as the broker's HTTP port: name its --grpc-listen with --endpoint HOST:PORT; or the broker has stopped"
        }
        Purpose::Admin => {
            "start it with `sluice-broker`, or name the one you mean: --admin HOST:PORT or SLUICE_ADMIN"
        }
        Purpose::MoreMessages => {
            "the broker has stopped, or somebody has cut the connection: its log says why, and `sluicectl broker status` whether it is back"
        }
        Purpose::Messages => "name the broker's address for clients with --endpoint HOST:PORT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_has_answered_is_not_told_to_be_none() {
        let address = Address::parse("127.0.0.1:8081").unwrap();
        for cause in [
            "stream closed because of a broken pipe",
            "connection error: Connection reset by peer (os error 104)",
        ] {
            let told = unreachable(&address, cause, false, Purpose::MoreMessages).to_string();
            for part in [
                "the connection to the broker at 127.0.0.1:8081 broke",
                cause,
                "has stopped",
            ] {
                assert!(told.contains(part), "{part} in {told}");
            }
            assert!(!told.contains("no gRPC port"), "{told}");
        }
    }

    #[test]
    fn the_hint_follows_from_the_cause() {
        let address = Address::parse("127.0.0.1:8082").unwrap();
        for (cause, part) in [
            (
                "tcp connect error: Connection refused (os error 111)",
                "start it with `sluice-broker`",
            ),
            ("Timeout expired", "--timeout 30s"),
            ("tcp connect error: deadline has elapsed", "port full"),
            ("invalid peer certificate: Expired", "renew it"),
            (
                "invalid peer certificate: certificate expired: verification time 3",
                "renew it",
            ),
            (
                "invalid peer certificate: certificate not valid for name \"b\"; certificate is only valid for DnsName(\"a\")",
                "a name that its certificate has",
            ),
            ("invalid peer certificate: UnknownIssuer", "--ca FILE"),
            ("received fatal alert: CertificateExpired", "--cert-key"),
            ("received fatal alert: UnknownCA", "--cert-key"),
            ("stream closed because of a broken pipe", "no gRPC port"),
        ] {
            let hint = unreachable(&address, cause, true, Purpose::Admin).hint.unwrap();
            assert!(hint.contains(part), "{cause}: {hint}");
            assert!(
                !hint.contains("--ca FILE") || cause.contains("UnknownIssuer"),
                "another CA would not help with {cause}"
            );
        }
    }
}
