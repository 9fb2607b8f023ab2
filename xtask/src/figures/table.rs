//! Figures of several runs as Markdown, and what they are to come to.

use std::fmt;

/// What the median of a row is to come to.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// One row a figure, one column a run, and the median last.
#[derive(Debug)]
pub struct Table {
    title: String,
    rows: Vec<(String, Vec<f64>)>,
    goals: Vec<(String, Goal)>,
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

    /// The same table, whose row `row` has a goal.
    #[must_use]
    pub fn with_goal(mut self, row: &str, goal: Goal) -> Self {
        self.goals.push((row.to_owned(), goal));
        self
    }

    /// The goals that are missed, in words. A row that is not there misses its goal.
    pub fn missed(&self) -> Vec<String> {
        let goals = self.goals.iter();
        goals
            .filter_map(|(name, goal)| self.misses(name, *goal))
            .collect()
    }

    fn misses(&self, name: &str, goal: Goal) -> Option<String> {
        let row = self.rows.iter().find(|(row, _)| row == name);
        let Some((_, figures)) = row else {
            return Some(format!("{}: {name}: there is no such figure", self.title));
        };
        let came_to = median(figures);
        let (is_met, bound) = match goal {
            Goal::AtMost(bound) => (came_to <= bound, format!("at most {bound}")),
            Goal::AtLeast(bound) => (came_to >= bound, format!("at least {bound}")),
        };
        let shown = shown(came_to);
        (!is_met).then(|| format!("{}: {name}: {shown}, and is to be {bound}", self.title))
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
        writeln!(out, " median |")?;
        writeln!(out, "|{}", " --- |".repeat(runs + 2))?;
        for (name, figures) in &self.rows {
            write!(out, "| {name} |")?;
            figures
                .iter()
                .try_for_each(|figure| write!(out, " {} |", shown(*figure)))?;
            writeln!(out, " **{}** |", shown(median(figures)))?;
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

    #[test]
    fn a_goal_is_missed_by_a_median_beyond_it_and_by_a_figure_that_nobody_took() {
        let made = |figure| {
            let goals = [("a", Goal::AtMost(2.0)), ("b", Goal::AtLeast(0.8))];
            let table = Table::new("t");
            let mut table = goals
                .into_iter()
                .fold(table, |table, (row, goal)| table.with_goal(row, goal));
            for figure in [1.0, 9.0, figure] {
                table.add("a", figure);
            }
            table.add("b", 0.8);
            table.missed()
        };
        assert_eq!(made(2.0), [""; 0]);
        assert_eq!(made(2.5), ["t: a: 2.50, and is to be at most 2"]);
        let table = Table::new("t").with_goal("c", Goal::AtLeast(1.0));
        assert_eq!(table.missed(), ["t: c: there is no such figure"]);
    }

    #[test]
    fn the_median_of_two_is_their_mean() {
        assert_eq!(median(&[1.0, 4.0]).to_bits(), 2.5_f64.to_bits());
    }
}
