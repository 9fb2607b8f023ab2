//! Facts and observations in, actions out, a row each. Specifications are numbers; 0 wants nothing in particular.

use super::*;

fn facts() -> Facts {
    Facts {
        noun: "topic",
        lost: "its messages are gone",
        object: "orders".to_owned(),
        cluster: "shop".to_owned(),
        deleting: false,
        finalized: false,
        paused: false,
        policy: DeletionPolicy::Retain,
        known_id: Some(7),
        was_in_sync: true,
    }
}

fn observed(object: Seen<u8>) -> Observed<u8> {
    Observed {
        owner: None,
        heir: None,
        cluster: ClusterState::Ready,
        object,
    }
}

fn present(spec: u8) -> Seen<u8> {
    Seen::Present(Present {
        id: 7,
        generation: 3,
        spec,
    })
}

fn difference(wanted: &u8, present: &u8) -> Option<u8> {
    (*wanted != 0 && wanted != present).then_some(*wanted)
}

/// The actions in short, and the state.
fn planned(facts: &Facts, wanted: Result<u8, String>, observed: &Observed<u8>) -> (String, State) {
    let plan = plan(facts, &wanted, observed, difference);
    let short = |action: &Action<u8>| match action {
        Action::AddFinalizer => "+".to_owned(),
        Action::RemoveFinalizer => "-".to_owned(),
        Action::Create(spec) => format!("create {spec}"),
        Action::Update { spec, generation } => format!("update {spec} on {generation}"),
        Action::Delete {
            only_if_empty: true,
            generation,
        } => format!("delete empty {generation}"),
        Action::Delete { generation, .. } => format!("delete {generation}"),
        Action::Tell(note) => note.reason.to_owned(),
    };
    let actions: Vec<_> = plan.actions.iter().map(short).collect();
    (actions.join(", "), plan.state)
}

/// What the resource says, wants and finds; the actions, and the change.
type Row<'a> = (&'a str, &'a Facts, u8, Seen<u8>, &'a str, Option<Change>);

fn converges(rows: Vec<Row<'_>>) {
    for (name, facts, wanted, object, actions, change) in rows {
        assert_eq!(
            planned(facts, Ok(wanted), &observed(object)),
            (actions.to_owned(), State::InSync(change)),
            "{name}"
        );
    }
}

#[test]
fn an_object_is_made_or_adopted() {
    let never = Facts {
        known_id: None,
        was_in_sync: false,
        ..facts()
    };
    let other = Facts {
        known_id: Some(6),
        ..facts()
    };
    use Change::{Adopted, Created};
    let made = "create 4, Created";
    let adopted = Some(Adopted);
    let both = "update 4 on 3, Adopted";
    converges(vec![
        ("new", &never, 4, Seen::Absent, made, Some(Created)),
        ("as wanted", &never, 4, present(4), "Adopted", adopted),
        ("otherwise", &never, 4, present(8), both, adopted),
        ("nothing wanted", &never, 0, present(8), "Adopted", adopted),
        ("made anew", &other, 4, present(4), "Adopted", adopted),
    ]);
}

#[test]
fn an_object_is_changed_and_put_right() {
    let changed = Facts {
        was_in_sync: false,
        ..facts()
    };
    use Change::{Restored, Reverted, Updated};
    let same = facts();
    let reverted = "update 5 on 3, Reverted";
    let updated = "update 5 on 3, Updated";
    let restored = "create 5, Reverted";
    converges(vec![
        ("nothing to do", &same, 4, present(4), "", None),
        ("wanted anew", &changed, 5, present(4), updated, Some(Updated)),
        ("drifted", &same, 5, present(4), reverted, Some(Reverted)),
        ("gone", &same, 5, Seen::Absent, restored, Some(Restored)),
    ]);
}

#[test]
fn nothing_is_changed_by_who_is_paused_or_has_not_the_name_or_asks_for_what_cannot_be() {
    let down = BrokerError::Unavailable("down".to_owned());
    let paused = Facts {
        paused: true,
        ..facts()
    };
    let taken = Observed {
        owner: Some("older".to_owned()),
        ..observed(present(8))
    };
    let no_cluster = Observed {
        cluster: ClusterState::Missing,
        ..observed(Seen::Unasked)
    };
    let going = Observed {
        cluster: ClusterState::Deleting,
        ..observed(Seen::Unasked)
    };
    let starting = Observed {
        cluster: ClusterState::NotReady("no address".to_owned()),
        ..observed(Seen::Unasked)
    };
    let failing = observed(Seen::Failed(down.clone()));
    let there = observed(present(8));
    let impossible = Err("impossible".to_owned());
    for (name, facts, wanted, observed, state) in [
        ("paused", &paused, Ok(4), &there, State::Paused),
        (
            "taken",
            &facts(),
            Ok(4),
            &taken,
            State::NameTaken("older".to_owned()),
        ),
        (
            "impossible",
            &facts(),
            impossible,
            &there,
            State::Invalid("impossible".to_owned()),
        ),
        ("no cluster", &facts(), Ok(4), &no_cluster, State::ClusterNotFound),
        ("cluster going", &facts(), Ok(4), &going, State::ClusterNotFound),
        (
            "cluster starting",
            &facts(),
            Ok(4),
            &starting,
            State::ClusterNotReady("no address".to_owned()),
        ),
        ("broker down", &facts(), Ok(4), &failing, State::Failed(down)),
    ] {
        assert_eq!(planned(facts, wanted, observed), (String::new(), state), "{name}");
    }
}

#[test]
fn the_finalizer_is_there_before_the_object_is_and_only_while_it_is_needed() {
    let delete = |finalized| Facts {
        policy: DeletionPolicy::Delete,
        finalized,
        known_id: None,
        ..facts()
    };
    let retain = Facts {
        finalized: true,
        ..facts()
    };
    let ready = observed(Seen::Absent);
    let taken = Observed {
        owner: Some("older".to_owned()),
        ..observed(present(4))
    };
    let gone = Observed {
        cluster: ClusterState::Missing,
        ..observed(Seen::Unasked)
    };
    let there = observed(present(4));
    for (name, facts, observed, actions) in [
        ("first", &delete(false), &ready, "+, create 4, Created"),
        ("there already", &delete(true), &ready, "create 4, Created"),
        ("the policy has changed", &retain, &there, "-"),
        ("not the owner", &delete(true), &taken, "-"),
        ("not the owner, never was", &delete(false), &taken, ""),
        ("the cluster is gone", &delete(true), &gone, "-"),
        ("there is no cluster yet", &delete(false), &gone, ""),
    ] {
        assert_eq!(planned(facts, Ok(4), observed).0, actions, "{name}");
    }
}

#[test]
fn a_resource_that_is_deleted_waits_for_what_its_policy_asks_for_and_no_longer() {
    let deleting = |policy| Facts {
        deleting: true,
        finalized: true,
        policy,
        ..facts()
    };
    let delete = deleting(DeletionPolicy::Delete);
    let if_empty = deleting(DeletionPolicy::DeleteIfEmpty);
    let retain = deleting(DeletionPolicy::Retain);
    let with = |change: fn(&mut Facts)| {
        let mut facts = deleting(DeletionPolicy::Delete);
        change(&mut facts);
        facts
    };
    let paused = with(|facts| facts.paused = true);
    let never = with(|facts| facts.known_id = None);
    let bare = with(|facts| facts.finalized = false);
    let (there, absent) = (observed(present(4)), observed(Seen::Absent));
    let down = BrokerError::Unavailable("down".to_owned());
    let failing = observed(Seen::Failed(down.clone()));
    let of_cluster = |cluster| Observed {
        cluster,
        ..observed(Seen::Unasked)
    };
    let (gone, going) = (
        of_cluster(ClusterState::Missing),
        of_cluster(ClusterState::Deleting),
    );
    let starting = of_cluster(ClusterState::NotReady("why".to_owned()));
    let heir = Observed {
        heir: Some("younger".to_owned()),
        ..observed(present(4))
    };
    let taken = Observed {
        owner: Some("older".to_owned()),
        ..observed(present(4))
    };
    let (deleted, waits) = (State::Deleted, State::ClusterNotReady("why".to_owned()));
    for (name, facts, observed, actions, state) in [
        ("delete", &delete, &there, "delete 3, -", &deleted),
        ("if empty", &if_empty, &there, "delete empty 3, -", &deleted),
        ("retain", &retain, &there, "-", &deleted),
        ("gone already", &delete, &absent, "-", &deleted),
        ("broker down", &delete, &failing, "", &State::Failed(down)),
        ("cluster starting", &delete, &starting, "", &waits),
        ("cluster gone", &delete, &gone, "Deleting, -", &deleted),
        ("cluster going", &if_empty, &going, "Deleting, -", &deleted),
        ("paused", &paused, &there, "Deleting, -", &deleted),
        ("an heir", &delete, &heir, "Deleting, -", &deleted),
        ("never the owner", &delete, &taken, "-", &deleted),
        ("never in sync", &never, &there, "-", &deleted),
        ("not ours to release", &bare, &there, "", &deleted),
    ] {
        assert_eq!(
            planned(facts, Ok(4), observed),
            (actions.to_owned(), state.clone()),
            "{name}"
        );
    }
}
