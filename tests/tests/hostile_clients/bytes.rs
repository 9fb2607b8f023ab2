//! Bytes that are no requests.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sluice_tests::process::Setup;
use sluice_tests::seed::{self, Chance};

use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, GREETING, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame,
    send_message_headers, streams,
};
use crate::stage::{anonymous_mib, memory_mib, nobody_is_connected, serves};

/// Connections that each attack is made by at one time.
const ATTACKERS: usize = 8;
/// A connection that has said nothing of use is closed after ten seconds.
const ENDED_WITHIN: Duration = Duration::from_secs(20);
/// What an attack may take of the broker's memory while it lasts, and what all of them together may leave behind.
const TAKEN_MIB_MAX: u64 = 160;
const LEFT_MIB_MAX: u64 = 64;

struct Attack {
    name: &'static str,
    says: fn(&mut Chance) -> Vec<u8>,
    /// Whether the broker must hang up, though the attacker does not.
    ends: bool,
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "random bytes",
        says: |chance| [vec![0xff], random(chance, 4096)].concat(),
        ends: true,
    },
    Attack {
        name: "half a hello of TLS",
        says: |chance| {
            [
                b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(),
                random(chance, 20),
            ]
            .concat()
        },
        ends: true,
    },
    Attack {
        name: "a hello of TLS that is none",
        says: |chance| [b"\x16\x03\x01\x01\0".to_vec(), random(chance, 256)].concat(),
        ends: true,
    },
    Attack {
        name: "half a greeting of HTTP/2",
        says: |_| GREETING[..10].to_vec(),
        ends: true,
    },
    Attack {
        name: "random frames",
        says: |chance| [GREETING.to_vec(), random(chance, 64 << 10)].concat(),
        ends: true,
    },
    Attack {
        name: "a frame of 16 MiB",
        says: |_| [GREETING, b"\xff\xff\xff\0\0\0\0\0\x01"].concat(),
        ends: true,
    },
    Attack {
        name: "headers that never end",
        says: |_| {
            let mut all = GREETING.to_vec();
            all.extend(frame(HEADERS, 0, 1, &send_message_headers()));
            // Names and values of headers that nobody knows.
            let more = frame(CONTINUATION, 0, 1, &b"\0\x03abc\x7f\0".repeat(100));
            (0..20_000).for_each(|_| all.extend(&more));
            all
        },
        ends: true,
    },
    Attack {
        name: "streams that are taken back at once",
        says: |_| {
            let mut all = GREETING.to_vec();
            for stream in streams().take(50_000) {
                all.extend(frame(HEADERS, END_HEADERS, stream, &send_message_headers()));
                all.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
            }
            all
        },
        ends: false,
    },
    Attack {
        name: "more streams than there may be, none of which ends",
        says: |_| {
            let mut all = GREETING.to_vec();
            for stream in streams().take(5000) {
                all.extend(frame(HEADERS, END_HEADERS, stream, &send_message_headers()));
            }
            all
        },
        ends: false,
    },
    Attack {
        name: "pings whose answers nobody reads",
        says: |_| [GREETING.to_vec(), frame(PING, 0, 0, b"are you?").repeat(200_000)].concat(),
        ends: false,
    },
    Attack {
        name: "settings over and over",
        says: |_| [GREETING.to_vec(), frame(SETTINGS, 0, 0, &[]).repeat(100_000)].concat(),
        ends: false,
    },
    Attack {
        name: "bodies of nothing",
        says: |_| {
            let open = frame(HEADERS, END_HEADERS, 1, &send_message_headers());
            [GREETING.to_vec(), open, frame(DATA, 0, 1, &[]).repeat(200_000)].concat()
        },
        ends: false,
    },
    Attack {
        name: "a window beyond what there may be",
        says: |_| {
            let wider = frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes());
            [GREETING.to_vec(), wider.repeat(3)].concat()
        },
        ends: true,
    },
];

fn random(chance: &mut Chance, length: usize) -> Vec<u8> {
    (0..length).map(|_| chance.number() as u8).collect()
}

/// Says everything, then listens; answers whether the broker hung up.
fn attack(address: &str, bytes: &[u8], listen: Duration) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    // The broker may have heard enough, and may stop reading as long as its answers are not read.
    let _ = stream.write_all(bytes);
    let deadline = Instant::now() + listen;
    let mut heard = [0; 64 << 10];
    while Instant::now() < deadline {
        match stream.read(&mut heard) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return true,
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_bytes_come_the_broker_hangs_up_or_bears_them_and_serves_others() {
    let mut chance = Chance::new(seed::from_environment().unwrap());
    let broker = Setup::new().start().unwrap();
    serves(&broker).await;
    let (before, most_before) = (anonymous_mib(&broker), memory_mib(&broker));
    let address = broker.endpoint();
    for Attack { name, says, ends } in ATTACKS {
        let listen = if *ends {
            ENDED_WITHIN
        } else {
            Duration::from_secs(1)
        };
        let bytes: Vec<_> = (0..ATTACKERS).map(|_| says(&mut chance)).collect();
        let ended = std::thread::scope(|scope| {
            let attackers: Vec<_> = bytes
                .iter()
                .map(|bytes| scope.spawn(|| attack(&address, bytes, listen)))
                .collect();
            attackers
                .into_iter()
                .map(|attacker| attacker.join().unwrap())
                .collect::<Vec<_>>()
        });
        if *ends {
            assert!(ended.iter().all(|ended| *ended), "{name}: it does not hang up");
        }
        let taken = memory_mib(&broker).saturating_sub(most_before);
        println!("{name}: {taken} MiB");
        assert!(taken <= TAKEN_MIB_MAX, "{name}: {taken} MiB");
        serves(&broker).await;
    }
    nobody_is_connected(&broker);
    let left = anonymous_mib(&broker).saturating_sub(before);
    assert!(left <= LEFT_MIB_MAX, "{left} MiB are left of the attacks");
}
