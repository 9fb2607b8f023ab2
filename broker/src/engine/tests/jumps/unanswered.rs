//! Deliveries that nobody may have been given (docs/adr/0002-unanswered-deliveries.md), which come a minute after the start, where the clock was
//! set.

use super::*;

const HIDDEN_MS: u64 = 60_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_answered_comes_a_minute_after_a_start_whenever_and_whichever_way_the_clock_is_set() {
    let hour = HOUR_MS as i64;
    for (while_down, by) in [(true, hour), (true, -hour), (false, hour), (false, -hour)] {
        let case = format!("set by {by}, {}", if while_down { "while down" } else { "later" });
        let (io, clocks) = (FaultyIo::new(1), Clocks::still());
        let renewed_for = Hides::Renewal.hide(&start(&io, &clocks)).await;
        assert!(renewed_for > 2 * HIDDEN_MS, "it would be hidden for long");
        let io = io.crash_keeping_all();
        if while_down {
            clocks.set(by);
        }
        let engine = start(&io, &clocks);
        assert_eq!(engine.take_back().await.unwrap(), 1, "{case}");
        // What passes counts for catching up, as above.
        let mut caught_up = 0;
        if !while_down {
            clocks.set(by);
            caught_up = if by > 0 { HIDDEN_MS / 2_000 } else { 0 };
        }
        pass_read(&engine, &clocks, HIDDEN_MS - caught_up - 1);
        assert!(ready(&engine).await.is_empty(), "{case}: early");
        clocks.pass(if caught_up > 0 { 3 } else { 1 });
        assert_eq!(ready(&engine).await, ["x"], "{case}: stuck");
    }
}
