//! A run: named steps one after the other, each timed; a failed step does not hide what the later ones would
//! say.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::budget;
use crate::panics::{Panics, cut};
use crate::process::{self, Tested};
use crate::tally::Tally;

/// Tests print a line whenever one of them ends, and a fresh build beforehand is what takes longest.
pub const LONGEST_SILENCE: Duration = Duration::from_secs(20 * 60);

/// The steps taken so far.
pub struct Run {
    started: Instant,
    longest_silence: Duration,
    has_budget: bool,
    steps: Vec<Step>,
}

/// How many tests a step has to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    AtLeastOne,
    Any,
}

struct Step {
    name: String,
    took: Duration,
    error: Option<anyhow::Error>,
    tests: Option<Tally>,
    panics: Panics,
    builds: bool,
}

/// What a step came to: how it went, its tests, and why they failed.
type Taken = (Result<()>, Option<Tally>, Panics);

impl Run {
    /// A run without steps; its clock starts.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            longest_silence: LONGEST_SILENCE,
            has_budget: false,
            steps: Vec::new(),
        }
    }

    /// Lets tests be silent for this long before they count as hanging.
    pub fn bear_silence(&mut self, longest: Duration) {
        self.longest_silence = longest;
    }

    /// Says at the end if it all took longer than all tests may take ([`budget`]).
    pub fn keep_budget(&mut self) {
        self.has_budget = true;
    }

    /// Takes a step that builds what later ones test. Tells whether it succeeded.
    pub fn build(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> bool {
        let succeeded = self.step(name, work);
        if let Some(step) = self.steps.last_mut() {
            step.builds = true;
        }
        succeeded
    }

    /// Takes a step without tests in it. Tells whether it succeeded.
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> bool {
        self.take(name, || (work(), None, Panics::default()))
    }

    /// Takes a step that runs libtest binaries. Tells whether it succeeded.
    pub fn tests(&mut self, name: &str, expected: Expected, mut command: Command) -> bool {
        let longest = self.longest_silence;
        self.take(name, || match process::run_tests(&mut command, longest) {
            Ok(Tested { tally, panics, ended }) => judge(expected, tally, panics, ended),
            Err(error) => judge(expected, Tally::default(), Panics::default(), Err(error)),
        })
    }

    fn take(&mut self, name: &str, work: impl FnOnce() -> Taken) -> bool {
        println!("\n==> {name}");
        let started = Instant::now();
        let (result, tests, panics) = work();
        let took = started.elapsed();
        let error = result.err();
        match &error {
            None => println!("==> {name}: done in {}", in_seconds(took)),
            Some(error) => println!("==> {name}: FAILED after {}: {error:#}", in_seconds(took)),
        }
        self.steps.push(Step {
            name: name.to_owned(),
            took,
            error,
            tests,
            panics,
            builds: false,
        });
        self.steps.last().is_some_and(|step| step.error.is_none())
    }

    /// Prints the table of steps, what failed and why, and, where tests were run, the count as the last line.
    pub fn finish(self) -> ExitCode {
        println!("\n==> summary");
        for step in &self.steps {
            let verdict = if step.error.is_some() { "FAILED" } else { "ok" };
            let tests = step
                .tests
                .map(|tests| format!(", {} tests passed", tests.passed))
                .unwrap_or_default();
            println!("{:>9}  {verdict:<6}  {}{tests}", in_seconds(step.took), step.name);
        }
        let total = self.started.elapsed();
        println!("{:>9}  in total", in_seconds(total));
        if let Some(note) = self.over_budget(total) {
            println!("           {note}");
        }
        let failed: Vec<_> = self
            .steps
            .iter()
            .filter_map(|step| Some((step, step.error.as_ref()?)))
            .collect();
        if !failed.is_empty() {
            println!("\n{} of {} steps failed:", failed.len(), self.steps.len());
            for (step, error) in &failed {
                // A command may name dozens of tests, which the step's own output has.
                println!("- {}: {}", step.name, cut(&format!("{error:#}"), 300));
                step.panics.lines().for_each(|line| println!("    {line}"));
            }
        }
        if let Some(tally) = self.tally() {
            println!("\n{} passed, {} failed", tally.passed, tally.failed);
        }
        if failed.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn over_budget(&self, total: Duration) -> Option<String> {
        let building = self.steps.iter().filter(|step| step.builds);
        let building = building.map(|step| step.took).sum();
        self.has_budget.then(|| budget::note(total, building)).flatten()
    }

    /// The count over all steps with tests; none if no step had any.
    fn tally(&self) -> Option<Tally> {
        self.steps
            .iter()
            .filter_map(|step| step.tests)
            .reduce(|mut sum, tests| {
                sum.add(tests);
                sum
            })
    }
}

/// What a step with tests comes to. Tests that do not run prove nothing, so ignored ones fail their step, and
/// so does finding none where some are expected; a command that failed without naming a failed test (it did
/// not compile, it was killed) counts as one failure.
fn judge(expected: Expected, mut tally: Tally, panics: Panics, ended: Result<()>) -> Taken {
    let result = ended.and_then(|()| match tally {
        Tally { failed: 1.., .. } => bail!("{} tests failed", tally.failed),
        Tally { ignored: 1.., .. } => bail!("{} tests are ignored; every test is to run", tally.ignored),
        Tally { passed: 0, .. } if expected == Expected::AtLeastOne => bail!("no test was run"),
        _ => Ok(()),
    });
    if result.is_err() && tally.failed == 0 {
        tally.failed = 1;
    }
    (result, Some(tally), panics)
}

/// `4.2 s`, or `3 min 4 s` for what takes longer than a minute.
pub fn in_seconds(took: Duration) -> String {
    let seconds = took.as_secs();
    if seconds < 60 {
        format!("{:.1} s", took.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn counted(passed: u64, failed: u64, ignored: u64) -> Tally {
        Tally {
            passed,
            failed,
            ignored,
        }
    }

    fn all_passed(passed: u64) -> Taken {
        judge(
            Expected::AtLeastOne,
            counted(passed, 0, 0),
            Panics::default(),
            Ok(()),
        )
    }

    #[test]
    fn a_failed_step_does_not_stop_the_run_but_fails_it() {
        let mut run = Run::start();
        assert!(!run.step("first", || bail!("it is broken")));
        assert!(run.step("second", || Ok(())));
        assert_eq!(run.finish(), ExitCode::FAILURE);
    }

    #[test]
    fn counts_of_all_steps_are_added_up() {
        let mut run = Run::start();
        assert!(run.step("format", || Ok(())));
        assert!(run.take("unit", || all_passed(5)));
        assert!(run.take("system", || all_passed(2)));
        assert_eq!(run.tally(), Some(counted(7, 0, 0)));
        assert_eq!(run.finish(), ExitCode::SUCCESS);
    }

    #[test]
    fn a_run_without_tests_has_no_count() {
        let mut run = Run::start();
        run.step("format", || Ok(()));
        assert_eq!(run.tally(), None);
    }

    #[test]
    fn a_step_comes_to_what_its_tests_did() {
        use Expected::{Any, AtLeastOne};
        for (what, expected, tally, command_succeeds, passes, counts) in [
            (
                "all passed",
                AtLeastOne,
                counted(5, 0, 0),
                true,
                true,
                counted(5, 0, 0),
            ),
            (
                "some failed",
                AtLeastOne,
                counted(5, 2, 0),
                false,
                false,
                counted(5, 2, 0),
            ),
            (
                "failed, yet the command did not",
                AtLeastOne,
                counted(5, 2, 0),
                true,
                false,
                counted(5, 2, 0),
            ),
            (
                "none where some are expected",
                AtLeastOne,
                counted(0, 0, 0),
                true,
                false,
                counted(0, 1, 0),
            ),
            (
                "none where none may be",
                Any,
                counted(0, 0, 0),
                true,
                true,
                counted(0, 0, 0),
            ),
            (
                "one ignored",
                Any,
                counted(5, 0, 1),
                true,
                false,
                counted(5, 1, 1),
            ),
            (
                "it did not compile",
                Any,
                counted(0, 0, 0),
                false,
                false,
                counted(0, 1, 0),
            ),
        ] {
            let ended = if command_succeeds {
                Ok(())
            } else {
                Err(anyhow!("`cargo test` ended with 101"))
            };
            let (result, tests, _) = judge(expected, tally, Panics::default(), ended);
            assert_eq!((result.is_ok(), tests), (passes, Some(counts)), "{what}");
        }
    }

    #[test]
    fn a_command_that_cannot_run_counts_as_one_failure() {
        let mut run = Run::start();
        assert!(!run.tests("gone", Expected::Any, Command::new("no-such-program-here")));
        assert_eq!(run.tally(), Some(counted(0, 1, 0)));
    }

    #[test]
    fn only_a_run_of_all_tests_has_a_budget_and_its_builds_count() {
        let two_hours = Duration::from_secs(2 * 3600);
        let mut run = Run::start();
        run.build("executables", || Ok(()));
        run.step("no build", || Ok(()));
        assert_eq!(run.over_budget(two_hours), None);
        run.keep_budget();
        let of_built = run.over_budget(two_hours).unwrap();
        run.steps.iter_mut().for_each(|step| step.took = two_hours / 2);
        let of_fresh = run.over_budget(two_hours).unwrap();
        assert!(
            of_built.contains("60 minutes") && of_fresh.contains("80 minutes"),
            "{of_built}; {of_fresh}"
        );
        run.steps[0].took = Duration::ZERO;
        assert_eq!(run.over_budget(two_hours).unwrap(), of_built);
    }

    #[test]
    fn times_read_well() {
        assert_eq!(in_seconds(Duration::from_millis(4240)), "4.2 s");
        assert_eq!(in_seconds(Duration::from_secs(184)), "3 min 4 s");
    }
}
