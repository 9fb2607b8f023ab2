//! The command line; its help is the manual of this tool.

mod autoscale;
mod client;
mod context;
mod group;
mod log;
mod message;
mod topic;
mod values;

use crate::output::Format;
use crate::units::parse_some_time;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;
use std::time::Duration;

pub use autoscale::{AutoscaleCommand, KubernetesArgs};
pub use client::{ClientCommand, Role};
pub use context::ContextCommand;
pub use group::{
    CreateGroup, DeleteGroup, GroupChanges, GroupCommand, ResetGroup, StackGroup, UpdateGroup, VerifyGroup,
};
pub use log::{LogCommand, RepairLog};
pub use message::{FindMessages, GetMessage, MessageCommand, ReceiveMessages, SendMessages, TailMessages};
pub use topic::{CreateTopic, DeleteTopic, ListTopics, TopicCommand, TopicTypes, UpdateTopic};
pub use values::{BackoffArg, StartArg, SubscriptionArg, Target};

const GUIDE: &str = "\
Examples:
  sluicectl topic create orders --queues 8
  sluicectl message send orders hello --tag greeting
  sluicectl message receive readers orders --ack
  sluicectl group lag readers --watch
  sluicectl topic list -o json --admin broker.example:8082 --token-file token --ca ca.pem

Which broker:
  The first of these that is given: --admin, --context, SLUICE_ADMIN, SLUICE_CONTEXT, the context that
  `sluicectl context use` has chosen; else 127.0.0.1:8082. A context is used as a whole, token and TLS included: what is
  given by flag goes before its parts. SLUICE_TOKEN is a token itself; it goes after --token-file.
  Messages go to the client address that the broker's admin API names, or to --endpoint.

Exit codes:
  0 done
  1 failed
  2 not said in a way that can be followed: flags, names, values
  3 not found
  4 something stands against it: exists already, changed since, not empty, --yes is missing, in use
  5 no broker answers, or no API server
  6 not allowed: the token or certificate is missing or wrong";

/// Makes, shows, changes and repairs what a Sluice broker has: topics, groups, clients, messages, configuration.
#[derive(Debug, Parser)]
#[command(name = "sluicectl", version, after_help = GUIDE, arg_required_else_help = true)]
pub struct Cli {
    /// What goes for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which broker, how to get there, and how to show what it says.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// The broker's admin address [env: SLUICE_ADMIN] [default: 127.0.0.1:8082]
    #[arg(long, global = true, value_name = "HOST:PORT", help_heading = "Broker")]
    pub admin: Option<String>,
    /// A named broker of the file of contexts; see `sluicectl context` [env: SLUICE_CONTEXT]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Broker")]
    pub context: Option<String>,
    /// Where messages go to and come from, instead of the client address that the admin API names
    #[arg(long, global = true, value_name = "HOST:PORT", help_heading = "Broker")]
    pub endpoint: Option<String>,
    /// A file with the token for the admin API [env: SLUICE_TOKEN, the token itself]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Broker")]
    pub token_file: Option<PathBuf>,
    /// Speak TLS; follows from --ca, --cert and --insecure-skip-verify too
    #[arg(long, global = true, help_heading = "Broker")]
    pub tls: bool,
    /// Trust the certificates in this file (PEM) instead of the system's
    #[arg(long, global = true, value_name = "FILE", help_heading = "Broker")]
    pub ca: Option<PathBuf>,
    /// Speak TLS with whoever answers: anyone in between can read and change everything
    #[arg(long, global = true, conflicts_with = "ca", help_heading = "Broker")]
    pub insecure_skip_verify: bool,
    /// Show this certificate (PEM) to a broker that asks for one
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        requires = "cert_key",
        help_heading = "Broker"
    )]
    pub cert: Option<PathBuf>,
    /// The key to --cert (PEM)
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        requires = "cert",
        help_heading = "Broker"
    )]
    pub cert_key: Option<PathBuf>,
    /// How long a call may take
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_some_time, default_value = "10s",
          help_heading = "Broker")]
    pub timeout: Duration,
    /// How to show what there is
    #[arg(short, long, global = true, value_name = "FORMAT", value_enum, default_value_t = Format::Table,
          help_heading = "Output")]
    pub output: Format,
    /// Show it again and again, each SECONDS; 2 unless given. With -o json, one document a line
    #[arg(short, long, global = true, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
          value_parser = parse_some_time, help_heading = "Output")]
    pub watch: Option<Duration>,
}

/// The commands by what they are about.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Topics: make, change, look at, close, delete
    #[command(subcommand, visible_alias = "topics")]
    Topic(TopicCommand),
    /// Consumer groups: make, change, lag, members, offsets
    #[command(subcommand, visible_alias = "groups")]
    Group(GroupCommand),
    /// Connected clients: who they are and how they fare
    #[command(subcommand, visible_alias = "clients")]
    Client(ClientCommand),
    /// Messages: send, receive, follow, find
    #[command(subcommand, visible_alias = "messages")]
    Message(MessageCommand),
    /// The broker itself
    #[command(subcommand)]
    Broker(BrokerCommand),
    /// The broker's configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The scaling of consumers on Kubernetes: what was decided, and why
    #[command(subcommand)]
    Autoscale(AutoscaleCommand),
    /// The files of a stopped broker: look at them, check them, repair them
    #[command(subcommand)]
    Log(LogCommand),
    /// Named brokers: address, token and TLS under one name
    #[command(subcommand, visible_alias = "contexts")]
    Context(ContextCommand),
    /// Print the completion script of a shell
    #[command(after_help = COMPLETION)]
    Completion {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

const COMPLETION: &str = "\
Examples:
  source <(sluicectl completion bash)
  sluicectl completion zsh > \"${fpath[1]}/_sluicectl\"
  sluicectl completion fish > ~/.config/fish/completions/sluicectl.fish";

/// About the broker.
#[derive(Debug, Subcommand)]
pub enum BrokerCommand {
    /// How the broker is: version, addresses, log, disk, clients
    #[command(
        after_help = "Examples:\n  sluicectl broker status\n  sluicectl broker status -o json --watch 5"
    )]
    Status,
}

/// About the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show keys with their values and where these come from
    #[command(
        after_help = "Examples:\n  sluicectl config get\n  sluicectl config get autoCreateTopics log -o wide"
    )]
    Get {
        /// Only these keys
        #[arg(value_name = "KEY")]
        keys: Vec<String>,
    },
    /// Change keys until the broker ends; all of them or none
    #[command(
        after_help = "Examples:\n  sluicectl config set autoCreateTopics=false log=debug\n  sluicectl config set log debug"
    )]
    Set {
        /// The keys with their new values; one change may be two words
        #[arg(value_name = "KEY=VALUE", required = true)]
        changes: Vec<String>,
    },
    /// Take live changes back: keys are again as file, environment and flags say
    #[command(after_help = "Examples:\n  sluicectl config reset log")]
    Reset {
        /// The keys
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
}

impl Command {
    /// Whether it only shows something, and so can be shown again and again.
    pub fn is_watchable(&self) -> bool {
        match self {
            Self::Topic(command) => {
                matches!(command, TopicCommand::List(_) | TopicCommand::Show { .. })
            }
            Self::Group(command) => matches!(
                command,
                GroupCommand::List { .. }
                    | GroupCommand::Show { .. }
                    | GroupCommand::Lag { .. }
                    | GroupCommand::Members { .. }
                    | GroupCommand::Offsets { .. }
            ),
            Self::Client(_) | Self::Broker(_) | Self::Autoscale(_) => true,
            Self::Message(command) => matches!(command, MessageCommand::Find(_)),
            Self::Config(command) => matches!(command, ConfigCommand::Get { .. }),
            Self::Log(_) | Self::Context(_) | Self::Completion { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        fn look(command: &clap::Command, path: &str) {
            for sub in command.get_subcommands() {
                let path = format!("{path} {}", sub.get_name());
                if sub.has_subcommands() {
                    look(sub, &path);
                } else {
                    let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
                    assert!(
                        help.contains(path.trim()),
                        "no example of its own in the help of {path}"
                    );
                }
            }
        }
        look(&Cli::command(), "sluicectl");
    }

    /// Words as a shell makes them of a line of an example.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quote = None;
        for c in line.chars() {
            match (quote, c) {
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                (None, ' ') => words.push(String::new()),
                (_, c) => words.last_mut().unwrap().push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn every_example_is_a_command_that_can_be_followed() {
        fn look(command: &clap::Command, tried: &mut usize) {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let examples = help.split_once("Examples:").map_or("", |(_, examples)| examples);
            let lines = examples
                .lines()
                .map(str::trim)
                .take_while(|line| !line.starts_with("Which broker"));
            // Behind a pipe, and before a redirection, a shell hands over the same words.
            let lines = lines.filter_map(|line| line.split_once("sluicectl ").map(|(_, rest)| rest));
            for line in lines {
                let line = line
                    .split_once(" >")
                    .map_or(line, |(command, _)| command)
                    .trim_end_matches(')');
                let arguments = std::iter::once("sluicectl".to_owned()).chain(words(line));
                if let Err(error) = Cli::try_parse_from(arguments) {
                    assert_eq!(error.exit_code(), 0, "{line}: {error}");
                }
                *tried += 1;
            }
            command.get_subcommands().for_each(|sub| look(sub, tried));
        }
        let mut tried = 0;
        look(&Cli::command(), &mut tried);
        assert!(tried > 80, "{tried} examples");
    }

    #[test]
    fn a_call_and_a_watch_are_given_some_time() {
        for arguments in [
            &["sluicectl", "group", "list", "--watch", "0"][..],
            &["sluicectl", "group", "list", "--watch=0s"],
            &["sluicectl", "group", "list", "--timeout", "0ms"],
            &["sluicectl", "group", "verify", "g", "t", "id", "--timeout", "0"],
            &["sluicectl", "message", "tail", "t", "--every", "0"],
        ] {
            let error = Cli::try_parse_from(arguments).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{arguments:?}");
            let text = error.to_string();
            assert!(
                text.contains("no time at all") && text.contains("such as 500ms"),
                "{text}"
            );
        }
        // A receive may look and not wait.
        let receive = ["sluicectl", "message", "receive", "g", "t", "--wait", "0"];
        assert!(Cli::try_parse_from(receive).is_ok());
    }

    #[test]
    fn a_watch_without_a_number_is_every_two_seconds() {
        let watch = |arguments: &[&str]| Cli::try_parse_from(arguments).unwrap().global.watch;
        for (arguments, seconds) in [
            (&["sluicectl", "group", "lag", "g"][..], None),
            (&["sluicectl", "group", "lag", "g", "--watch"], Some(2)),
            (&["sluicectl", "--watch=5", "group", "lag", "g"], Some(5)),
            (&["sluicectl", "group", "lag", "g", "-w", "1"], Some(1)),
        ] {
            assert_eq!(
                watch(arguments),
                seconds.map(Duration::from_secs),
                "{arguments:?}"
            );
        }
    }
}
