//! Figures of several runs as Markdown, and what they are to come to.

use std::fmt;

/// What a row is to come to.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    /// A figure that is no number meets none.
    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtMost(bound) => figure <= bound,
            Self::AtLeast(bound) => figure >= bound,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bound) => write!(out, "at most {bound}"),
            Self::AtLeast(bound) => write!(out, "at least {bound}"),
        }
    }
}

/// Which figures of a row a goal is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    EachRun,
    Median,
}

/// One row a figure, one column a run, the median, and the goal if any row has one.
#[derive(Debug)]
pub struct Table {
    title: String,
    rows: Vec<(String, Vec<f64>)>,
    goals: Vec<(String, Of, Goal)>,
}

impl Table {
    /// A table without rows.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            rows: Vec::new(),
            goals: Vec::new(),
        }
    }

    /// The same table, whose row `row` has a goal that each run is to meet.
    #[must_use]
    pub fn with_goal(mut self, row: &str, goal: Goal) -> Self {
        self.goals.push((row.to_owned(), Of::EachRun, goal));
        self
    }

    /// The same table, whose row `row` has a goal that its median is to meet: for what compares two loads that ran one after
    /// the other, where the machine was slower under one of them in some runs and under the other in others.
    #[must_use]
    pub fn with_goal_of_median(mut self, row: &str, goal: Goal) -> Self {
        self.goals.push((row.to_owned(), Of::Median, goal));
        self
    }

    /// The goals that are missed, in words. A row that is not there misses its goal.
    pub fn missed(&self) -> Vec<String> {
        let goals = self.goals.iter();
        goals
            .filter_map(|(name, of, goal)| self.misses(name, *of, *goal))
            .collect()
    }

    fn misses(&self, name: &str, of: Of, goal: Goal) -> Option<String> {
        let row = self.rows.iter().find(|(row, _)| row == name);
        let Some((_, figures)) = row else {
            return Some(format!("{}: {name}: there is no such figure", self.title));
        };
        let (held, which) = match of {
            Of::EachRun => (figures.clone(), "each run"),
            Of::Median => (vec![median(figures)], "the median"),
        };
        let missing = held.into_iter().filter(|figure| !goal.is_met(*figure));
        let missing: Vec<_> = missing.map(shown).collect();
        (!missing.is_empty()).then(|| {
            let missing = missing.join(", ");
            format!("{}: {name}: {missing}, and {which} is to be {goal}", self.title)
        })
    }

    /// The column of goals, for a row.
    fn goal(&self, name: &str) -> String {
        let goal = self.goals.iter().find(|(row, ..)| row == name);
        match goal {
            Some((_, Of::EachRun, goal)) => format!(" each run {goal} |"),
            Some((_, Of::Median, goal)) => format!(" median {goal} |"),
            None => " |".to_owned(),
        }
    }

    /// Adds one run's figure to its row, which is made if need be.
    pub fn add(&mut self, row: &str, figure: f64) {
        match self.rows.iter_mut().find(|(name, _)| name == row) {
            Some((_, figures)) => figures.push(figure),
            None => self.rows.push((row.to_owned(), vec![figure])),
        }
    }
}

/// The one in the middle, or the mean of the two.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Three digits that count are enough: the runs differ in the second.
fn shown(figure: f64) -> String {
    match figure.abs() {
        large if large >= 100.0 => format!("{figure:.0}"),
        medium if medium >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self
            .rows
            .iter()
            .map(|(_, figures)| figures.len())
            .max()
            .unwrap_or(0);
        write!(out, "| {} |", self.title)?;
        (1..=runs).try_for_each(|run| write!(out, " run {run} |"))?;
        let has_goals = !self.goals.is_empty();
        writeln!(out, " median |{}", if has_goals { " goal |" } else { "" })?;
        writeln!(out, "|{}", " --- |".repeat(runs + 2 + usize::from(has_goals)))?;
        for (name, figures) in &self.rows {
            write!(out, "| {name} |")?;
            figures
                .iter()
                .try_for_each(|figure| write!(out, " {} |", shown(*figure)))?;
            write!(out, " **{}** |", shown(median(figures)))?;
            writeln!(out, "{}", if has_goals { self.goal(name) } else { String::new() })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_every_run_and_the_median() {
        let mut table = Table::new("sync");
        for (rate, tail) in [(70_000.4, 9.87), (90_000.0, 12.34), (80_000.0, 0.123)] {
            table.add("sends a second", rate);
            table.add("p99 in ms", tail);
        }
        assert_eq!(
            table.to_string(),
            "| sync | run 1 | run 2 | run 3 | median |\n\
             | --- | --- | --- | --- | --- |\n\
             | sends a second | 70000 | 90000 | 80000 | **80000** |\n\
             | p99 in ms | 9.87 | 12.3 | 0.12 | **9.87** |\n"
        );
    }

    fn with_row(table: Table, row: &str, figures: &[f64]) -> Table {
        figures.iter().fold(table, |mut table, figure| {
            table.add(row, *figure);
            table
        })
    }

    #[test]
    fn a_goal_of_each_run_is_missed_by_any_run_beyond_it_and_one_of_the_median_by_the_median_alone() {
        let of_each =
            |goal, figures: &[f64]| with_row(Table::new("t").with_goal("a", goal), "a", figures).missed();
        let of_median = |goal, figures: &[f64]| {
            with_row(Table::new("t").with_goal_of_median("a", goal), "a", figures).missed()
        };
        let (most, least) = (Goal::AtMost(2.0), Goal::AtLeast(2.0));
        assert_eq!(of_each(most, &[1.0, 2.0, 0.0]), [""; 0]);
        assert_eq!(of_each(least, &[3.0, 2.0, 9.0]), [""; 0]);
        // Of all of these the median is sound.
        let beyond = of_each(most, &[1.0, 1.0, 1.0, 9.0, 2.5]);
        assert_eq!(beyond, ["t: a: 9.00, 2.50, and each run is to be at most 2"]);
        let below = of_each(least, &[3.0, 1.5, 3.0]);
        assert_eq!(below, ["t: a: 1.50, and each run is to be at least 2"]);
        let none = of_each(most, &[1.0, f64::NAN, 1.0]);
        assert_eq!(none, ["t: a: NaN, and each run is to be at most 2"]);
        assert_eq!(of_median(most, &[1.0, 9.0, 2.0]), [""; 0]);
        assert_eq!(of_median(least, &[3.0, 1.0, 2.0]), [""; 0]);
        let median = of_median(most, &[1.0, 9.0, 3.0]);
        assert_eq!(median, ["t: a: 3.00, and the median is to be at most 2"]);
    }

    #[test]
    fn a_goal_is_missed_by_a_figure_that_nobody_took() {
        let table = Table::new("t").with_goal("c", Goal::AtLeast(1.0));
        assert_eq!(table.missed(), ["t: c: there is no such figure"]);
    }

    #[test]
    fn a_table_with_goals_says_of_each_what_is_to_meet_it() {
        let table = Table::new("t")
            .with_goal("a", Goal::AtMost(2.5))
            .with_goal_of_median("b", Goal::AtLeast(0.8));
        let table = ["a", "b", "c"]
            .into_iter()
            .fold(table, |table, row| with_row(table, row, &[1.0, 1.0]));
        assert_eq!(
            table.to_string(),
            "| t | run 1 | run 2 | median | goal |\n\
             | --- | --- | --- | --- | --- |\n\
             | a | 1.00 | 1.00 | **1.00** | each run at most 2.5 |\n\
             | b | 1.00 | 1.00 | **1.00** | median at least 0.8 |\n\
             | c | 1.00 | 1.00 | **1.00** | |\n"
        );
    }

    #[test]
    fn the_median_of_two_is_their_mean() {
        assert_eq!(median(&[1.0, 4.0]).to_bits(), 2.5_f64.to_bits());
    }
}
