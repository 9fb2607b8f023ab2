//! The chart as it is published: an archive, in which there are no links.

use std::collections::BTreeSet;
use std::fs::File;

use flate2::read::GzDecoder;
use sluice_tests::kube::helm::{Helm, chart};

use crate::stage::{MONITORS, NAMESPACE, RELEASE};

#[test]
fn an_archive_has_what_the_links_lead_to_and_renders_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().to_str().unwrap();
    let helm = Helm::default();
    helm.run(&["package", chart().to_str().unwrap(), "--destination", to])
        .unwrap();
    let archive = folder
        .path()
        .join(format!("sluice-{}.tgz", env!("CARGO_PKG_VERSION")));

    let mut files = BTreeSet::new();
    for entry in tar::Archive::new(GzDecoder::new(File::open(&archive).unwrap()))
        .entries()
        .unwrap()
    {
        let entry = entry.unwrap();
        assert!(entry.header().entry_type().is_file());
        files.insert(entry.path().unwrap().display().to_string());
    }
    assert!(files.contains("sluice/files/crds/topics.yaml"), "{files:?}");
    assert!(
        files.contains("sluice/files/monitoring/dashboards/overview.json"),
        "{files:?}"
    );
    let of_makers = |file: &&String| file.starts_with("sluice/ci/") || file.ends_with("-test.yaml");
    assert_eq!(files.iter().find(of_makers), None);

    let render = |chart: &str| {
        let beginning = ["template", RELEASE, chart, "--namespace", NAMESPACE];
        helm.run(&[&beginning[..], &MONITORS].concat()).unwrap()
    };
    assert_eq!(
        render(archive.to_str().unwrap()),
        render(chart().to_str().unwrap())
    );
}
