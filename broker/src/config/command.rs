//! The command line: a flag for each key, and the commands that look at the configuration instead of running it.

use super::forms::{Choices, Form};
use super::keys::{KEYS, Key};
use super::layers::Values;
use super::print::Output;
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgMatches, Command};
use std::ffi::OsString;

const ABOUT: &str = "\
A message broker that speaks RocketMQ 5's gRPC protocol: unmodified clients send to it and consume from it.

Everything can be said by a flag, by a variable of the environment, or by a key of a YAML file (--config). A flag overrides \
a variable, a variable the file, the file the defaults.";

const EXAMPLES: &str = "\
SIZE is a number of bytes, or a whole number with KiB, MiB, GiB, TiB or PiB (K, M, G, T, P) for powers of 1024, or with KB, MB, GB, TB or PB
for powers of 1000.

Examples:
  sluice-broker
      Try it: clients connect to 127.0.0.1:8081, topics are made on first use.
  sluice-broker --grpc-listen 0.0.0.0:8081 --advertise broker.example.org:8081
      Serve other hosts, which reach this one under that name.
  sluice-broker --init topics.yaml --auto-create-topics false
      Make the topics and groups of a file at start, and no others later.
  sluice-broker --config sluice.yaml --log debug
      Do what a file says, and log more than it says.
  sluice-broker --config sluice.yaml config print
      Show what that comes to, and which place each value is from.";

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Run,
    Print(Output),
    Check,
}

/// The whole command line.
pub fn command() -> Command {
    let output = Arg::new(OUTPUT)
        .short('o')
        .long("output")
        .value_name("FORMAT")
        .value_parser(possible(Output::CHOICES))
        .default_value(Output::CHOICES[0].0)
        .help("How it is shown");
    let print = Command::new(PRINT)
        .about("Shows every key with its value and where that is from, and starts nothing")
        .arg(output);
    let check = Command::new(CHECK).about("Says whether a broker could start with it, and starts nothing");
    let config = Command::new(CONFIG)
        .about("Looks at the configuration that flags, environment and file come to")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([print, check]);
    let (first, _) = ABOUT.split_once('\n').unwrap_or((ABOUT, ""));
    Command::new("sluice-broker")
        .version(env!("CARGO_PKG_VERSION"))
        .about(first.trim_end_matches('.'))
        .long_about(ABOUT)
        .after_help(EXAMPLES)
        .args(KEYS.iter().map(|key| flag(key)))
        .subcommand(config)
}

const CONFIG: &str = "config";
const PRINT: &str = "print";
const CHECK: &str = "check";
const OUTPUT: &str = "output";

/// What the command line asks for, and the keys that it gives.
pub(super) fn read(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<(Task, Values), clap::Error> {
    let all = command().try_get_matches_from(arguments)?;
    let (task, matches) = match all.subcommand() {
        Some((_, config)) => match config.subcommand() {
            Some((PRINT, print)) => {
                let format = print.get_one::<String>(OUTPUT).map_or("", String::as_str);
                (Task::Print(Output::named(format)), print)
            }
            Some((_, check)) => (Task::Check, check),
            None => (Task::Check, config),
        },
        None => (Task::Run, &all),
    };
    Ok((task, values(matches)))
}

fn values(matches: &ArgMatches) -> Values {
    let given = |key: &&'static Key| Some((key.name, matches.get_one::<String>(key.name)?.clone()));
    KEYS.iter().filter_map(given).collect()
}

fn flag(key: &'static Key) -> Arg {
    let flag = Arg::new(key.name)
        .long(key.flag)
        .value_name(key.form.placeholder())
        .global(true)
        .help_heading(key.heading)
        .help(key.help)
        // Of a switch they stand in the value's name.
        .hide_possible_values(matches!(key.form, Form::Switch))
        .long_help(long_help(key));
    match key.form.choices() {
        Some(choices) => flag.value_parser(possible(choices)),
        None => flag,
    }
}

/// What the help says on every key beside what it means. Defaults are no matter of clap's: it could not tell then
/// whether a flag was given.
fn long_help(key: &Key) -> String {
    let mut lines = vec![format!("{}\n", key.help)];
    if let Some(default) = key.default {
        lines.push(format!("[default: {default}]"));
    }
    if let Some(container) = key.container {
        lines.push(format!("[with the profile container: {container}]"));
    }
    lines.push(format!("[env: {}]", key.variable));
    if key.live {
        lines.push("[can be changed while the broker runs]".to_owned());
    }
    lines.join("\n")
}

fn possible(choices: Choices) -> PossibleValuesParser {
    PossibleValuesParser::new(
        choices
            .iter()
            .map(|(name, help)| PossibleValue::new(*name).help(*help)),
    )
}
