//! The operator's image: one executable, which runs without any right.

use std::os::unix::fs::MetadataExt as _;

use serde_json::json;
use sluice_tests::binaries;
use sluice_tests::container::{Container, Run};
use sluice_tests::image::Image;

use crate::stage::USER;

#[test]
fn the_operators_image_says_what_it_is_writes_nothing_and_runs_as_nobody() {
    let executables = [binaries::operator().unwrap()];
    let image = Image::build(
        "operator-prebuilt",
        &executables,
        &[("REVISION", "0123456789abcdef")],
    )
    .unwrap();
    let config = image.config().unwrap();
    assert_eq!(
        config["Labels"]["org.opencontainers.image.title"],
        "sluice-operator"
    );
    assert_eq!(
        config["Labels"]["org.opencontainers.image.version"],
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(
        config["Labels"]["org.opencontainers.image.revision"],
        "0123456789abcdef"
    );
    assert_eq!(config["User"], format!("{USER}:{USER}"));
    assert_eq!(config["ExposedPorts"], json!({"8080/tcp": {}}));
    assert_eq!(config["Entrypoint"], json!(["/usr/local/bin/sluice-operator"]));
    assert!(config["Volumes"].is_null());

    let programs = image.root().unwrap().join("usr/local/bin");
    let found: Vec<_> = std::fs::read_dir(&programs)
        .unwrap()
        .map(|entry| entry.unwrap())
        .collect();
    assert_eq!(found.len(), 1);
    let program = found[0].metadata().unwrap();
    assert_eq!((program.uid(), program.mode() & 0o6022), (0, 0));

    // It gets as far as to look for an API server, of which a container that is not in a pod has none.
    let mut container = Container::start(&image, &Run::default()).unwrap();
    let status = container.wait_for_end().unwrap();
    let log = container.log().unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("how to reach the API server"), "{log}");
}
