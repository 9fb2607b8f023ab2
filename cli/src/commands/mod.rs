//! The commands: each asks the broker, or looks at files, and comes back with a report.

mod autoscale;
mod broker;
mod client;
mod config;
mod context;
mod group;
mod log;
mod message;
mod topic;

use crate::args::{BrokerCommand, Command};
use crate::failure::Failure;
use crate::output::Report;
use crate::session::Session;

pub use autoscale::run as autoscale;
pub use context::run as context;
pub use log::run as log;

/// What a command has found out; `None` if it has shown everything itself.
pub type Outcome = Result<Option<Box<dyn Report>>, Failure>;

/// Does what a command that needs a broker asks for.
///
/// # Errors
/// When it cannot be done.
pub async fn run(command: &Command, session: &Session) -> Outcome {
    match command {
        Command::Topic(command) => topic::run(command, session).await,
        Command::Group(command) => group::run(command, session).await,
        Command::Client(command) => client::run(command, session).await,
        Command::Message(command) => message::run(command, session).await,
        Command::Broker(BrokerCommand::Status) => broker::status(session).await,
        Command::Config(command) => config::run(command, session).await,
        Command::Autoscale(_) | Command::Log(_) | Command::Context(_) | Command::Completion { .. } => {
            Ok(None)
        }
    }
}

fn shown(report: impl Report + 'static) -> Outcome {
    Ok(Some(Box::new(report)))
}
