//! A model test: random steps of producers, consumers, clocks and crashes against `State` and `Plan`, compared after
//! each step with a simple model that was written from the requirements.
//!
//! `PROPTEST_CASES` says how many cases run, `PROPTEST_RNG_SEED` repeats a run: a failure prints its seed.
#![cfg(test)]

#[path = "model/administer.rs"]
mod administer;
#[path = "model/choice.rs"]
mod choice;
mod common;
#[path = "model/compare.rs"]
mod compare;
#[path = "model/drain.rs"]
mod drain;
#[path = "model/machine.rs"]
mod machine;
#[path = "model/node.rs"]
mod node;
#[path = "model/receive.rs"]
mod receive;
#[path = "model/reference.rs"]
mod reference;
#[path = "model/retention.rs"]
mod retention;
#[path = "model/settling.rs"]
mod settling;
#[path = "model/steps.rs"]
mod steps;

use machine::{Fault, Machine};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use reference::Model;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Cases of a run, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 400;
/// Steps of one case.
const STEPS: std::ops::Range<usize> = 1..120;

fn config(cases: u32) -> Config {
    let mut config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(RandomState::new().build_hasher().finish());
    }
    println!(
        "{} cases; repeat with PROPTEST_RNG_SEED={}",
        config.cases, config.rng_seed
    );
    config
}

#[test]
fn state_and_plan_do_what_the_model_does() {
    let config = config(CASES);
    let strategy = Model::sequential_strategy(STEPS);
    let result = TestRunner::new(config.clone()).run(&strategy, |(model, steps, seen)| {
        Machine::<{ Fault::NONE }>::test_sequential(config.clone(), model, steps, seen);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Cases within which a fault is noticed. The rarest shows in one of a hundred or so, and the search ends with the first.
const CASES_TO_NOTICE: u32 = 8_000;

/// The comparison must notice a harness that is broken on purpose.
fn notices<const FAULT: u8>() {
    let config = config(CASES_TO_NOTICE);
    let strategy = Model::sequential_strategy(STEPS);
    let mut runner = TestRunner::new(config.clone());
    let noticed = (0..CASES_TO_NOTICE).position(|_| {
        let (model, steps, seen) = strategy.new_tree(&mut runner).unwrap().current();
        let case = || Machine::<FAULT>::test_sequential(config.clone(), model, steps, seen);
        catch_unwind(AssertUnwindSafe(case)).is_err()
    });
    let case = noticed.expect("the comparison did not notice the fault");
    println!("noticed in case {case}");
}

#[test]
fn it_notices_an_acknowledgement_that_ends_a_second_message() {
    notices::<{ Fault::ACK_ENDS_ANOTHER }>();
}

#[test]
fn it_notices_an_acknowledgement_that_is_lost() {
    notices::<{ Fault::ACK_IS_LOST }>();
}

#[test]
fn it_notices_attempts_that_are_not_counted() {
    notices::<{ Fault::ATTEMPT_NOT_COUNTED }>();
}

#[test]
fn it_notices_reservations_that_are_forgotten() {
    notices::<{ Fault::RESERVATION_FORGOTTEN }>();
}

#[test]
fn it_notices_offers_that_are_never_given_back() {
    notices::<{ Fault::NEVER_GIVEN_BACK }>();
}

#[test]
fn it_notices_a_restart_that_forgets_the_last_frame() {
    notices::<{ Fault::RESTART_FORGETS }>();
}

#[test]
fn it_notices_a_move_that_receives_do_not_hear_of() {
    notices::<{ Fault::MOVE_IS_UNHEARD }>();
}

#[test]
fn it_notices_a_choice_that_outlives_a_move_back() {
    notices::<{ Fault::CHOICE_OUTLIVES_MOVE }>();
}

#[test]
fn it_notices_a_message_that_is_not_carried() {
    notices::<{ Fault::CARRY_IS_LEFT_OUT }>();
}
