//! One run: arguments, command, exit code.

use crate::args::{Cli, Command};
use crate::commands::{self, Outcome};
use crate::failure::{Failure, Kind};
use crate::output::{Format, Printer, Report, print_failure, taken};
use crate::session::Session;
use crate::settings::{Contexts, ContextsLock, Environment, Settings};
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// The shortest pause of `--watch`.
const WATCH_MIN: Duration = Duration::from_millis(100);

/// Does what the process's arguments ask for.
pub fn from_command_line() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, &arguments),
    };
    let format = cli.global.output;
    match run(&cli, &Environment::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_output() => ExitCode::SUCCESS,
        Err(failure) => {
            print_failure(&failure, format);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Help and version are answers; everything else is a wrong command line.
fn refuse(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if is_answer || !asks_for_json(arguments) {
        let printed = error.print().and_then(|()| std::io::stdout().flush());
        // Of a wrong command line the exit code says enough where it cannot be printed.
        if is_answer
            && let Err(failure) = taken(printed)
            && !failure.is_closed_output()
        {
            print_failure(&failure, Format::Table);
            return ExitCode::from(failure.exit_code());
        }
    } else {
        let text = error.render().to_string();
        let text = text.trim_start_matches("error: ").trim_end();
        print_failure(&Failure::usage(text), Format::Json);
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Kind::Usage as u8))
}

/// Whether a command line that cannot be read asks for JSON.
fn asks_for_json(arguments: &[OsString]) -> bool {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    words
        .iter()
        .any(|word| matches!(*word, "-ojson" | "-o=json" | "--output=json"))
        || words
            .windows(2)
            .any(|pair| matches!(pair, ["-o" | "--output", "json"]))
}

fn run(cli: &Cli, environment: &Environment) -> Result<(), Failure> {
    let printer = Printer::new(cli.global.output);
    if cli.global.watch.is_some() && !cli.command.is_watchable() {
        return Err(Failure::usage("--watch goes with commands that only show something").hint(
            "such as `sluicectl group lag GROUP --watch`; `sluicectl message tail TOPIC` follows a topic's messages",
        ));
    }
    let report = match &cli.command {
        Command::Completion { shell } => {
            // Into memory first: the library takes a failure to write for impossible.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "sluicectl", &mut script);
            return printer.script(&script);
        }
        Command::Context(command) => {
            let file = environment.config.as_deref();
            let lock = || ContextsLock::take(file, command.makes());
            let _lock = command.changes().then(lock).transpose()?;
            let contexts = Contexts::load(file)?;
            commands::context(command, &cli.global, contexts)?
        }
        Command::Log(command) => return commands::log(command, &printer),
        Command::Autoscale(command) => {
            let ask = async || commands::autoscale(command, cli.global.timeout).await;
            return online(ask, cli.global.watch, printer);
        }
        command => return with_broker(command, cli, environment, printer),
    };
    report.map_or(Ok(()), |report| printer.show(&*report))
}

/// A command that needs a broker.
fn with_broker(
    command: &Command,
    cli: &Cli,
    environment: &Environment,
    printer: Printer,
) -> Result<(), Failure> {
    let contexts = if Settings::uses_contexts(&cli.global, environment) {
        Contexts::load(environment.config.as_deref())?
    } else {
        Contexts::default()
    };
    let settings = Settings::resolve(&cli.global, environment, &contexts)?;
    let session = Session::new(settings, printer);
    online(
        async || Box::pin(commands::run(command, &session)).await,
        cli.global.watch,
        printer,
    )
}

/// Asks once, or again and again, and shows the answers.
fn online(ask: impl AsyncFn() -> Outcome, every: Option<Duration>, printer: Printer) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Kind::Failed, format!("the runtime cannot be started: {error}")))?;
    runtime.block_on(async {
        match (every, ask().await?) {
            (_, None) => Ok(()),
            (None, Some(report)) => printer.show(&*report),
            (Some(every), Some(report)) => watch(ask, every.max(WATCH_MIN), report, printer).await,
        }
    })
}

/// Shows it again and again. That a broker or an API server is away for a while is shown too, and waited out.
async fn watch(
    ask: impl AsyncFn() -> Outcome,
    every: Duration,
    first: Box<dyn Report>,
    printer: Printer,
) -> Result<(), Failure> {
    printer.show_again(&*first)?;
    loop {
        tokio::time::sleep(every).await;
        match ask().await {
            Ok(Some(report)) => printer.show_again(&*report)?,
            Ok(None) => return Ok(()),
            Err(failure) if failure.kind == Kind::Unreachable => print_failure(&failure, printer.format()),
            Err(failure) => return Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_command_line_that_asks_for_json_is_known_as_such() {
        let asks = |words: &[&str]| asks_for_json(&words.iter().map(OsString::from).collect::<Vec<_>>());
        for words in [
            &["x", "-o", "json"][..],
            &["-ojson", "x"],
            &["--output=json"],
            &["--output", "json"],
        ] {
            assert!(asks(words), "{words:?}");
        }
        for words in [&["x", "-o", "yaml"][..], &["json"], &["-o"], &[]] {
            assert!(!asks(words), "{words:?}");
        }
    }
}
