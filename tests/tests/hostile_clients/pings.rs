//! Connections on which nothing is asked, and pinged all the time.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use sluice_tests::process::Setup;

use crate::frames::{GREETING, PING, SETTINGS, frame};
use crate::stage::SOON;

const ACKNOWLEDGES: u8 = 1;
const GOAWAY: u8 = 7;
const HEAD: usize = 9;
const PINGS: u64 = 5000;

/// The next frame: its kind, its flags and what is in it.
fn next(stream: &mut TcpStream) -> (u8, u8, Vec<u8>) {
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).unwrap();
    (head[3], head[4], payload)
}

// Quirk all-10510: gRPC's own server for Java hangs up on clients that ping without a call under way.
#[test]
fn pings_without_a_call_are_answered_at_any_rate() {
    let broker = Setup::new().start().unwrap();
    let mut stream = TcpStream::connect(broker.endpoint()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(GREETING).unwrap();
    stream.write_all(&frame(SETTINGS, ACKNOWLEDGES, 0, &[])).unwrap();
    for number in 0..PINGS {
        let payload = number.to_be_bytes();
        stream.write_all(&frame(PING, 0, 0, &payload)).unwrap();
        loop {
            let (kind, flags, answer) = next(&mut stream);
            assert_ne!(kind, GOAWAY, "after {number} pings: {answer:?}");
            if kind == PING && flags == ACKNOWLEDGES {
                assert_eq!(answer, payload);
                break;
            }
        }
    }
    // Nor does it hang up a while later.
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let silence = stream.read(&mut [0; HEAD]);
    assert!(silence.is_err(), "{silence:?}");
}
