//! Minutes of sends as fast as they go, while retention takes the log's start away: what memory and latency do over time.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::Setup;
use super::disk::{Writes, writes_under};
use super::load;
use super::plot::{Panel, Plot};
use super::server::Server;
use super::table::{Goal, Table, median};

const KEPT: &str = "8GiB";
const SEGMENT_SIZE: &str = "1GiB";
const SEGMENT_BYTES: f64 = (1_u64 << 30) as f64;
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// From then on memory is to stand still.
const SETTLED_AFTER: f64 = 120.0;
const MEMORY_SLOPE: &str = "anonymous memory after minute 2: MiB a minute";
const HIGHEST: &str = "p99 of 5 s, highest: times the median";

/// One look at the broker.
#[derive(Clone, Copy, Debug)]
struct Look {
    seconds: f64,
    memory_mib: f64,
    /// Where the log begins.
    start: f64,
    /// Segments that were begun, but for a constant.
    begun: f64,
    checkpoints: f64,
    /// What the disk has done, where the system tells.
    disk: Option<Writes>,
}

/// One line of the load's timeline.
#[derive(Clone, Copy, Debug)]
struct Interval {
    seconds: f64,
    sends: f64,
    p99_ms: f64,
}

/// Measures once, whatever the number of runs: the figures are courses over time.
pub fn measure(setup: &Setup) -> Result<Table> {
    let timeline = setup.dir.join("timeline.csv");
    let server = Server::empty_broker(
        setup,
        &["--retention-bytes", KEPT, "--segment-size", SEGMENT_SIZE],
    )?;
    let load = || run_load(setup, &timeline.display().to_string());
    let looks = watch(&server, &setup.dir, load)?;
    let text =
        fs::read_to_string(&timeline).with_context(|| format!("cannot read {}", timeline.display()))?;
    let intervals = intervals(&text)?;
    if let Some(path) = &setup.plot {
        let drawn = draw(&looks, &intervals).into_svg();
        fs::write(path, drawn).with_context(|| format!("cannot write {}", path.display()))?;
    }
    table(setup, &looks, &intervals)
}

fn run_load(setup: &Setup, timeline: &str) -> Result<()> {
    let seconds = format!("{}s", setup.soak_seconds);
    let produce = [
        "produce",
        "--warmup",
        "0s",
        "--duration",
        &seconds,
        "--timeline",
        timeline,
    ];
    load::run(setup, &produce).map(drop)
}

/// Looks at the broker while the work is done.
fn watch(server: &Server, dir: &Path, work: impl FnOnce() -> Result<()> + Send) -> Result<Vec<Look>> {
    let (begun, done) = (Instant::now(), AtomicBool::new(false));
    let looks = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| -> Result<()> {
            while !done.load(Ordering::Acquire) {
                let seconds = begun.elapsed().as_secs_f64();
                let look = look(server, dir, seconds)?;
                looks
                    .lock()
                    .map_err(|_| anyhow::anyhow!("a look panicked"))?
                    .push(look);
                std::thread::park_timeout(LOOK_EVERY);
            }
            Ok(())
        });
        let worked = work();
        done.store(true, Ordering::Release);
        looking.thread().unpark();
        looking.join().ok().context("the looks panicked")??;
        worked
    })?;
    looks.into_inner().map_err(|_| anyhow::anyhow!("a look panicked"))
}

fn look(server: &Server, dir: &Path, seconds: f64) -> Result<Look> {
    let [written, kept, segments, checkpoints] = server.metrics([
        "sluice_log_written_bytes",
        "sluice_log_size_bytes",
        "sluice_log_segments",
        "sluice_checkpoints_total",
    ])?;
    let start = written - kept;
    Ok(Look {
        seconds,
        memory_mib: server.anonymous_mib()?,
        start,
        begun: segments + gone(start),
        checkpoints,
        disk: writes_under(dir)?,
    })
}

/// How long a write took the disk on average in each interval, where the system tells.
fn disk_ms(looks: &[Look], intervals: &[Interval]) -> Vec<Option<f64>> {
    let until = |seconds| looks.iter().rfind(|look| look.seconds <= seconds)?.disk;
    let from = std::iter::once(0.0).chain(intervals.iter().map(|interval| interval.seconds));
    let first = looks.first().and_then(|look| look.disk);
    from.zip(intervals)
        .map(|(from, interval)| until(interval.seconds)?.each_ms(until(from).or(first)?))
        .collect()
}

/// Segments before the log's start: each is shorter than a segment may be by a frame at most.
fn gone(start: f64) -> f64 {
    (start / SEGMENT_BYTES).round()
}

fn intervals(text: &str) -> Result<Vec<Interval>> {
    let lines = text.lines().skip(1);
    let mut intervals = Vec::new();
    for line in lines {
        let fields: Option<Vec<f64>> = line.split(',').map(|field| field.parse().ok()).collect();
        let fields = fields.filter(|fields| fields.len() == 5);
        let fields = fields.with_context(|| format!("not a line of a timeline: {line:?}"))?;
        intervals.push(Interval {
            seconds: fields[0],
            sends: fields[1],
            p99_ms: fields[3] / 1000.0,
        });
    }
    ensure!(
        intervals.len() > 2,
        "the timeline has only {} lines",
        intervals.len()
    );
    Ok(intervals)
}

fn table(setup: &Setup, looks: &[Look], intervals: &[Interval]) -> Result<Table> {
    let mut table = Table::new(format!(
        "{} s of sends as fast as they go, 1 KiB, flush sync, {KEPT} kept",
        setup.soak_seconds
    ))
    .with_goal(MEMORY_SLOPE, Goal::AtMost(1.0))
    .with_goal(HIGHEST, Goal::AtMost(2.0));
    let last = looks.last().context("nobody looked")?;
    let sends: f64 = intervals.iter().map(|interval| interval.sends).sum();
    let whole = intervals.last().map_or(0.0, |interval| interval.seconds);
    table.add("sends a second", sends / whole);
    let rolls = looks.windows(2).filter(|pair| pair[0].begun < pair[1].begun);
    table.add("changes of segment", rolls.count() as f64);
    let trims = looks.windows(2).filter(|pair| pair[0].start < pair[1].start);
    table.add("times that the log began later", trims.count() as f64);
    table.add("checkpoints", last.checkpoints);
    let settled: Vec<_> = looks
        .iter()
        .filter(|look| look.seconds >= SETTLED_AFTER)
        .collect();
    ensure!(
        settled.len() > 2,
        "the run is too short to tell how memory stands"
    );
    let course = settled.iter().map(|look| (look.seconds / 60.0, look.memory_mib));
    table.add(MEMORY_SLOPE, slope(course));
    let most = looks.iter().map(|look| look.memory_mib).fold(0.0, f64::max);
    table.add("anonymous memory at most: MiB", most);
    let mut p99: Vec<f64> = intervals.iter().map(|interval| interval.p99_ms).collect();
    p99.sort_by(f64::total_cmp);
    let middle = median(&p99);
    table.add("p99 of 5 s, median: ms", middle);
    let high = p99[p99.len() * 95 / 100];
    table.add("p99 of 5 s, 19 of 20 are below: ms", high);
    table.add("p99 of 5 s, 19 of 20 are below: times the median", high / middle);
    let highest = p99[p99.len() - 1];
    table.add("p99 of 5 s, highest: ms", highest);
    table.add(HIGHEST, highest / middle);
    add_disk(&mut table, &disk_ms(looks, intervals), intervals);
    Ok(table)
}

/// What the disk had to do with the highest p99.
fn add_disk(table: &mut Table, disk_ms: &[Option<f64>], intervals: &[Interval]) {
    let known: Vec<f64> = disk_ms.iter().flatten().copied().collect();
    let highest = intervals.iter().zip(disk_ms);
    let highest = highest.max_by(|(one, _), (other, _)| one.p99_ms.total_cmp(&other.p99_ms));
    if let Some((_, Some(then))) = highest {
        table.add("a write on the disk, median of 5 s: ms", median(&known));
        table.add("a write on the disk when p99 was highest: ms", *then);
    }
}

/// The slope of the straight line that is nearest to the points, by least squares.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let n = points.clone().count() as f64;
    let (sum_x, sum_y) = points
        .clone()
        .fold((0.0, 0.0), |(sx, sy), (x, y)| (sx + x, sy + y));
    let (mean_x, mean_y) = (sum_x / n, sum_y / n);
    let (above, below) = points.fold((0.0, 0.0), |(above, below), (x, y)| {
        (
            above + (x - mean_x) * (y - mean_y),
            below + (x - mean_x) * (x - mean_x),
        )
    });
    above / below
}

fn draw(looks: &[Look], intervals: &[Interval]) -> Plot {
    let course = |of: &dyn Fn(&Look) -> f64| looks.iter().map(|look| (look.seconds, of(look))).collect();
    let marks = |of: &dyn Fn(&Look) -> f64| {
        let changed = looks.windows(2).filter(|pair| of(&pair[0]) != of(&pair[1]));
        changed.map(|pair| pair[1].seconds).collect::<Vec<_>>()
    };
    let rates = intervals.windows(2).filter_map(|pair| {
        let taken = pair[1].seconds - pair[0].seconds;
        // Two lines of one moment tell no rate.
        (taken > 0.0).then(|| (pair[1].seconds, pair[1].sends / taken))
    });
    Plot {
        panels: vec![
            Panel {
                title: "p99 of each 5 s, ms".to_owned(),
                points: intervals
                    .iter()
                    .map(|interval| (interval.seconds, interval.p99_ms))
                    .collect(),
            },
            Panel {
                title: "sends a second".to_owned(),
                points: rates.collect(),
            },
            Panel {
                title: "anonymous memory, MiB".to_owned(),
                points: course(&|look| look.memory_mib),
            },
        ],
        marks: vec![
            ("the log begins later".to_owned(), marks(&|look| look.start)),
            ("another segment".to_owned(), marks(&|look| look.begun)),
            ("checkpoint".to_owned(), marks(&|look| look.checkpoints)),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_of_a_line_is_its_own() {
        let line = (0..10).map(|x| (f64::from(x), 3.0 + 2.0 * f64::from(x)));
        assert!((slope(line) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn segments_that_have_gone_are_counted_by_where_the_log_begins() {
        assert_eq!(gone(0.0), 0.0);
        // Forty, each of which ends a largest frame early.
        assert_eq!(gone(40.0 * (SEGMENT_BYTES - (4 << 20) as f64)), 40.0);
    }

    #[test]
    fn two_lines_of_one_moment_and_a_look_that_tells_nothing_leave_a_picture_of_numbers() {
        let text = "seconds,sends,p50_us,p99_us,max_us\n\
                    5.000,10,1,2000,3\n10.000,20,1,4000,3\n10.000,1,1,4000,3\n15.000,25,1,NaN,3\n";
        let look = |seconds, memory_mib| Look {
            seconds,
            memory_mib,
            start: 0.0,
            begun: seconds,
            checkpoints: 0.0,
            disk: None,
        };
        let looks = [look(0.0, 100.0), look(1.0, f64::INFINITY), look(2.0, 101.0)];
        let plot = draw(&looks, &intervals(text).unwrap());
        assert_eq!(plot.panels[1].points, [(10.0, 4.0), (15.0, 5.0)]);
        let svg = plot.into_svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn what_a_write_took_the_disk_is_told_for_the_interval_with_the_highest_p99() {
        let look = |seconds, count, ms| Look {
            seconds,
            memory_mib: 1.0,
            start: 0.0,
            begun: 0.0,
            checkpoints: 0.0,
            disk: Some(Writes { count, ms }),
        };
        let looks = [
            look(0.0, 100.0, 10.0),
            look(4.9, 200.0, 20.0),
            look(9.9, 300.0, 320.0),
            look(14.9, 400.0, 330.0),
        ];
        let interval = |seconds, p99_ms| Interval {
            seconds,
            sends: 1.0,
            p99_ms,
        };
        let intervals = [interval(5.0, 7.0), interval(10.0, 50.0), interval(15.0, 8.0)];
        let ms = disk_ms(&looks, &intervals);
        assert_eq!(ms, [Some(0.1), Some(3.0), Some(0.1)]);
        let mut table = Table::new("soak");
        add_disk(&mut table, &ms, &intervals);
        let text = table.to_string();
        assert!(text.contains("when p99 was highest: ms | 3.00"), "{text}");
        let mut unknown = Table::new("soak");
        add_disk(&mut unknown, &[None; 3], &intervals);
        assert!(!unknown.to_string().contains("disk"), "{unknown}");
    }

    #[test]
    fn a_timeline_is_read_and_one_that_is_none_is_not() {
        let text =
            "seconds,sends,p50_us,p99_us,max_us\n5.0,10,1,2000,3\n10.0,20,1,4000,3\n15.0,20,1,4000,3\n";
        let read = intervals(text).unwrap();
        assert_eq!(read.len(), 3);
        assert!((read[1].p99_ms - 4.0).abs() < 1e-9);
        assert!(intervals("seconds\nx,y\n").is_err());
    }
}
