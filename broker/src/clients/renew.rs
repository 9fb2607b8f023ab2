//! New settings for clients that are connected.

use super::registry::{Announced, Client, Clients};
use sluice_proto::v2;
use sluice_proto::v2::telemetry_command::Command;
use std::sync::Arc;

impl Clients {
    /// Gives each consumer of a group the settings that are made from what it announced; answers how many were told. One
    /// that takes nothing at the moment is told at its next heartbeat.
    pub fn renew(&self, group: &str, settings: impl Fn(&Announced) -> v2::Settings) -> u32 {
        let is_member = |client: &Client| {
            let announced = client.announced.as_ref();
            announced.is_some_and(|announced| announced.group.as_deref() == Some(group))
        };
        // The table is not held for all of them: making settings takes a while.
        let members: Vec<Arc<str>> = {
            let table = self.table();
            let members = table.iter().filter(|(_, client)| is_member(client));
            members.map(|(id, _)| Arc::clone(id)).collect()
        };
        let mut told = 0;
        for id in members {
            if let Some(client) = self.table().get_mut(&id).filter(|client| is_member(client)) {
                told += u32::from(client.renew(&settings));
            }
        }
        told
    }
}

impl Client {
    fn renew(&mut self, settings: impl Fn(&Announced) -> v2::Settings) -> bool {
        let Some(announced) = &mut self.announced else {
            return false;
        };
        announced.settings = Arc::new(settings(announced));
        let command = || command(Command::Settings(v2::Settings::clone(&announced.settings)));
        let sent = self
            .streams
            .iter()
            .map(|(_, sender)| sender.try_send(Ok(command())).is_ok());
        let told = sent.fold(false, |any, sent| any | sent);
        announced.wants_repeat |= !told;
        told
    }
}

/// A command to a client. The one for Python looks at nothing without a status.
pub(super) fn command(command: Command) -> v2::TelemetryCommand {
    v2::TelemetryCommand {
        status: Some(v2::Status {
            code: v2::Code::Ok.into(),
            message: String::new(),
        }),
        command: Some(command),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Heartbeat;
    use super::super::tests::{call, consumer};
    use super::*;
    use tokio::sync::mpsc;

    fn with_attempts(max_attempts: i32) -> impl Fn(&Announced) -> v2::Settings {
        move |announced| v2::Settings {
            backoff_policy: Some(v2::RetryPolicy {
                max_attempts,
                strategy: None,
            }),
            ..v2::Settings::clone(&announced.settings)
        }
    }

    fn attempts(settings: &v2::Settings) -> i32 {
        settings
            .backoff_policy
            .as_ref()
            .map_or(0, |policy| policy.max_attempts)
    }

    #[test]
    fn the_consumers_of_a_group_are_told_by_each_of_their_streams_and_nobody_else_is() {
        let clients = Arc::new(Clients::at_most(100));
        let mut open = Vec::new();
        for (id, group) in [("a", "g"), ("a", "g"), ("b", "g"), ("c", "h")] {
            let (sender, commands) = mpsc::channel(4);
            let stream = clients.stream(id, sender);
            clients.announce(call(id), consumer(group), &stream).unwrap();
            open.push((stream, commands));
        }
        assert_eq!(clients.renew("g", with_attempts(3)), 2);
        assert_eq!(clients.renew("nobody's", with_attempts(3)), 0);
        let told: Vec<bool> = open
            .iter_mut()
            .map(|(_, commands)| match commands.try_recv() {
                Ok(Ok(told)) => {
                    assert_eq!(told.status.map(|status| status.code), Some(v2::Code::Ok.into()));
                    matches!(told.command, Some(Command::Settings(settings)) if attempts(&settings) == 3)
                }
                _ => false,
            })
            .collect();
        assert_eq!(told, [true, true, true, false]);
    }

    #[test]
    fn a_consumer_that_takes_nothing_is_told_at_its_next_heartbeat() {
        let clients = Arc::new(Clients::at_most(100));
        let (sender, mut commands) = mpsc::channel(1);
        let stream = clients.stream("c", sender);
        clients.announce(call("c"), consumer("g"), &stream).unwrap();
        assert_eq!(clients.renew("g", with_attempts(3)), 1);
        assert_eq!(clients.renew("g", with_attempts(4)), 0, "its buffer is full");
        assert_eq!(clients.renew("g", with_attempts(5)), 0);
        commands.try_recv().unwrap().unwrap();
        match clients.heartbeat(call("c")).unwrap() {
            Heartbeat::Repeat(settings, _) => assert_eq!(attempts(&settings), 5),
            other => panic!("{other:?}"),
        }
        assert!(matches!(clients.heartbeat(call("c")), Ok(Heartbeat::Known)));
    }
}
