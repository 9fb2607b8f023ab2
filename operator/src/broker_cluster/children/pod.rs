//! The brokers' pods: our own template, and what the resource adds to it.

use super::{Blueprint, pod_security};
use crate::broker_cluster::{metadata, names};
use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, Container, ContainerPort, EnvVar, HTTPGetAction, KeyToPath, LocalObjectReference,
    PodSpec, PodTemplateSpec, Probe, SecretVolumeSource, TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use sluice_operator_api::broker_cluster::{PullPolicy, SecretKeyStatus};
use sluice_operator_api::{BrokerCluster, labels};

/// Where the brokers' volume is.
const DATA_FOLDER: &str = "/var/lib/sluice";
/// Where their configuration is. A folder: a file that is mounted alone does not follow its ConfigMap.
const CONFIG_FOLDER: &str = "/etc/sluice/config";
/// Where the admin token is.
pub const ADMIN_FOLDER: &str = "/etc/sluice/admin";
/// Where the certificate for clients is.
pub const TLS_FOLDER: &str = "/etc/sluice/tls";

const CONFIG_VOLUME: &str = "config";
const ADMIN_VOLUME: &str = "admin-token";
const TLS_VOLUME: &str = "tls";
/// Readable for the group, which is the pods' own.
const SECRET_MODE: i32 = 0o440;

/// An hour: a start after a crash reads the log again from its last checkpoint, and must not be cut short.
const START_PERIOD_SECONDS: i32 = 2;
const START_TRIES: i32 = 1800;

/// Names of volumes that the resource cannot give to others.
pub fn reserved_volumes() -> [&'static str; 4] {
    [names::VOLUME, CONFIG_VOLUME, ADMIN_VOLUME, TLS_VOLUME]
}

/// The template of the pods.
pub(super) fn template(blueprint: &Blueprint<'_>) -> PodTemplateSpec {
    let cluster = blueprint.cluster;
    let added = &cluster.spec.pod_template;
    let mut all_labels = added.metadata.labels.clone();
    all_labels.extend(metadata::all_labels(cluster));
    all_labels.insert(
        labels::APP_VERSION.to_owned(),
        version_label(&cluster.spec.version),
    );
    let mut annotations = added.metadata.annotations.clone();
    annotations.insert(
        labels::RESTART_HASH.to_owned(),
        blueprint.configuration.restart_hash(),
    );
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(all_labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(spec(blueprint)),
    }
}

fn spec(blueprint: &Blueprint<'_>) -> PodSpec {
    let cluster = blueprint.cluster;
    let added = &cluster.spec.pod_template;
    let pull_secrets = cluster.spec.image.pull_secrets.iter();
    let pull_secrets: Vec<_> = pull_secrets
        .map(|secret| LocalObjectReference {
            name: secret.name.clone(),
        })
        .collect();
    let mut volumes = volumes(cluster, &blueprint.token);
    volumes.extend(added.volumes.iter().cloned());
    PodSpec {
        containers: vec![container(blueprint)],
        volumes: Some(volumes),
        image_pull_secrets: some(pull_secrets),
        // Brokers do not call Kubernetes.
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        service_account_name: added.service_account_name.clone(),
        security_context: Some(pod_security::of_pod(added)),
        termination_grace_period_seconds: Some(i64::from(cluster.spec.termination_grace_period_seconds)),
        node_selector: (!added.node_selector.is_empty()).then(|| added.node_selector.clone()),
        tolerations: some(added.tolerations.clone()),
        affinity: added.affinity.clone(),
        topology_spread_constraints: Some(spread(cluster)),
        priority_class_name: added.priority_class_name.clone(),
        runtime_class_name: added.runtime_class_name.clone(),
        ..PodSpec::default()
    }
}

fn container(blueprint: &Blueprint<'_>) -> Container {
    let spec = &blueprint.cluster.spec;
    let args = [
        "--profile=container".to_owned(),
        format!("--data-dir={DATA_FOLDER}"),
        format!("--config={CONFIG_FOLDER}/{}", names::CONFIG_KEY),
    ];
    let mut mounts = mounts(blueprint.cluster);
    mounts.extend(spec.pod_template.volume_mounts.iter().cloned());
    Container {
        name: names::CONTAINER.to_owned(),
        image: Some(spec.image_name(blueprint.image_repository)),
        image_pull_policy: spec.image.pull_policy.map(PullPolicy::as_str).map(str::to_owned),
        args: Some(args.into()),
        env: some::<EnvVar>(spec.pod_template.env.clone()),
        ports: Some(vec![
            port(names::CLIENT_PORT_NAME, names::CLIENT_PORT),
            port(names::ADMIN_PORT_NAME, names::ADMIN_PORT),
            port(names::HTTP_PORT_NAME, names::HTTP_PORT),
        ]),
        startup_probe: Some(probe("/readyz", START_PERIOD_SECONDS, START_TRIES)),
        readiness_probe: Some(probe("/readyz", 5, 3)),
        liveness_probe: Some(probe("/livez", 10, 6)),
        resources: Some(spec.resources.clone()),
        security_context: Some(pod_security::of_container()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn port(name: &str, port: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(port),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn probe(path: &str, period_seconds: i32, tries: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(names::HTTP_PORT_NAME.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(tries),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

fn volumes(cluster: &BrokerCluster, token: &SecretKeyStatus) -> Vec<Volume> {
    let secret = |name: &str, source: SecretVolumeSource| Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            default_mode: Some(SECRET_MODE),
            ..source
        }),
        ..Volume::default()
    };
    let config = Volume {
        name: CONFIG_VOLUME.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: cluster.config_map_name(),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    };
    let token_file = KeyToPath {
        key: token.key.clone(),
        path: names::ADMIN_TOKEN_KEY.to_owned(),
        mode: None,
    };
    let admin = SecretVolumeSource {
        secret_name: Some(token.name.clone()),
        items: Some(vec![token_file]),
        ..SecretVolumeSource::default()
    };
    let mut volumes = vec![config, secret(ADMIN_VOLUME, admin)];
    if let Some(tls) = &cluster.spec.tls {
        let source = SecretVolumeSource {
            secret_name: Some(tls.secret_ref.name.clone()),
            ..SecretVolumeSource::default()
        };
        volumes.push(secret(TLS_VOLUME, source));
    }
    volumes
}

fn mounts(cluster: &BrokerCluster) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: (name != names::VOLUME).then_some(true),
        ..VolumeMount::default()
    };
    let mut mounts = vec![
        mount(names::VOLUME, DATA_FOLDER),
        mount(CONFIG_VOLUME, CONFIG_FOLDER),
        mount(ADMIN_VOLUME, ADMIN_FOLDER),
    ];
    if cluster.spec.tls.is_some() {
        mounts.push(mount(TLS_VOLUME, TLS_FOLDER));
    }
    mounts
}

/// Over zones and nodes where that is possible, unless the resource says something else.
fn spread(cluster: &BrokerCluster) -> Vec<TopologySpreadConstraint> {
    let given = &cluster.spec.pod_template.topology_spread_constraints;
    if !given.is_empty() {
        return given.clone();
    }
    let over = |topology: &str| TopologySpreadConstraint {
        max_skew: 1,
        topology_key: topology.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(metadata::selector(cluster)),
        ..TopologySpreadConstraint::default()
    };
    vec![
        over("topology.kubernetes.io/zone"),
        over("kubernetes.io/hostname"),
    ]
}

/// A label's value is shorter than a tag can be.
fn version_label(version: &str) -> String {
    let short: String = version.chars().take(63).collect();
    short
        .trim_end_matches(['.', '-', '_'])
        .trim_start_matches('_')
        .to_owned()
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
