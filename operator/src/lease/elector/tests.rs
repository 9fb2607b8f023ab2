//! The decisions as a table, and replicas that race for one Lease.

use super::*;
use proptest::prelude::*;

const TERMS: Terms = Terms {
    duration: Duration::from_secs(15),
    renew_within: Duration::from_secs(10),
    retry: Duration::from_secs(2),
};

fn at(seconds: u64) -> Moment {
    Duration::from_secs(seconds)
}

fn held_by(holder: &str, renewal: i64) -> Record {
    Record {
        holder: Some(holder.to_owned()),
        duration: Some(TERMS.duration),
        transitions: 4,
        renewed_us: Some(renewal),
    }
}

fn released() -> Record {
    Record {
        holder: None,
        duration: Some(Duration::from_secs(1)),
        transitions: 4,
        renewed_us: Some(1),
    }
}

fn write(transitions: i32) -> Action {
    Action::Write { transitions }
}

#[test]
fn a_follower_takes_what_is_free_or_has_expired() {
    let (first, second) = (held_by("other", 1), held_by("other", 2));
    let short = Record {
        duration: Some(Duration::from_secs(3)),
        ..held_by("other", 1)
    };
    let silent = Record {
        duration: None,
        ..held_by("other", 1)
    };
    let free = released();
    use Observed::{Absent, Found, Unknown};
    type Steps<'a> = &'a [(u64, Observed<'a>, Action)];
    let rows: &[(&str, Steps<'_>)] = &[
        ("no lease", &[(0, Absent, write(0))]),
        ("released", &[(0, Found(&free), write(5))]),
        (
            "held and silent",
            &[
                (0, Found(&first), Action::Wait),
                (14, Found(&first), Action::Wait),
                (15, Found(&first), write(5)),
            ],
        ),
        (
            "held and renewed",
            &[
                (0, Found(&first), Action::Wait),
                (14, Found(&second), Action::Wait),
                (28, Found(&second), Action::Wait),
                (29, Found(&second), write(5)),
            ],
        ),
        (
            "its holder has promised less",
            &[(0, Found(&short), Action::Wait), (3, Found(&short), write(5))],
        ),
        (
            "its holder has promised nothing",
            &[(0, Found(&silent), Action::Wait), (15, Found(&silent), write(5))],
        ),
        (
            "nobody can say",
            &[
                (0, Found(&first), Action::Wait),
                (20, Unknown, Action::Wait),
                (21, Found(&first), write(5)),
            ],
        ),
    ];
    for (name, steps) in rows {
        let mut elector = Elector::new("me".to_owned(), TERMS);
        for (seconds, observed, wanted) in *steps {
            assert_eq!(
                elector.step(*observed, at(*seconds)),
                *wanted,
                "{name} at {seconds}"
            );
            assert_eq!(elector.leads_until(), None, "{name} at {seconds}");
        }
    }
}

#[test]
fn a_leader_renews_until_somebody_else_holds_it_or_time_is_up() {
    let (mine, other, free) = (held_by("me", 1), held_by("other", 2), released());
    use Observed::{Absent, Found, Unknown};
    for (name, seconds, observed, wanted) in [
        ("its own", 2, Found(&mine), write(4)),
        ("its own, late", 9, Found(&mine), write(4)),
        (
            "its own, too late",
            10,
            Found(&mine),
            Action::Lost(Loss::NotRenewed),
        ),
        ("nobody can say", 9, Unknown, Action::Wait),
        (
            "nobody can say for too long",
            10,
            Unknown,
            Action::Lost(Loss::NotRenewed),
        ),
        ("deleted", 2, Absent, write(0)),
        ("emptied", 2, Found(&free), write(4)),
        (
            "taken",
            2,
            Found(&other),
            Action::Lost(Loss::TakenBy("other".to_owned())),
        ),
    ] {
        let mut elector = Elector::new("me".to_owned(), TERMS);
        elector.written(at(0));
        assert_eq!(elector.leads_until(), Some(at(10)));
        assert_eq!(elector.step(observed, at(seconds)), wanted, "{name}");
        let lost = matches!(wanted, Action::Lost(_));
        assert_eq!(elector.leads_until().is_none(), lost, "{name}");
    }
}

/// The Lease as the API server keeps it, and what a replica has read of it and not yet written.
#[derive(Default)]
struct World {
    lease: Option<Record>,
    version: u64,
    time: Moment,
}

struct Replica {
    elector: Elector,
    /// What it wants to write, the version that it has read, and when it began.
    pending: Option<(i32, u64, Moment)>,
    gone: bool,
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    /// A replica reads the Lease and decides.
    Read(usize),
    /// Its read fails.
    Fail(usize),
    /// What it has decided to write arrives.
    Arrive(usize),
    /// What it has decided to write is lost.
    Drop(usize),
    /// Time goes on.
    Pass(u64),
    /// The Lease is deleted by somebody who must not.
    Delete,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let replica = || 0..3_usize;
    let one = prop_oneof![
        6 => replica().prop_map(Happening::Read),
        1 => replica().prop_map(Happening::Fail),
        6 => replica().prop_map(Happening::Arrive),
        1 => replica().prop_map(Happening::Drop),
        5 => (1..6_000_u64).prop_map(Happening::Pass),
    ];
    proptest::collection::vec(one, 1..400)
}

impl World {
    fn happen(&mut self, replicas: &mut [Replica], happening: Happening) {
        match happening {
            Happening::Pass(ms) => self.time += Duration::from_millis(ms),
            Happening::Delete => self.lease = None,
            Happening::Drop(who) => replicas[who].pending = None,
            Happening::Fail(who) => self.decide(&mut replicas[who], Observed::Unknown),
            Happening::Read(who) => {
                let lease = self.lease.clone();
                let observed = lease.as_ref().map_or(Observed::Absent, Observed::Found);
                self.decide(&mut replicas[who], observed);
            }
            Happening::Arrive(who) => self.arrive(&mut replicas[who]),
        }
    }

    fn decide(&self, replica: &mut Replica, observed: Observed<'_>) {
        // A process ends when it has lost the Lease.
        if replica.gone {
            return;
        }
        match replica.elector.step(observed, self.time) {
            Action::Write { transitions } => {
                replica.pending = Some((transitions, self.version, self.time));
            }
            Action::Wait => replica.pending = None,
            Action::Lost(_) => replica.gone = true,
        }
    }

    fn arrive(&mut self, replica: &mut Replica) {
        let Some((transitions, version, began)) = replica.pending.take() else {
            return;
        };
        if version != self.version || replica.gone {
            return;
        }
        self.version += 1;
        self.lease = Some(Record {
            holder: Some(replica.elector.identity().to_owned()),
            duration: Some(TERMS.duration),
            transitions,
            renewed_us: Some(i64::try_from(began.as_micros()).unwrap()),
        });
        replica.elector.written(began);
    }
}

fn replica(number: usize) -> Replica {
    Replica {
        elector: Elector::new(format!("replica-{number}"), TERMS),
        pending: None,
        gone: false,
    }
}

fn replicas() -> Vec<Replica> {
    (0..3).map(replica).collect()
}

proptest! {
    #[test]
    fn never_do_two_replicas_lead_at_a_time(happenings in happenings()) {
        let mut world = World::default();
        let mut replicas = replicas();
        for happening in happenings {
            world.happen(&mut replicas, happening);
            let leading = replicas.iter().filter(|replica| {
                !replica.gone && replica.elector.leads_until().is_some_and(|until| world.time < until)
            });
            prop_assert!(leading.count() <= 1);
        }
    }

    #[test]
    fn while_one_replica_is_left_alone_it_leads_in_the_end(happenings in happenings()) {
        let mut world = World::default();
        let mut replicas = replicas();
        for happening in happenings {
            world.happen(&mut replicas, happening);
        }
        for number in 3..33 {
            // One that has ended is started again, under another name.
            if replicas[0].gone {
                replicas[0] = replica(number);
            }
            world.happen(&mut replicas, Happening::Read(0));
            world.happen(&mut replicas, Happening::Arrive(0));
            world.happen(&mut replicas, Happening::Pass(2_000));
        }
        let leads = replicas[0].elector.leads_until().is_some_and(|until| world.time < until);
        prop_assert!(leads);
    }
}

#[test]
fn a_lease_that_is_deleted_is_written_again_by_its_holder() {
    let mut world = World::default();
    let mut replicas = replicas();
    for happening in [
        Happening::Read(0),
        Happening::Arrive(0),
        Happening::Pass(2_000),
        Happening::Delete,
        Happening::Read(0),
        Happening::Arrive(0),
    ] {
        world.happen(&mut replicas, happening);
    }
    assert_eq!(world.lease.unwrap().holder.as_deref(), Some("replica-0"));
}
