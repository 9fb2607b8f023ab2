//! Settings pushed to clients: a change of a group reaches those that are connected at once (B7).

use super::settings;
use crate::clients::{Announced, Clients};
use sluice_core::command::GroupSpec;
use sluice_core::limits;
use sluice_core::state::{Group, Tables};
use sluice_proto::v2::Settings;
use std::sync::Arc;

/// Gives the group's connected consumers the settings that follow from it as it is now; answers how many were told.
pub fn settings(clients: &Clients, tables: &Tables, group: &str) -> u32 {
    // Looked up for each, while it is held: of two pushes at one time the last one to reach a client is not the older.
    clients.renew(group, |announced| {
        let now = tables.group(group);
        // Consumers are told nothing of the size of bodies.
        of_client(announced, now.as_deref(), limits::BODY_BYTES_MAX)
    })
}

/// The settings for a client that has announced these; for a consumer's group that is not there, as it would be made.
pub(super) fn of_client(announced: &Announced, group: Option<&Group>, body_max: usize) -> Settings {
    let spec = match (group, &announced.group) {
        (Some(group), _) => Some(group.spec.clone()),
        (None, name) => name.as_deref().map(GroupSpec::on_first_use),
    };
    let settings = Settings::clone(&announced.settings);
    settings::merge(settings, spec.as_ref(), announced.node, body_max)
}

/// The consumer's group as it is now.
pub(super) fn group_of(tables: &Tables, announced: &Announced) -> Option<Arc<Group>> {
    tables.group(announced.group.as_deref()?)
}
