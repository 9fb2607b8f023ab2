//! What was delivered last before the broker went down.

use super::*;
use crate::command::Unanswered;

const RENEWED: u64 = 3 * 3600 * 1000;

fn renewed(bench: &mut Bench, client: &str, offset: u64) -> DeliveryId {
    let command = Deliver {
        auto_renew: true,
        invisible_ms: RENEWED,
        ..bench.taking(client, &[offset])
    };
    bench.deliver_with(command).delivery
}

fn bound(bench: &mut Bench, made_since: TimeMs) -> u32 {
    let command = Unanswered {
        id: bench.id,
        hidden_until_min: made_since + RENEWED,
        visible_in_ms: 60_000,
    };
    match bench.run(command.encode(bench.clock)) {
        Ok(Done::Released(count)) => count,
        other => panic!("released, not {other:?}"),
    }
}

#[test]
fn only_what_is_renewed_and_was_made_last_comes_back_early() {
    let mut bench = Bench::with_group(false);
    for _ in 0..4 {
        bench.send();
    }
    let long_ago = renewed(&mut bench, "a", 0);
    bench.clock += 10_001;
    let recent = renewed(&mut bench, "a", 1);
    renewed(&mut bench, "b", 2);
    let own_time = Deliver {
        invisible_ms: 2 * RENEWED,
        ..bench.taking("c", &[3])
    };
    bench.deliver_with(own_time);
    let went_down = bench.clock;
    bench.clock += 5_000;
    assert_eq!(bound(&mut bench, went_down - 10_000), 2);
    assert_eq!(bench.seen.ready.last(), Some(&(bench.id, bench.clock + 60_000)));
    let visible_in = |offset: u64| {
        let queue = bench.queue();
        let pending = queue.pending(QueueOffset(offset)).unwrap();
        pending.visible_at - bench.clock
    };
    assert_eq!((visible_in(1), visible_in(2)), (60_000, 60_000));
    assert_eq!(visible_in(0), RENEWED - 15_001);
    assert_eq!(visible_in(3), 2 * RENEWED - 5_000);
    assert_eq!(
        bound(&mut bench, went_down - 10_000),
        0,
        "a second start leaves them be"
    );
    assert!(bench.ack(1, recent), "whoever has it settles it as ever");
    assert!(bench.ack(0, long_ago));
    bench.clock += 60_000;
    assert_eq!(
        attempts(&bench.deliver("d", &[0, 1, 2, 3])),
        [2],
        "the one of client b"
    );
}

#[test]
fn nothing_stays_hidden_for_longer_by_being_bounded() {
    let mut bench = Bench::with_group(false);
    bench.send();
    renewed(&mut bench, "a", 0);
    bench.clock += RENEWED - 1;
    assert_eq!(bound(&mut bench, 0), 0);
    bench.clock += 1;
    assert_eq!(attempts(&bench.deliver("b", &[0])), [2]);
    assert_eq!(bench.release("a", 0), 0);
}
