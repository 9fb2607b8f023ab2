//! The certificate that a broker shows: from a Secret, and another one when the Secret has another, without a restart.

use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use sluice_operator_api::BrokerCluster;
use sluice_tests::admin::{Authority, Certificate};
use sluice_tests::client::shown_certificate;
use sluice_tests::kube::PortForward;

use crate::living::{self, NAME};
use crate::stage::{Stage, until};

/// What docs/brokercluster.md promises.
const EXCHANGED_WITHIN: Duration = Duration::from_secs(120);
const SECRET: &str = "certificate";

fn put(stage: &Stage, certificate: &Certificate) {
    stage.apply(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate.certificate, "tls.key": certificate.key},
    }));
}

fn is_shown(forward: &PortForward, wanted: &Certificate) -> anyhow::Result<bool> {
    let wanted = CertificateDer::from_pem_slice(wanted.certificate.as_bytes())?;
    Ok(shown_certificate(forward.address())? == wanted.as_ref())
}

/// The kubelet, the broker and the operator each find the change in their own time; nobody tells them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_exchanged_is_shown_within_two_minutes_and_without_a_restart() {
    let stage = living::set().await;
    let authority = Authority::new("living").unwrap();
    let [first, second] = [(); 2].map(|()| authority.sign_host("mq.example.org").unwrap());
    put(&stage, &first);
    let tls = json!({"spec": {"tls": {"secretRef": {"name": SECRET}}}});
    stage.patch::<BrokerCluster>(NAME, tls).await;
    stage.cluster_ready(NAME).await;
    let forward = PortForward::open(&stage.kubectl, NAME, &format!("pod/{}", living::pod()), 8081).unwrap();
    assert!(is_shown(&forward, &first).unwrap());
    let life = living::life(&stage).await;

    put(&stage, &second);
    let exchanged = Instant::now();
    stage.make_topic(NAME, "after-the-exchange", 1);
    until("the other certificate is shown", EXCHANGED_WITHIN, async || {
        Ok(is_shown(&forward, &second)?.then_some(()))
    })
    .await
    .unwrap();
    println!("shown {:?} after the exchange", exchanged.elapsed());
    stage.topic_ready("after-the-exchange").await;
    stage.cluster_ready(NAME).await;
    let took = exchanged.elapsed();
    println!("the operator and the broker agree {took:?} after the exchange");
    assert!(took < EXCHANGED_WITHIN, "{took:?}");
    assert_eq!(living::life(&stage).await, life, "nothing was restarted");
}
