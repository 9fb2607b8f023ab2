//! How a connection begins: its first byte says TLS, HTTP or neither, and what says TLS goes through its first flight.

use crate::fuzz::bounds::{bounded, measured, worded};
use crate::fuzz::case::Case;
use crate::fuzz::run::{Checked, Verdict};
use crate::fuzz::{damage, draw};
use crate::listener::opening::Opening;
use anyhow::{Context as _, ensure};
use bolero::{Driver, ValueGenerator};
use std::sync::{Arc, LazyLock};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    self, ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};

/// A connection's buffers, and keys and certificate of one handshake.
const MEMORY_BYTES_LEAST: usize = 256 << 10;
/// For each byte of what comes: it is gathered, and copied when it is whole.
const MEMORY_BYTES_EACH: usize = 8;
const TEXTS: [&[u8]; 6] = [
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
    b"HEAD /metrics HTTP/1.0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\n\r\n",
    b"\0\0\0\x01",
];

/// What HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

type Sniff = fn(u8) -> Opening;

static SERVER: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| Arc::new(server().unwrap()));
/// What clients of several versions begin with.
static HELLOS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| hellos().unwrap());

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn server() -> anyhow::Result<ServerConfig> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let mut config = builder
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    config.alpn_protocols = vec![crate::tls::PROTOCOL.to_vec()];
    Ok(config)
}

fn hellos() -> anyhow::Result<Vec<Vec<u8>>> {
    let versions: [&[&SupportedProtocolVersion]; 3] = [&[&TLS13, &TLS12], &[&TLS12], &[&TLS13]];
    versions.into_iter().map(hello).collect()
}

fn hello(versions: &[&'static SupportedProtocolVersion]) -> anyhow::Result<Vec<u8>> {
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions)?;
    let mut config = builder
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![crate::tls::PROTOCOL.to_vec()];
    let mut client = ClientConnection::new(Arc::new(config), "localhost".try_into()?)?;
    let mut out = Vec::new();
    client.write_tls(&mut out)?;
    Ok(out)
}

struct Openings;

struct Origin {
    /// A whole hello of a client that can be served.
    is_hello: bool,
}

impl ValueGenerator for Openings {
    type Output = Case<Origin>;

    fn generate<D: Driver>(&self, driver: &mut D) -> Option<Self::Output> {
        let hello = HELLOS.get(draw::below(driver, HELLOS.len())?)?;
        let other = draw::one_of(driver, &TEXTS)?;
        let from_hello = !draw::once_in(driver, 3)?;
        let made = if from_hello { hello } else { other };
        let mut bytes = made.to_vec();
        damage::some(driver, &mut bytes, if from_hello { other } else { hello })?;
        let is_hello = from_hello && bytes == *hello;
        Some(Case {
            bytes,
            origin: Origin { is_hello },
        })
    }
}

fn check(case: &Case<Origin>, sniff: Sniff) -> Checked {
    let verdict = check_bytes(&case.bytes, sniff)?;
    ensure!(
        !case.origin.is_hello || verdict == Verdict::Taken,
        "a client's hello is turned away"
    );
    Ok(verdict)
}

fn check_bytes(bytes: &[u8], sniff: Sniff) -> Checked {
    let Some(&first) = bytes.first() else {
        return Ok(Verdict::Refused);
    };
    match sniff(first) {
        Opening::Tls => {
            ensure!(
                first == 0x16,
                "TLS is seen in {first:#04x}, which begins no handshake"
            );
            first_flight(bytes)
        }
        Opening::Text => {
            ensure!(first.is_ascii_uppercase(), "HTTP is seen in {first:#04x}");
            let is_http_2 = bytes.starts_with(PREFACE);
            Ok(if is_http_2 {
                Verdict::Taken
            } else {
                Verdict::Refused
            })
        }
        Opening::Neither => {
            let beginnings = [
                "GET ", "HEAD ", "OPTIONS ", "DELETE ", "CONNECT ", "TRACE ", "POST ", "PRI ",
            ];
            let is_http = beginnings
                .iter()
                .any(|begins| bytes.starts_with(begins.as_bytes()));
            ensure!(!is_http, "HTTP is taken for nothing");
            ensure!(first != 0x16, "a handshake is taken for nothing");
            Ok(Verdict::Refused)
        }
    }
}

/// Hands the bytes to the TLS that the port has.
fn first_flight(mut bytes: &[u8]) -> Checked {
    let config = Arc::clone(&SERVER);
    let len = bytes.len();
    let (ended, took) = measured(move || -> anyhow::Result<Result<bool, rustls::Error>> {
        let mut connection = ServerConnection::new(config).context("no connection")?;
        while !bytes.is_empty() {
            if connection.read_tls(&mut bytes).is_err() {
                return Ok(Ok(false));
            }
            if let Err(error) = connection.process_new_packets() {
                return Ok(Err(error));
            }
        }
        Ok(Ok(connection.wants_write()))
    });
    bounded(took, len, MEMORY_BYTES_LEAST, MEMORY_BYTES_EACH)?;
    match ended? {
        Ok(true) => Ok(Verdict::Taken),
        Ok(false) => Ok(Verdict::Refused),
        Err(error) => worded(&error).map(|()| Verdict::Refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{regressions, run};

    #[test]
    fn a_connection_is_told_by_its_first_byte_and_a_hello_is_answered() {
        run::holds("sniff", Openings, |case| check(case, Opening::of));
    }

    #[test]
    fn what_once_failed_is_replayed() {
        regressions::replay("sniff", |bytes| check_bytes(bytes, Opening::of));
    }

    #[test]
    fn a_planted_sniff_that_takes_any_record_for_a_handshake_is_found() {
        fn any_record(first: u8) -> Opening {
            match first {
                0x14..=0x17 => Opening::Tls,
                first => Opening::of(first),
            }
        }
        let found = run::finds(Openings, |case| check(case, any_record));
        assert!(found.contains("begins no handshake"), "{found}");
    }
}
