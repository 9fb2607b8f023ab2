//! Prometheus's text format, read as strictly as Prometheus reads it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// All samples of a page.
///
/// # Errors
/// Names the first line that is not of the format.
pub fn parse(text: &str) -> Result<Vec<Sample>> {
    ensure!(
        text.is_empty() || text.ends_with('\n'),
        "the last line has no end"
    );
    let mut samples = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let parsed = match line.strip_prefix('#') {
            _ if line.trim().is_empty() => Ok(None),
            Some(comment) => check_comment(comment).map(|()| None),
            None => sample(line).map(Some),
        };
        samples.extend(parsed.with_context(|| format!("line {number} of the metrics: {line:?}"))?);
    }
    Ok(samples)
}

fn check_comment(comment: &str) -> Result<()> {
    let mut words = comment.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("TYPE"), Some(name), Some(kind)) => {
            ensure!(is_name(name), "{name:?} is no name");
            let kinds = ["counter", "gauge", "histogram", "summary", "untyped"];
            ensure!(kinds.contains(&kind), "{kind:?} is no type");
        }
        (Some("HELP"), Some(name), _) => ensure!(is_name(name), "{name:?} is no name"),
        _ => {}
    }
    Ok(())
}

fn sample(line: &str) -> Result<Sample> {
    let name_ends = line.find([' ', '{']).context("no value")?;
    let (name, rest) = line.split_at(name_ends);
    ensure!(is_name(name), "{name:?} is no name");
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let mut words = rest.split_whitespace();
    let value = words.next().context("no value")?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        _ => value.parse().with_context(|| format!("{value:?} is no number"))?,
    };
    if let Some(time) = words.next() {
        time.parse::<i64>()
            .with_context(|| format!("{time:?} is no time"))?;
    }
    ensure!(words.next().is_none(), "there is more than a value and a time");
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// What stands up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Result<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, after) = rest.split_once("=\"").context("a label without a value")?;
        ensure!(is_name(name) && !name.contains(':'), "{name:?} is no label");
        let (value, after) = quoted(after)?;
        ensure!(
            labels.insert(name.to_owned(), value).is_none(),
            "the label {name} stands twice"
        );
        rest = after.strip_prefix(',').unwrap_or(after);
    }
}

/// The text up to the closing quote with its escapes undone, and what follows the quote.
fn quoted(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c @ ('\\' | '"'))) => value.push(c),
                _ => bail!("an escape that is none"),
            },
            c => value.push(c),
        }
    }
    bail!("a value without its closing quote")
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '_' | ':'))
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let text = "# HELP a_total What it\\nis.\n# TYPE a_total counter\na_total{x=\"1\",y=\"q\\\"}\"} 3\nb 1.5e3 17\n\
                    c_bucket{le=\"+Inf\"} +Inf\n";
        let samples = parse(text).unwrap();
        assert_eq!(samples.len(), 3);
        assert_eq!(samples[0].labels["y"], "q\"}");
        assert_eq!((samples[0].value, samples[1].value), (3.0, 1500.0));
        assert!(samples[2].value.is_infinite());
    }

    #[test]
    fn what_is_not_of_the_format_is_named() {
        for text in [
            "a",
            "a\n",
            "a x\n",
            "1a 1\n",
            "a{b} 1\n",
            "a{b=\"c} 1\n",
            "a{b=\"c\",b=\"d\"} 1\n",
            "a 1 2 3\n",
            "# TYPE a number\n",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
