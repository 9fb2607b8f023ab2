//! `kill -9` in a loop, under load, some of them aimed at a checkpoint or at the log's change to a new segment.

mod aim;

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::time::sleep;

pub use aim::Aim;

use self::aim::Evidence;
use crate::oracle::Verdict;
use crate::process::{Broker, Setup};
use crate::seed::Chance;
use crate::workload::{Counted, Shape, Workload};

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long the load may take to reach its rate after a start.
const UP_TO_SPEED_WITHIN: Duration = Duration::from_secs(15);

/// What to do to a broker.
pub struct Campaign {
    /// How the broker is started.
    pub setup: Setup,
    /// The load.
    pub shape: Shape,
    /// Sends, receives and acknowledgements a second that there must be before each kill.
    pub at_least: f64,
    /// How many kills.
    pub kills: u32,
    /// Where all chance comes from.
    pub seed: u64,
    /// How long it may take at the end until everything is delivered.
    pub deliver_within: Duration,
    /// Whether the first violation ends it, and a broker that finds its files damaged and does not start again.
    pub until_violation: bool,
}

/// One kill.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// What it was aimed at.
    pub aim: Aim,
    /// The load before it.
    pub rates: Counted,
    /// Whether a checkpoint was left unfinished.
    pub during_checkpoint: bool,
    /// Whether the log's newest segment had just been begun.
    pub during_roll: bool,
    /// How long the next start took.
    pub ready_after: Duration,
}

/// What came of a campaign.
#[derive(Debug)]
pub struct Report {
    /// All kills.
    pub rounds: Vec<Round>,
    /// Why the broker did not start again, which ends a campaign that goes on until a violation.
    pub refused: Option<String>,
    /// What the checker says.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

impl Campaign {
    /// Runs it. Needs a multi-threaded tokio runtime around it, whose workers carry the load.
    ///
    /// # Errors
    /// When the broker does not start again and `until_violation` is not set, or the load does not reach its rate.
    pub async fn run(self) -> Result<Report> {
        let started = Instant::now();
        let mut chance = Chance::new(self.seed);
        let mut broker = self.setup.start()?;
        let workload = Workload::start(&broker.endpoint(), &self.shape, self.seed)?;
        let mut rounds = Vec::new();
        let mut refused = None;
        for kill in 0..self.kills {
            let so_far = || format!("kill {kill}, so far {}", workload.verdict());
            let rates = up_to_speed(&workload, self.at_least, &mut chance)
                .await
                .with_context(so_far)?;
            if self.until_violation && !workload.verdict().is_clean() {
                break;
            }
            let seen = kill_at(&mut broker, &workload, Aim::of(kill), &mut chance).await;
            let (aim, evidence) = seen.with_context(so_far)?;
            match broker.restart() {
                Ok(ready_after) => rounds.push(Round {
                    aim,
                    rates,
                    during_checkpoint: evidence.unfinished_checkpoint,
                    during_roll: evidence.fresh_segment,
                    ready_after,
                }),
                Err(error) if self.until_violation => {
                    refused = Some(format!("{error:#}"));
                    break;
                }
                Err(error) => return Err(error).with_context(so_far),
            }
        }
        workload.gate().open();
        let verdict = workload.finish(self.deliver_within).await?;
        Ok(Report {
            rounds,
            refused,
            verdict,
            took: started.elapsed(),
        })
    }
}

/// Waits until the load has its rate for a moment; gives it.
async fn up_to_speed(workload: &Workload, at_least: f64, chance: &mut Chance) -> Result<Counted> {
    workload.gate().open();
    let mut window = workload
        .meter()
        .window(Duration::from_millis(chance.between(600, 1000)));
    let deadline = Instant::now() + UP_TO_SPEED_WITHIN;
    let mut last = None;
    loop {
        last = window.read().or(last);
        match last {
            Some(rates) if rates.least() >= at_least => return Ok(rates),
            _ if Instant::now() >= deadline => {
                bail!("the load is below {at_least} a second: {last:?}")
            }
            _ => sleep(LOOK_EVERY).await,
        }
    }
}

async fn kill_at(
    broker: &mut Broker,
    workload: &Workload,
    aim: Aim,
    chance: &mut Chance,
) -> Result<(Aim, Evidence)> {
    let moment = aim.wait(&broker.shard_dir(), chance).await?;
    // The signal ends the writing; the process takes its time to be gone.
    let killed = Instant::now();
    broker.kill()?;
    workload.gate().close();
    Ok((aim, aim::evidence(&broker.shard_dir(), &moment, killed)?))
}

impl Report {
    /// Kills that fell into a checkpoint.
    #[must_use]
    pub fn during_checkpoint(&self) -> usize {
        self.rounds.iter().filter(|round| round.during_checkpoint).count()
    }

    /// Kills that fell into the change to a new segment.
    #[must_use]
    pub fn during_roll(&self) -> usize {
        self.rounds.iter().filter(|round| round.during_roll).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} kills in {:.1?}, {} during a checkpoint, {} during a segment's beginning",
            self.rounds.len(),
            self.took,
            self.during_checkpoint(),
            self.during_roll()
        )?;
        for (name, rate) in [
            ("sends", (|rates| rates.sends) as fn(&Counted) -> f64),
            ("receives", |rates| rates.receives),
            ("acknowledgements", |rates| rates.acknowledgements),
        ] {
            let rates = sorted(self.rounds.iter().map(|round| rate(&round.rates)));
            if let (Some(least), Some(median)) = (rates.first(), rates.get(rates.len() / 2)) {
                writeln!(f, "{name} a second: least {least:.0}, median {median:.0}")?;
            }
        }
        let ready = sorted(self.rounds.iter().map(|round| round.ready_after.as_secs_f64()));
        if let (Some(median), Some(longest)) = (ready.get(ready.len() / 2), ready.last()) {
            writeln!(
                f,
                "ready again after: median {median:.3} s, longest {longest:.3} s"
            )?;
        }
        write!(f, "{}", self.verdict)
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}
