//! Somebody else sets the replicas back.

use super::*;

#[test]
fn replicas_that_are_set_back_three_times_are_left_alone() {
    let mut run = Run::new(
        Policy {
            cooldown_seconds: 30,
            ..policy()
        },
        1,
    );
    for round in 0..3 {
        assert_eq!(run.at(round * 60, observed(1, 8000)).replicas, 8, "round {round}");
        run.replicas = 1;
    }
    let decision = run.at(180, observed(1, 8000));
    assert_eq!((decision.replicas, decision.reason), (1, Reason::Contended));
    assert_eq!(run.at(180 + 1799, observed(1, 8000)).reason, Reason::Contended);
    assert_eq!(
        run.at(180 + 1800, observed(1, 8000)).replicas,
        8,
        "it is tried again"
    );
}

/// Replicas that were set back three times, the last at 120 seconds, while people had said this.
fn contended(said: &Said) -> Run {
    let mut run = Run::new(policy(), 1);
    for round in 0..3 {
        let given = Observed {
            said: said.clone(),
            ..observed(1, 8000)
        };
        assert_eq!(run.at(round * 60, given).replicas, 8, "round {round}");
        run.replicas = 1;
    }
    run
}

#[test]
fn what_people_say_anew_ends_the_time_in_which_replicas_are_left_alone() {
    let said = |generation, asked: Option<&str>| Said {
        generation,
        asked: asked.map(str::to_owned),
    };
    let at_first = said(1, Some("first"));
    // What is said in the hold, and whether it ends.
    let rows = [
        (at_first.clone(), false),
        (said(2, Some("first")), true),
        (said(1, Some("second")), true),
        // An alert has taken the annotation's place, or somebody has taken it away.
        (said(1, None), false),
    ];
    for (later, ends) in rows {
        for restarts in [false, true] {
            let mut run = contended(&at_first);
            let given = |said: &Said| Observed {
                said: said.clone(),
                ..observed(1, 8000)
            };
            assert_eq!(run.at(180, given(&at_first)).reason, Reason::Contended);
            if restarts {
                run.history = History::resumed(run.history.lasting(Time(NOW.0 + 180)));
            }
            let decision = run.at(185, given(&later));
            let wanted = if ends {
                (8, Reason::Lag)
            } else {
                (1, Reason::Contended)
            };
            assert_eq!(
                (decision.replicas, decision.reason),
                wanted,
                "{later:?} {restarts}"
            );
            let asked_again = run.at(190, given(&at_first)).reason;
            assert_eq!(asked_again == Reason::Contended, !ends, "{later:?} {restarts}");
        }
    }
}

#[test]
fn after_an_answer_three_times_are_counted_anew() {
    let said = |generation| Said {
        generation,
        asked: None,
    };
    let mut run = contended(&said(1));
    let given = Observed {
        said: said(1),
        ..observed(1, 8000)
    };
    assert_eq!(run.at(125, given).reason, Reason::Contended);
    for round in 0..3 {
        let given = Observed {
            said: said(2),
            ..observed(1, 8000)
        };
        let decision = run.at(180 + round * 60, given);
        assert_eq!(decision.replicas, 8, "round {round}: {}", decision.sentence);
        run.replicas = 1;
    }
    let given = Observed {
        said: said(2),
        ..observed(1, 8000)
    };
    assert_eq!(run.at(360, given).reason, Reason::Contended);
}

#[test]
fn who_sets_replicas_back_is_named() {
    let mut run = contended(&Said::default());
    let writer = ReplicasWriter {
        name: "argocd-controller".to_owned(),
        operation: "Apply".to_owned(),
        subresource: None,
        at: None,
    };
    let known = Observed {
        writer: Some(writer),
        ..observed(1, 8000)
    };
    let sentence = run.at(180, known).sentence;
    assert!(sentence.starts_with("argocd-controller sets"), "{sentence}");
    let sentence = run.at(185, observed(1, 8000)).sentence;
    assert!(sentence.starts_with("somebody sets"), "{sentence}");
}

#[test]
fn a_person_who_sets_replicas_now_and_then_is_no_contender() {
    let mut run = Run::new(
        Policy {
            cooldown_seconds: 30,
            ..policy()
        },
        1,
    );
    for round in 0..6 {
        let decision = run.at(round * 151, observed(1, 8000));
        assert_eq!(
            (decision.replicas, decision.reason),
            (8, Reason::Lag),
            "round {round}"
        );
        run.replicas = 1;
    }
}
