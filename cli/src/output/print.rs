//! Standard output and standard error. Nothing is coloured.

use super::{Format, Report};
use crate::failure::{Failure, Kind};
use crate::units;
use std::io::{ErrorKind, IsTerminal as _, Write as _};

/// Moves to the upper left corner and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Prints what commands have to say.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    format: Format,
    terminal: bool,
}

impl Printer {
    /// A printer onto the process's standard output.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            terminal: std::io::stdout().is_terminal(),
        }
    }

    /// How things are shown.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Shows a report once.
    ///
    /// # Errors
    /// When nobody takes it.
    pub fn show(&self, report: &dyn Report) -> Result<(), Failure> {
        write((report.render(self.format, false) + "\n").as_bytes())
    }

    /// Shows a report as one of many: JSON on a line of its own.
    ///
    /// # Errors
    /// When nobody takes it.
    pub fn show_one_of_many(&self, report: &dyn Report) -> Result<(), Failure> {
        write((report.render(self.format, true) + "\n").as_bytes())
    }

    /// Shows a report in the place of the one before, on a terminal; else below it.
    ///
    /// # Errors
    /// When nobody takes it.
    pub fn show_again(&self, report: &dyn Report) -> Result<(), Failure> {
        if self.format.is_for_programs() {
            return self.show_one_of_many(report);
        }
        let (before, now) = (
            if self.terminal { CLEAR } else { "" },
            units::moment(units::now_ms()),
        );
        let text = format!("{before}{now}\n{}\n\n", report.render(self.format, true));
        write(text.as_bytes())
    }

    /// Prints a script as it is.
    ///
    /// # Errors
    /// When nobody takes it.
    pub fn script(&self, text: &[u8]) -> Result<(), Failure> {
        write(text)
    }

    /// Says something beside the result, to people.
    pub fn note(&self, text: &str) {
        // Whoever does not take it misses nothing that was asked for.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

/// Says on standard error why nothing came of it, as JSON to programs.
pub fn print_failure(failure: &Failure, format: Format) {
    let text = if format == Format::Json {
        failure.to_json()
    } else {
        failure.to_string()
    };
    // There is nowhere left to say that standard error is closed; the exit code says the rest.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn write(text: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    taken(out.write_all(text).and_then(|()| out.flush()))
}

/// Whether standard output took what was written.
///
/// # Errors
/// When it did not; [`Failure::is_closed_output`] tells whether that is because nobody reads any more.
pub fn taken(written: std::io::Result<()>) -> Result<(), Failure> {
    match written {
        Ok(()) => Ok(()),
        // As with `| head`: whoever read has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::new(Kind::Failed, CLOSED)),
        Err(error) => Err(Failure::new(
            Kind::Failed,
            format!("cannot write to standard output: {error}"),
        )),
    }
}

const CLOSED: &str = "standard output is closed";

impl Failure {
    /// Whether it only says that nobody reads any more, which is no failure of the command.
    pub fn is_closed_output(&self) -> bool {
        self.message == CLOSED
    }
}
