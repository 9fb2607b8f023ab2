//! The steps that a case is made of. Numbers in them are taken modulo what there is, so that each step fits
//! any model and a shrunk case stays a case.

use super::reference::Model;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use sluice_core::command::Change;

/// How a proposal ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// It is applied, and the proposer hears of it.
    Applied,
    /// It never comes into the log.
    Failed,
    /// It is applied, but the proposer never hears of it.
    Unknown,
}

/// What a receive asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    pub group: u8,
    pub topic: u8,
    pub queue: u8,
    pub client: u8,
    pub max: usize,
    /// The client's attempt, 0 for none.
    pub attempt: u8,
    pub renewed: bool,
    pub invisible_ms: u64,
}

/// How a group is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupSpec {
    pub fifo: bool,
    pub max_attempts: u16,
    /// The tag that it takes; none takes all.
    pub filter: Option<u8>,
    pub latest: bool,
}

/// Where a group is moved in a queue.
#[derive(Clone, Copy, Debug)]
pub enum MoveTo {
    Latest,
    Newest(u64),
    /// Of the offsets that there are, and some beyond.
    Offset(u8),
}

/// What retention carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Carries {
    Nothing,
    /// What is in flight or waits for another attempt, and dead letters.
    Waiting,
    /// The first topic, whole.
    Topic,
}

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    CreateTopic {
        name: u8,
        queues: u32,
    },
    CreateGroup {
        name: u8,
        spec: GroupSpec,
    },
    Send {
        topic: u8,
        queue: u8,
        group: Option<u8>,
        tag: Option<u8>,
    },
    Plan(Ask),
    Conclude {
        plan: u8,
        fate: Fate,
    },
    Settle {
        picks: Vec<u8>,
        change: Change,
    },
    GiveUp {
        pick: u8,
    },
    Release {
        hold: u8,
        client: u8,
        visible_in_ms: u64,
    },
    Grow {
        topic: u8,
        more: u32,
    },
    Close {
        topic: u8,
        closed: bool,
    },
    DeleteTopic {
        topic: u8,
    },
    PutGroup {
        group: u8,
        fifo: bool,
        max_attempts: u16,
    },
    DeleteGroup {
        group: u8,
    },
    Move {
        hold: u8,
        to: MoveTo,
    },
    /// The oldest records leave, up to this part in 200 of all.
    Retain {
        part: u8,
        carries: Carries,
    },
    Tick(i64),
    Snapshot,
    Restart,
}

impl ReferenceStateMachine for Model {
    type State = Model;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Model> {
        Just(Model::start()).boxed()
    }

    fn transitions(_: &Model) -> BoxedStrategy<Step> {
        prop_oneof![
            1 => (0..4_u8, 1..3_u32).prop_map(|(name, queues)| Step::CreateTopic { name, queues }),
            1 => (0..5_u8, group_spec()).prop_map(|(name, spec)| Step::CreateGroup { name, spec }),
            14 => send(),
            10 => ask().prop_map(Step::Plan),
            14 => (any::<u8>(), fate()).prop_map(|(plan, fate)| Step::Conclude { plan, fate }),
            10 => settle(),
            2 => any::<u8>().prop_map(|pick| Step::GiveUp { pick }),
            2 => release(),
            4 => administer(),
            2 => retain(),
            7 => tick(),
            1 => Just(Step::Snapshot),
            1 => Just(Step::Restart),
        ]
        .boxed()
    }

    fn apply(mut model: Model, step: &Step) -> Model {
        model.step(step);
        model
    }
}

fn group_spec() -> impl Strategy<Value = GroupSpec> {
    let filter = prop_oneof![2 => Just(None), 1 => Just(Some(0))];
    (any::<bool>(), 1..4_u16, filter, any::<bool>()).prop_map(|(fifo, max_attempts, filter, latest)| {
        GroupSpec {
            fifo,
            max_attempts,
            filter,
            latest,
        }
    })
}

fn send() -> impl Strategy<Value = Step> {
    let group = prop_oneof![1 => Just(None), 2 => (0..3_u8).prop_map(Some)];
    let tag = prop_oneof![1 => Just(None), 3 => (0..2_u8).prop_map(Some)];
    (any::<u8>(), any::<u8>(), group, tag).prop_map(|(topic, queue, group, tag)| Step::Send {
        topic: mostly_first(topic),
        queue,
        group,
        tag,
    })
}

/// Half of all steps meet in the first topic or group, so that something happens there.
fn mostly_first(number: u8) -> u8 {
    if number < 128 { 0 } else { number }
}

fn ask() -> impl Strategy<Value = Ask> {
    let max = prop_oneof![Just(1), 1..4_usize, Just(32)];
    let attempt = prop_oneof![2 => Just(0), 1 => 1..3_u8];
    let hidden = prop::sample::select(vec![0, 1, 500, 2_000, 10_000, 10_800_000]);
    let who = (any::<u8>(), any::<u8>(), any::<u8>(), 0..3_u8);
    (who, max, attempt, any::<bool>(), hidden).prop_map(
        |((group, topic, queue, client), max, attempt, renewed, invisible_ms)| Ask {
            group,
            topic: mostly_first(topic),
            queue,
            client,
            max,
            attempt,
            renewed,
            invisible_ms,
        },
    )
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![8 => Just(Fate::Applied), 1 => Just(Fate::Failed), 1 => Just(Fate::Unknown)]
}

fn settle() -> impl Strategy<Value = Step> {
    let delay = prop::sample::select(vec![0, 1, 700, 3_000, 60_000]);
    let change = prop_oneof![
        3 => Just(Change::Done),
        2 => delay.clone().prop_map(Change::VisibleIn),
        1 => delay.prop_map(Change::HandBack),
    ];
    (prop::collection::vec(any::<u8>(), 1..6), change)
        .prop_map(|(picks, change)| Step::Settle { picks, change })
}

fn release() -> impl Strategy<Value = Step> {
    let visible_in = prop::sample::select(vec![0, 400, 30_000]);
    (any::<u8>(), 0..3_u8, visible_in).prop_map(|(hold, client, visible_in_ms)| Step::Release {
        hold,
        client,
        visible_in_ms,
    })
}

fn administer() -> impl Strategy<Value = Step> {
    let to = prop_oneof![
        1 => Just(MoveTo::Latest),
        1 => (0..8_u64).prop_map(MoveTo::Newest),
        3 => any::<u8>().prop_map(MoveTo::Offset),
    ];
    let put = (any::<u8>(), any::<bool>(), 1..4_u16);
    prop_oneof![
        1 => (any::<u8>(), 0..2_u32).prop_map(|(topic, more)| Step::Grow { topic, more }),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(topic, closed)| Step::Close { topic, closed }),
        1 => any::<u8>().prop_map(|topic| Step::DeleteTopic { topic }),
        2 => put.prop_map(|(group, fifo, max_attempts)| Step::PutGroup { group, fifo, max_attempts }),
        1 => any::<u8>().prop_map(|group| Step::DeleteGroup { group }),
        4 => (any::<u8>(), to).prop_map(|(hold, to)| Step::Move { hold, to }),
    ]
}

fn retain() -> impl Strategy<Value = Step> {
    let carries = prop_oneof![
        1 => Just(Carries::Nothing),
        3 => Just(Carries::Waiting),
        1 => Just(Carries::Topic),
    ];
    (0..=200_u8, carries).prop_map(|(part, carries)| Step::Retain { part, carries })
}

fn tick() -> impl Strategy<Value = Step> {
    let day = 24 * 3600 * 1000;
    prop_oneof![
        4 => 1..1_000_i64,
        3 => 1_000..20_000_i64,
        1 => Just(day),
        2 => -5_000..0_i64,
        1 => Just(-2 * day),
    ]
    .prop_map(Step::Tick)
}
