//! Producers and consumers in pods, with Apache's client for Python.

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use serde_json::{Value, json};
use sluice_tests::python;

use crate::images;
use crate::stage::{Stage, until};

/// The variables of a producer or consumer, but for where the brokers are.
pub type Variables<'a> = &'a [(&'a str, String)];

impl Stage {
    /// Starts pods that each run a script to its end, once: none is started again.
    pub fn start_job(&self, name: &str, script: &str, pods: u32, cluster: &str, variables: Variables<'_>) {
        let mut template = template(name, script, cluster, variables);
        template["spec"]["restartPolicy"] = json!("Never");
        self.apply(json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {"backoffLimit": 0, "parallelism": pods, "completions": pods, "template": template},
        }));
    }

    /// Waits until a job has succeeded; gives what its pods wrote.
    pub async fn finish_job(&self, name: &str, within: Duration) -> String {
        let jobs = self.api::<Job>();
        let what = format!("the job {name} ends");
        let ended = until(&what, within, async || {
            let status = jobs.get(name).await?.status.unwrap_or_default();
            let finished = status.completion_time.is_some() || status.failed.unwrap_or_default() > 0;
            Ok(finished.then_some(status))
        });
        let ended = ended.await;
        let logs = self.logs(name).await.unwrap();
        let ended = ended.unwrap_or_else(|error| panic!("{error:#}; it wrote:\n{}", end_of(&logs)));
        assert!(
            ended.completion_time.is_some(),
            "the job {name} failed: {ended:?}; it wrote:\n{}",
            end_of(&logs)
        );
        logs
    }

    /// What the pods of a workload have written.
    pub async fn logs(&self, name: &str) -> Result<String> {
        let pods = self.api::<Pod>();
        let mut logs = String::new();
        for pod in pods
            .list(&ListParams::default().labels(&format!("app={name}")))
            .await?
        {
            let pod = pod.metadata.name.unwrap_or_default();
            logs += &pods.logs(&pod, &LogParams::default()).await?;
        }
        ensure!(!logs.is_empty(), "{name} has written nothing");
        Ok(logs)
    }

    /// Makes a Deployment of consumers, with one replica.
    pub fn make_consumers(&self, name: &str, cluster: &str, variables: Variables<'_>) {
        self.apply(json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": name}},
                "template": template(name, python::CONSUMER, cluster, variables),
            },
        }));
    }
}

/// A pod of it. Where the brokers are stands in the cluster's binding Secret.
fn template(name: &str, script: &str, cluster: &str, variables: Variables<'_>) -> Value {
    let endpoints = json!({"secretKeyRef": {"name": format!("{cluster}-binding"), "key": "endpoints"}});
    let pod = json!({"fieldRef": {"fieldPath": "metadata.name"}});
    let mut environment = vec![
        json!({"name": "ENDPOINTS", "valueFrom": endpoints}),
        json!({"name": "POD", "valueFrom": pod}),
    ];
    for (variable, value) in variables {
        environment.push(json!({"name": variable, "value": value}));
    }
    json!({
        "metadata": {"labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 10,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "workload",
                "image": images::WORKLOAD,
                "imagePullPolicy": "Never",
                "args": [script],
                "env": environment,
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                // The client keeps a log of its own in its home.
                "volumeMounts": [{"name": "home", "mountPath": "/tmp"}],
            }],
            "volumes": [{"name": "home", "emptyDir": {}}],
        },
    })
}

/// The bodies after a word at the beginning of lines, such as `sent`.
pub fn bodies<'a>(logs: &'a str, word: &str) -> Vec<&'a str> {
    let lines = logs.lines().filter_map(|line| line.strip_prefix(word));
    lines.map(str::trim).collect()
}

fn end_of(logs: &str) -> String {
    let lines: Vec<_> = logs.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
