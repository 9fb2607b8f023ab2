//! Groups whose parts no checkpoint has whole any more: the log tells who they were, from a checkpoint of before they were made on.
//! And state that no command brings back.
//!
//! `SLUICE_SEED` sets the seed.
#![cfg(test)]

mod lost_state;
mod repairs;
mod workload;

use lost_state::*;
use repairs::*;
use sluice_core::command::{
    Command, CreateGroup, DeleteGroup, EncodedCommand, GroupSpec, PutGroup, Subscribe, Terms,
};
use sluice_core::ids::{GroupId, TopicId};
use sluice_core::state::Done;
use sluice_store::CheckpointPolicy;
use sluice_store::io::{FaultyIo, LogIo};
use sluice_store::log::Frame;
use std::path::PathBuf;
use std::time::Duration;
use workload::{Dice, Driver};

/// A store that was killed, with groups that were made between its checkpoints.
struct Late {
    io: FaultyIo,
    /// Where the last checkpoint stands that is older than the groups.
    before: u64,
    /// Where the newest one stands.
    newest: u64,
}

const KEPT: &str = "late-kept";
const CHANGED: &str = "late-changed";
const DELETED: &str = "late-deleted";
/// How many attempts [`CHANGED`] has in the end.
const ATTEMPTS: u16 = 5;

/// Rounds until a checkpoint stands behind everything that has been asked so far.
fn until_the_next(driver: &mut Driver) {
    driver.opened.store.set_checkpoint_policy(CheckpointPolicy {
        bytes: CHECKPOINT_BYTES,
        every: Duration::from_secs(1_000),
    });
    let asked = driver.opened.store.log().positions().written();
    let is_so = |driver: &Driver| driver.opened.store.stats().2.newest().position > asked;
    driver.send_until(2_000, is_so).unwrap();
    driver.opened.store.set_checkpoint_policy(CheckpointPolicy {
        bytes: 1 << 30,
        every: Duration::from_secs(1_000),
    });
}

fn ask(driver: &Driver, command: EncodedCommand) -> Done {
    let done = driver.ask([command].into_iter().collect()).unwrap();
    done.into_iter().next().unwrap().unwrap()
}

fn late(seed: u64) -> Late {
    let mut tries = (0..10).filter_map(|more| late_once(seed + more * 1000));
    tries
        .next()
        .expect("a store with nothing between two checkpoints")
}

/// `None` if a segment ended meanwhile, and a checkpoint stands where the next one begins.
fn late_once(seed: u64) -> Option<Late> {
    let io = FaultyIo::new(seed);
    let mut driver = Driver::new(start(&io).unwrap(), seed).without_administrators();
    driver.make().unwrap();
    until_the_next(&mut driver);
    (0..3).for_each(|_| driver.round(2_000).unwrap());
    let mut deleted = None;
    for name in [DELETED, KEPT, CHANGED] {
        let made = ask(&driver, CreateGroup::on_first_use(name).encode(2_000));
        let Done::Group(group) = made else {
            panic!("{name}: {made:?}");
        };
        deleted.get_or_insert(group);
        let topic = TopicId(0);
        ask(&driver, Subscribe { group, topic }.encode(2_000));
    }
    (0..3).for_each(|_| driver.round(2_000).unwrap());
    let changed = PutGroup {
        spec: GroupSpec {
            max_attempts: ATTEMPTS,
            ..GroupSpec::on_first_use(CHANGED)
        },
        terms: Terms::default(),
    };
    ask(&driver, changed.encode(2_000));
    let delete = DeleteGroup {
        group: deleted.unwrap(),
        only_if_empty: false,
        terms: Terms::default(),
    };
    ask(&driver, delete.encode(2_000));
    until_the_next(&mut driver);
    let io = io.crash_keeping_all();
    driver.opened.store.close().unwrap();
    let stand = look(&io).checkpoints.into_iter();
    let stand: Vec<u64> = stand.map(|checkpoint| checkpoint.position.physical.0).collect();
    let [.., before, newest] = stand[..] else {
        return None;
    };
    let late = Late { io, before, newest };
    let made = late.frames().into_iter().flat_map(|(_, made)| made).count();
    (made == 3).then_some(late)
}

impl Late {
    /// The frames between both checkpoints, with the groups that each of them makes.
    fn frames(&self) -> Vec<(Frame, Vec<String>)> {
        let between = self.before..self.newest;
        let frames = frames(&self.io.crash_keeping_all()).into_iter();
        let frames = frames.filter(|frame| between.contains(&frame.start().0));
        frames
            .map(|frame| {
                let made = frame
                    .commands()
                    .filter_map(|(_, _, bytes)| match Command::decode(&bytes) {
                        Ok((_, Command::CreateGroup(made))) => Some(made.name),
                        _ => None,
                    });
                let made = made.collect();
                (frame, made)
            })
            .collect()
    }

    /// The id that a group had.
    fn id(&self, name: &str) -> u32 {
        let opened = start(&self.io.crash_keeping_all()).unwrap();
        let id = opened.store.tables().group(name).unwrap().id.0;
        opened.store.close().unwrap();
        id
    }

    /// A copy in which every version of the group's part is damaged, and one frame of the log.
    fn without(&self, id: u32, frame: &Frame) -> FaultyIo {
        let io = damaged_in(&self.io, (2, [id, 0, 0]));
        let bases = look(&self.io).log.segments.into_iter();
        let bases: Vec<u64> = bases.map(|segment| segment.base.0).collect();
        damage_frame(&io, &bases, frame, &mut Dice(seed()));
        io
    }
}

#[test]
fn a_group_is_what_the_log_says_where_it_was_made_behind_an_older_checkpoint() {
    let late = late(seed());
    let frames = late.frames();
    let made = frames.iter().position(|(_, made)| !made.is_empty()).unwrap();
    let last = frames.iter().rposition(|(_, made)| !made.is_empty()).unwrap();
    for name in [KEPT, CHANGED] {
        let id = late.id(name);
        for damaged in [made - 1, last + 3] {
            let io = late.without(id, &frames[damaged].0);
            let told = goes_on(&io);
            let wanted = format!("group {name}: its settings are those that the log tells");
            assert!(told.len() == 1 && told[0].starts_with(&wanted), "{told:?}");
            let opened = start(&io).unwrap();
            let tables = opened.store.tables();
            let group = tables.group(name).expect("the group");
            assert_eq!(group.id.0, id);
            if name == CHANGED {
                assert_eq!(group.spec.max_attempts, ATTEMPTS);
            }
            assert!(tables.subscription(group.id, TopicId(0)).is_some(), "its place");
            assert!(tables.group(DELETED).is_none());
            opened.store.close().unwrap();
            assert_eq!(look(&io).refused, None);
        }
    }
}

#[test]
fn a_group_whose_making_is_lost_too_gets_the_name_of_no_other() {
    let late = late(seed());
    let frames = late.frames();
    let made = frames.iter().filter(|(_, made)| !made.is_empty());
    for (lost, other) in [(KEPT, CHANGED), (CHANGED, KEPT)] {
        let id = late.id(lost);
        for (frame, made) in made.clone() {
            let io = late.without(id, frame);
            let told = goes_on(&io);
            // What was made before it stands: the last one is made again by its change, and nothing else is.
            let wanted = match (lost, made[0].as_str()) {
                (KEPT, CHANGED) => format!("group {KEPT}: its settings"),
                _ => format!("group with the id {id}: nothing tells its name"),
            };
            assert!(told.len() == 1 && told[0].starts_with(&wanted), "{told:?}");
            let opened = start(&io).unwrap();
            let tables = opened.store.tables();
            let name = tables
                .group_by_id(GroupId(id))
                .map(|group| group.spec.name.clone());
            assert!(name.is_none_or(|name| name == lost));
            assert_eq!(tables.group(other).unwrap().id.0, late.id(other));
            assert!(tables.group(DELETED).is_none());
            opened.store.close().unwrap();
        }
    }
}

#[test]
fn where_the_log_does_not_lead_on_to_a_newer_checkpoint_only_a_backup_is_named() {
    let (whole, _) = trimmed(seed(), 2);
    let part = parts(&whole)
        .into_iter()
        .map(|(part, ..)| part)
        .find(|part| part.0 == 3);
    let io = without(&whole, part.unwrap());
    let roots = names(&io, "root");
    let stands = |root: &PathBuf| -> u64 { root.file_stem().unwrap().to_str().unwrap().parse().unwrap() };
    let (newest, earlier) = roots.split_last().unwrap();
    flip(&io, newest, 30, 1);
    let all = frames(&whole.crash_keeping_all());
    let behind = |root: &PathBuf| {
        let mut behind = all.iter().filter(|frame| frame.start().0 > stands(root));
        behind.find(|frame| frame.end().0 < stands(newest))
    };
    // The last two may stand one behind the other.
    let readable = earlier.iter().rposition(|root| behind(root).is_some()).unwrap();
    for root in &earlier[readable + 1..] {
        io.remove(root).unwrap();
    }
    let between = behind(&earlier[readable]).unwrap();
    let found = look(&whole).log;
    let bases: Vec<u64> = found.segments.iter().map(|segment| segment.base.0).collect();
    damage_frame(&io, &bases, between, &mut Dice(seed()));
    let said = start(&io).err().expect("a start without state").to_string();
    assert!(
        said.contains("no command helps") && said.contains("from a backup"),
        "{said}"
    );
    assert!(!said.contains("sluicectl log repair"), "{said}");
    assert_eq!(look(&io).refused, Some(said));
    // It is true: neither of both does.
    let of_state = plan_of(&io).unwrap_err().to_string();
    assert!(of_state.contains("no checkpoint has a root"), "{of_state}");
    let of_log = planned(&io, &wanted(&io), false).unwrap_err().to_string();
    assert!(of_log.contains("no whole checkpoint stands before"), "{of_log}");
}
