//! A process that stands still under load, as a machine that is moved or swaps does.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sluice_tests::process::{Broker, Setup};
use sluice_tests::workload::{Shape, Workload, init_yaml};
use sluice_tests::{seed, wait};

const PAUSE: Duration = Duration::from_secs(30);
const GOES_ON_WITHIN: Duration = Duration::from_secs(30);
const DELIVERED_WITHIN: Duration = Duration::from_secs(90);
/// Sends that show that clients are at work.
const SENDS: u64 = 500;

fn signal(broker: &Broker, signal: Signal) {
    let id = Pid::from_raw(broker.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}

async fn works(workload: &Workload) {
    let before = workload.verdict().count.acknowledged_sends;
    let more = || workload.verdict().count.acknowledged_sends > before + SENDS;
    wait::until_true_async("clients send", GOES_ON_WITHIN, more)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_stood_still_goes_on_with_its_clients_and_nothing_is_lost_or_comes_twice() {
    let seed = seed::from_environment().unwrap();
    let broker = Setup::new().init(&init_yaml()).start().unwrap();
    let shape = Shape {
        sends_a_second: 600,
        producers: 8,
        consumers: 2,
        push_consumers: 1,
    };
    let workload = Workload::start(&broker.endpoint(), &shape, seed).unwrap();
    workload.gate().open();
    works(&workload).await;
    signal(&broker, Signal::STOP);
    // The fault, not a wait for something.
    tokio::time::sleep(PAUSE).await;
    let meanwhile = workload.verdict().count;
    signal(&broker, Signal::CONT);
    works(&workload).await;
    let verdict = workload.finish(DELIVERED_WITHIN).await.unwrap();
    println!(
        "{PAUSE:?} of standstill, {} calls lost by then: {verdict}",
        meanwhile.unknown_sends
    );
    assert!(verdict.is_clean(), "{verdict}");
}
