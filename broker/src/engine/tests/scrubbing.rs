//! The rounds of the scrub, by a clock that goes on whenever everybody waits.

use super::retention::BODY;
use super::*;

const RATE: u64 = 64 << 10;
const HOUR: Duration = Duration::from_secs(3600);
/// A start has other things to do.
const FIRST: Duration = Duration::from_secs(30);
/// What a piece comes to at most, with a segment that is begun in it; nothing waits behind the last one.
const PIECE: u64 = (1 << 20) + (256 << 10);

impl Fixture {
    fn scrub_at(&self, rate: u64) {
        let rate = ("scrubBytesPerSecond".to_owned(), Some(rate.to_string()));
        self.engine.live().set(&[rate]).unwrap();
    }

    /// Waits until so many rounds have ended, and answers how long that took.
    async fn rounds(&self, rounds: u64) -> Duration {
        let begun = Instant::now();
        while self.engine.scrub().rounds() < rounds {
            assert!(begun.elapsed() < 25 * HOUR, "a round a day");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        begun.elapsed()
    }
}

#[tokio::test]
async fn a_round_of_the_scrub_takes_what_its_rate_says_names_damage_and_comes_once_a_day() {
    let setup = Setup {
        segment_bytes: 256 << 10,
        ring_bytes: 0,
        ..Setup::default()
    };
    let io = Arc::clone(&setup.io);
    let at = setup.make().await;
    while at.engine.store().log().segments() < 20 {
        at.send(&"x".repeat(BODY), None).await;
    }
    at.flip(&io, 0).await;
    at.scrub_at(RATE);
    tokio::time::pause();
    tokio::spawn(crate::scrub::follow(Arc::clone(&at.engine)));

    let took = at.rounds(1).await;
    let bytes = at.engine.scrub().bytes();
    assert!(bytes > 4 << 20, "{bytes} of 19 segments");
    let least = FIRST + Duration::from_secs((bytes - PIECE) / RATE);
    assert!(took >= least, "{bytes} bytes after {took:?}");
    let most = FIRST + Duration::from_secs(bytes / RATE + 2);
    assert!(took <= most, "{bytes} bytes after {took:?}");
    assert_eq!(at.engine.scrub().findings()[0], ("log", 1));

    tokio::time::sleep(23 * HOUR).await;
    assert_eq!(at.engine.scrub().rounds(), 1, "a round a day");
    at.rounds(2).await;
    at.scrub_at(0);
    tokio::time::sleep(100 * HOUR).await;
    assert_eq!(at.engine.scrub().rounds(), 2, "never at a rate of 0");
    at.scrub_at(RATE);
    at.rounds(3).await;
    assert_eq!(at.engine.scrub().findings()[0], ("log", 3), "each round finds it");
}
