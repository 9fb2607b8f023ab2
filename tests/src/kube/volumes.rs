//! Volumes for claims: folders of the node, offered before anyone claims them, since nothing here makes them on demand.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::PersistentVolume;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

use super::folder::Folder;

/// What claims that name no class get.
pub const CLASS: &str = "sluice-tests";
/// Each with a folder of its own. A claim that is given up frees none of them.
const VOLUMES: usize = 16;
const SIZE: &str = "10Gi";

/// Makes the class and its volumes, in the cluster's folder, which they go with.
///
/// # Errors
/// When the server refuses, or a folder cannot be made.
pub async fn offer(client: &Client, folder: &Folder) -> Result<()> {
    let class = json!({
        "metadata": {
            "name": CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "Immediate",
        // What is asked for is written down; the folder has what the disk has.
        "allowVolumeExpansion": true,
    });
    let classes: Api<StorageClass> = Api::all(client.clone());
    classes
        .create(&PostParams::default(), &serde_json::from_value(class)?)
        .await
        .context("cannot make the class of the volumes")?;
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    for number in 0..VOLUMES {
        let path = folder.make(&format!("volumes/{number}"))?;
        // Any user's: a pod's group is not given a folder of the node, as it would be given a volume.
        fs::set_permissions(&path, Permissions::from_mode(0o777))?;
        let volume = json!({
            "metadata": {"name": format!("{CLASS}-{number}")},
            "spec": {
                "storageClassName": CLASS,
                "capacity": {"storage": SIZE},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": path, "type": "Directory"},
            },
        });
        volumes
            .create(&PostParams::default(), &serde_json::from_value(volume)?)
            .await
            .context("cannot make a volume")?;
    }
    Ok(())
}
