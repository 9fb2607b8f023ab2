//! Consumer groups, as the API has them. The other way is in [`super::group_spec`].

use sluice_core::command::{Backoff, StartFrom, StaticSubscription};
use sluice_core::state::Group;
use sluice_proto::admin::{self, backoff::Strategy, start_from::Position};

/// A group as the API has it.
pub fn group(group: &Group) -> admin::Group {
    let spec = admin::GroupSpec {
        fifo: group.spec.fifo,
        max_attempts: u32::from(group.spec.max_attempts),
        backoff: Some(backoff(&group.spec.backoff)),
        start_from: Some(start_from(group.spec.start_from)),
        receive_batch: u32::from(group.spec.receive_batch),
        long_poll_ms: group.spec.long_poll_ms,
        invisible_ms: group.spec.invisible_ms,
        subscriptions: group.spec.subscriptions.iter().map(subscription).collect(),
    };
    admin::Group {
        name: group.spec.name.clone(),
        spec: Some(spec),
        generation: group.generation,
        id: group.id.0,
    }
}

fn subscription(subscription: &StaticSubscription) -> admin::StaticSubscription {
    admin::StaticSubscription {
        topic: subscription.topic.clone(),
        expression: subscription.expression.clone(),
    }
}

pub(super) fn backoff(backoff: &Backoff) -> admin::Backoff {
    let strategy = match backoff {
        Backoff::Customized(steps) => Strategy::Customized(admin::CustomizedBackoff {
            steps_ms: steps.clone(),
        }),
        Backoff::Exponential {
            initial_ms,
            max_ms,
            multiplier_milli,
        } => Strategy::Exponential(admin::ExponentialBackoff {
            initial_ms: *initial_ms,
            max_ms: *max_ms,
            multiplier_milli: *multiplier_milli,
        }),
    };
    admin::Backoff {
        strategy: Some(strategy),
    }
}

pub(super) fn start_from(start_from: StartFrom) -> admin::StartFrom {
    let position = match start_from {
        StartFrom::Earliest => Position::Earliest(true),
        StartFrom::Latest => Position::Latest(true),
        StartFrom::Time(time) => Position::TimeMs(time),
    };
    admin::StartFrom {
        position: Some(position),
    }
}
