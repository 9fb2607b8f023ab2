//! The chart rendered, and questions about what comes out.

use std::path::PathBuf;

use serde_json::Value;
use sluice_tests::kube::helm::{Helm, chart};

pub const RELEASE: &str = "sluice";
pub const NAMESPACE: &str = "sluice-system";

/// What the Prometheus operator's kinds are to `helm template`, which asks no server.
pub const MONITORS: [&str; 6] = [
    "--api-versions",
    "monitoring.coreos.com/v1/ServiceMonitor",
    "--api-versions",
    "monitoring.coreos.com/v1/PodMonitor",
    "--api-versions",
    "monitoring.coreos.com/v1/PrometheusRule",
];

/// The files of values in the chart's folder `ci`, by name.
pub fn values_files() -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(chart().join("ci")).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect();
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    files
}

/// The file of that name, as an argument.
pub fn values_file(name: &str) -> String {
    let path = chart().join("ci").join(format!("{name}-values.yaml"));
    path.display().to_string()
}

/// The objects with these arguments.
pub fn render(arguments: &[&str]) -> Vec<Value> {
    Helm::default().template(RELEASE, NAMESPACE, arguments).unwrap()
}

/// The objects with every kind of monitor known, and the values of a file.
pub fn render_file(name: &str) -> Vec<Value> {
    let file = values_file(name);
    render(&[&MONITORS[..], &["--values", &file]].concat())
}

/// Why these arguments are refused.
pub fn refusal(arguments: &[&str]) -> String {
    let rendered = Helm::default().template(RELEASE, NAMESPACE, arguments);
    format!("{:#}", rendered.expect_err("it renders"))
}

/// Those of a kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The only one of a kind.
pub fn the<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found = of_kind(objects, kind);
    let [object] = found[..] else {
        panic!("{} objects of the kind {kind}", found.len())
    };
    object
}

/// How messages call an object.
pub fn name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// The texts of a list.
pub fn texts(list: &Value) -> Vec<&str> {
    let values = list.as_array().into_iter().flatten();
    values.map(|value| value.as_str().unwrap()).collect()
}
