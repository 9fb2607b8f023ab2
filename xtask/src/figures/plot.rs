//! Courses over time as SVG: panels below each other with one time axis, and marks of what happened.

use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const PANEL: f64 = 150.0;
const GAP: f64 = 40.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;
const COLOURS: [&str; 3] = ["#1f6f8b", "#c1666b", "#4d7c0f"];
const MARK_COLOURS: [&str; 3] = ["#c8553d", "#8fa3c9", "#c9c9c9"];
const STEPS: u32 = 4;

/// One course.
pub struct Panel {
    pub title: String,
    /// Seconds, and what was measured. A point that is no number, or none that is finite, is left out.
    pub points: Vec<(f64, f64)>,
}

/// Panels with marks that go through all of them.
pub struct Plot {
    pub panels: Vec<Panel>,
    /// What happened, and at which seconds.
    pub marks: Vec<(String, Vec<f64>)>,
}

impl Plot {
    /// The picture, complete.
    pub fn into_svg(mut self) -> String {
        // One of them would be the scale of all others.
        for panel in &mut self.panels {
            panel.points.retain(|(x, y)| x.is_finite() && y.is_finite());
        }
        for (_, times) in &mut self.marks {
            times.retain(|seconds| seconds.is_finite());
        }
        let height = GAP + self.panels.len() as f64 * (PANEL + GAP) + GAP / 2.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        let latest = |points: &[(f64, f64)]| points.iter().map(|(x, _)| *x).fold(1.0, f64::max);
        let end = self
            .panels
            .iter()
            .map(|panel| latest(&panel.points))
            .fold(1.0, f64::max);
        let bottom = height - GAP / 2.0 - GAP;
        for ((what, times), (number, colour)) in self.marks.iter().zip(MARK_COLOURS.iter().enumerate()) {
            for seconds in times {
                line(
                    &mut svg,
                    (across(*seconds, end), GAP),
                    (across(*seconds, end), bottom),
                    colour,
                );
            }
            text(
                &mut svg,
                (LEFT + 160.0 * number as f64, 16.0),
                "start",
                &format!("| {what}"),
                colour,
            );
        }
        for (number, panel) in self.panels.iter().enumerate() {
            let top = GAP + number as f64 * (PANEL + GAP);
            draw(&mut svg, panel, top, end, COLOURS[number % COLOURS.len()]);
        }
        for step in 0..=10 {
            let seconds = end * f64::from(step) / 10.0;
            text(
                &mut svg,
                (across(seconds, end), height - GAP / 2.0),
                "middle",
                &format!("{seconds:.0} s"),
                "#333",
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn across(seconds: f64, end: f64) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * seconds / end
}

fn draw(svg: &mut String, panel: &Panel, top: f64, end: f64, colour: &str) {
    let highest = panel.points.iter().map(|(_, y)| *y).fold(0.0, f64::max);
    let scale = if highest > 0.0 { highest } else { 1.0 };
    let height = |y: f64| top + PANEL * (1.0 - y / scale);
    for step in 0..=STEPS {
        let y = scale * f64::from(step) / f64::from(STEPS);
        line(svg, (LEFT, height(y)), (WIDTH - RIGHT, height(y)), "#ececec");
        let label = if scale < 10.0 {
            format!("{y:.1}")
        } else {
            format!("{y:.0}")
        };
        text(svg, (LEFT - 6.0, height(y) + 4.0), "end", &label, "#333");
    }
    text(svg, (LEFT, top - 8.0), "start", &panel.title, colour);
    let mut course = String::new();
    for (x, y) in &panel.points {
        // Writing to a string does not fail.
        let _ = write!(course, "{:.1},{:.1} ", across(*x, end), height(*y));
    }
    let _ = writeln!(
        svg,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\" points=\"{}\"/>",
        course.trim_end()
    );
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-width=\"0.8\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(svg: &mut String, at: (f64, f64), anchor: &str, text: &str, colour: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>",
        at.0, at.1
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_every_panel_every_mark_and_no_number_that_is_none() {
        let panel = |title: &str, points| Panel {
            title: title.to_owned(),
            points,
        };
        let plot = Plot {
            panels: vec![
                panel("one", vec![(0.0, 1.0), (10.0, 2.0)]),
                panel("none", Vec::new()),
            ],
            marks: vec![("roll".to_owned(), vec![5.0])],
        };
        let svg = plot.into_svg();
        for part in ["one", "none", "| roll", "<polyline", "10 s"] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_point_that_is_not_finite_is_left_out_and_scales_nothing() {
        let none = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        let sound = [(0.0, 1.0), (10.0, 2.0)];
        let drawn = |points: Vec<(f64, f64)>, marks| {
            let panels = vec![Panel {
                title: "one".to_owned(),
                points,
            }];
            let marks = vec![("roll".to_owned(), marks)];
            Plot { panels, marks }.into_svg()
        };
        let mut points = sound.to_vec();
        let mut marks = vec![5.0];
        for none in none {
            points.extend([(4.0, none), (none, 1.0)]);
            marks.push(none);
        }
        assert_eq!(drawn(points, marks), drawn(sound.to_vec(), vec![5.0]));
    }
}
