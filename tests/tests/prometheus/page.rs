//! What docs/metrics.md has between its fences, so that page and test cannot differ.

use std::path::{Path, PathBuf};

use sluice_tests::process::Broker;

pub const PAGE: &str = include_str!("../../../docs/metrics.md");

/// The texts of a kind, in order.
pub fn fenced(kind: &str) -> Vec<&'static str> {
    let begin = format!("```{kind}\n");
    let texts = PAGE.split(&*begin).skip(1);
    texts
        .map(|text| text.split_once("```").expect("a fence ends").0.trim())
        .collect()
}

/// Where the rules are.
pub fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring")
}

/// The page's configuration, of which only times and places are others.
pub fn configuration(broker: &Broker) -> String {
    let [page] = fenced("yaml")[..] else {
        panic!("the page has one configuration")
    };
    let mut text = page.to_owned();
    let port = broker.http_port().to_string();
    let rules = format!("  - {}/", monitoring().display());
    for (from, to) in [("15s", "1s"), ("  - monitoring/", &*rules), ("5557", &*port)] {
        assert!(text.contains(from), "{from} is not in the page's configuration");
        text = text.replace(from, to);
    }
    text
}
