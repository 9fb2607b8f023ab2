//! What the image says about itself, and what is in it.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;

use serde_json::json;

use crate::stage::{USER, image};

#[test]
fn the_image_says_what_it_is_and_how_it_is_to_be_run() {
    let config = image().config().unwrap();
    let labels = &config["Labels"];
    for (name, value) in [
        ("title", "sluice-broker"),
        (
            "description",
            "A message broker that speaks the protocol of Apache RocketMQ 5",
        ),
        ("licenses", "Apache-2.0"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("revision", "0123456789abcdef"),
    ] {
        assert_eq!(
            labels[format!("org.opencontainers.image.{name}")],
            value,
            "{labels}"
        );
    }
    assert_eq!(config["User"], format!("{USER}:{USER}"));
    assert_eq!(config["StopSignal"], "SIGTERM");
    assert_eq!(config["Volumes"], json!({"/var/lib/sluice": {}}));
    assert_eq!(
        config["ExposedPorts"],
        json!({"5557/tcp": {}, "8081/tcp": {}, "8082/tcp": {}})
    );
    assert_eq!(config["Entrypoint"], json!(["/usr/local/bin/sluice-broker"]));
}

#[test]
fn only_the_folder_for_data_belongs_to_the_broker_and_nothing_lends_rights() {
    let root = image().root().unwrap();
    let mut own = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let found = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            assert_eq!(found.mode() & 0o6000, 0, "{name} runs as somebody else");
            if found.uid() == USER || found.gid() == USER {
                own.insert(name);
            } else {
                assert_eq!(found.mode() & 0o002, 0, "anyone may write {name}");
            }
            if found.is_dir() {
                folders.push(path);
            }
        }
    }
    assert_eq!(own, BTreeSet::from(["var/lib/sluice".to_owned()]));
}
