//! Groups in lists, and after they were made, changed or deleted.

use super::group::Group;
use super::topic_description::{columns_of_lag, is_zero, numbers_of_lag};
use crate::output::{Align, Show, Table};
use crate::units::{Seconds, counted, seconds};
use serde::Serialize;
use sluice_proto::admin;

/// Groups by name.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Groups(pub Vec<GroupSummary>);

/// A group in a list.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct GroupSummary {
    /// Its name.
    pub name: String,
    /// Whether each message group is kept in order.
    pub fifo: bool,
    /// Clients that have announced themselves.
    pub members: u32,
    /// Messages that wait.
    pub ready: u64,
    /// Messages that clients hold.
    pub inflight: u64,
    /// Both.
    pub lag: u64,
    /// Age of the oldest of them; 0 without any.
    pub age_seconds: Seconds,
    /// Messages of those that the tags were not asked about yet: they count as if they were taken.
    #[serde(skip_serializing_if = "is_zero")]
    pub uncounted: u64,
    /// Which change of it this is.
    pub generation: u64,
    /// Its number.
    pub id: u32,
}

impl From<admin::GroupSummary> for GroupSummary {
    fn from(summary: admin::GroupSummary) -> Self {
        let group = summary.group.unwrap_or_default();
        Self {
            name: group.name,
            fifo: group.spec.is_some_and(|spec| spec.fifo),
            members: summary.members,
            ready: summary.ready,
            inflight: summary.inflight,
            lag: summary.lag,
            age_seconds: seconds(summary.age_ms),
            uncounted: summary.uncounted,
            generation: group.generation,
            id: group.id,
        }
    }
}

impl Show for Groups {
    fn text(&self, wide: bool) -> String {
        let [name, numbers @ ..] = columns_of_lag("NAME");
        let mut columns = vec![name, ("FIFO", Align::Left), ("MEMBERS", Align::Right)];
        columns.extend(numbers);
        if wide {
            columns.extend([("ID", Align::Right), ("GENERATION", Align::Right)]);
        }
        let mut table = Table::new("no groups", &columns);
        for group in &self.0 {
            let fifo = if group.fifo { "yes" } else { "no" };
            let mut row = vec![group.name.clone(), fifo.to_owned(), group.members.to_string()];
            row.extend(numbers_of_lag(
                [group.ready, group.inflight, group.lag],
                group.uncounted,
            ));
            row.push(group.age_seconds.to_string());
            if wide {
                row.extend([group.id.to_string(), group.generation.to_string()]);
            }
            table.row(row);
        }
        table.render()
    }
}

/// What a deletion has done.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct DeletedGroup {
    /// The group's name.
    pub group: String,
    /// That it is gone.
    pub deleted: bool,
    /// Messages that it had not done.
    pub undone_messages: u64,
}

impl Show for DeletedGroup {
    fn text(&self, _wide: bool) -> String {
        match self.undone_messages {
            0 => format!("group {} deleted", self.group),
            n => format!(
                "group {} deleted, with {} that it had not done",
                self.group,
                counted(n, "message", "messages")
            ),
        }
    }
}

/// A group after it was made or changed.
#[derive(Debug, Serialize)]
pub struct ChangedGroup {
    /// What was done, for people.
    #[serde(skip)]
    pub what: &'static str,
    /// The group as it is now.
    #[serde(flatten)]
    pub group: Group,
    /// Whether it was made.
    pub created: bool,
    /// Whether anything is other than before.
    pub changed: bool,
    /// Connected clients that were told.
    pub clients_told: u32,
}

impl Show for ChangedGroup {
    fn text(&self, wide: bool) -> String {
        let told = match self.clients_told {
            0 => String::new(),
            n => format!(", {} told", counted(n.into(), "client", "clients")),
        };
        let line = format!("group {} {}{told}", self.group.name, self.what);
        if wide {
            format!("{line}\n{}", self.group.fields().render())
        } else {
            line
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Format, Report as _};
    use crate::views::group::tests::group;

    #[test]
    fn a_list_has_the_lag_of_each_group() {
        let groups = Groups(vec![GroupSummary::from(admin::GroupSummary {
            group: Some(group()),
            members: 2,
            ready: 4,
            inflight: 1,
            lag: 5,
            age_ms: 2500,
            uncounted: 0,
        })]);
        assert_eq!(
            groups.render(Format::Json, true),
            r#"[{"name":"readers","fifo":true,"members":2,"ready":4,"inflight":1,"lag":5,"age_seconds":2.5,"generation":2,"id":9}]"#
        );
        assert_eq!(
            groups.text(false),
            "NAME      FIFO   MEMBERS   READY   IN FLIGHT   LAG   OLDEST\n\
             readers   yes          2       4           1     5     2.5s"
        );
    }
}
