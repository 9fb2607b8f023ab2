//! The exchange of the admin token, from the first step to the last. Its times are minutes: the test moves them into the past, as if
//! it had waited.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sluice_operator_api::{BrokerCluster, labels};
use sluice_tests::kube::PortForward;
use sluice_tests::sluicectl::Sluicectl;
use tempfile::NamedTempFile;
use tokio::task::JoinHandle;

use crate::living::{self, NAME};
use crate::stage::{SOON, Stage, condition, until};

/// Further back than the longest step.
const LONG_AGO: SignedDuration = SignedDuration::from_hours(24 * 31);

const BETWEEN_CALLS: Duration = Duration::from_millis(500);
/// As long as the operator goes by a token that it has read, and a little more: the old one is void later than that.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(62);
const TOPIC: &str = "of-the-operator";

/// Whoever administers the broker with a token of his own.
struct Person {
    sluicectl: Sluicectl,
    _token: NamedTempFile,
}

impl Person {
    fn with(token: &str, forward: &PortForward) -> Self {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(token.as_bytes()).unwrap();
        let path = file.path().display().to_string();
        let sluicectl = Sluicectl::new()
            .unwrap()
            .flag("--admin", forward.address())
            .flag("--token-file", &path);
        Self {
            sluicectl,
            _token: file,
        }
    }

    /// Whether he is let in, and what he is told.
    fn asks(&self) -> (bool, String) {
        let said = self.sluicectl.run(&["broker", "status"]).unwrap();
        (said.code == 0, said.stderr)
    }
}

/// The tokens in the Secret, once there are so many, the first of which is this one or is not.
async fn tokens(stage: &Stage, count: usize, first: Option<&str>) -> Vec<String> {
    let lines = |secret: &Secret| {
        let file = secret.data.as_ref().and_then(|data| data.get("token"));
        let text = file.map(|file| String::from_utf8(file.0.clone()).unwrap());
        let text = text.unwrap_or_default();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let is_so = |secret: &Secret| {
        let lines = lines(secret);
        lines.len() == count && first.is_none_or(|first| lines[0] == first)
    };
    let what = format!("there are {count} tokens");
    lines(&stage.until(&what, &format!("{NAME}-admin"), SOON, is_so).await)
}

/// As if a step had been taken long ago.
async fn put_back(stage: &Stage, annotation: &str) {
    let then = Timestamp::now().checked_sub(LONG_AGO).unwrap().to_string();
    let patch = json!({"metadata": {"annotations": {annotation: then}}});
    stage.patch::<Secret>(&format!("{NAME}-admin"), patch).await;
    living::look_at_cluster(stage).await;
}

/// Calls that the broker has refused since it runs because of who called.
async fn refused(stage: &Stage) -> f64 {
    let samples = living::samples(stage).await.unwrap();
    let refused = samples.iter().filter(|sample| {
        let code = sample.labels.get("code").map(String::as_str);
        sample.name == "sluice_admin_calls_total"
            && matches!(code, Some("UNAUTHENTICATED" | "PERMISSION_DENIED"))
    });
    refused.map(|sample| sample.value).sum()
}

/// Calls that go on beside the test: of a person with the old token, of whoever uses the file in the pod, and of the operator, whose
/// calls make the cluster's condition.
struct Calling {
    ends: Arc<AtomicBool>,
    task: JoinHandle<u32>,
}

impl Calling {
    async fn start(person: Arc<Person>) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let stage = Stage::of(NAME).await;
        let ended = Arc::clone(&ends);
        let task = tokio::spawn(async move {
            let mut rounds = 0;
            while !ended.load(Ordering::Relaxed) {
                let (is_let_in, said) = person.asks();
                assert!(
                    is_let_in,
                    "a person with the old token after {rounds} rounds: {said}"
                );
                stage.sluicectl(NAME, &["broker", "status"]).unwrap();
                let cluster = stage.api::<BrokerCluster>().get(NAME).await.unwrap();
                let conditions = cluster.status.unwrap().conditions;
                assert_eq!(condition(&conditions, "Ready"), "True AllBrokersReady");
                rounds += 1;
                tokio::time::sleep(BETWEEN_CALLS).await;
            }
            rounds
        });
        Self { ends, task }
    }

    /// How often all of them were let in.
    async fn end(self) -> u32 {
        self.ends.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

/// The operator's own calls, which change something.
async fn operator_is_let_in(stage: &Stage, queues: u32) {
    stage.make_topic(NAME, TOPIC, queues);
    stage.topic_ready(TOPIC).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_refused_while_the_admin_token_is_exchanged_and_then_the_old_one_is() {
    let stage = living::set().await;
    let life = living::life(&stage).await;
    let before = refused(&stage).await;
    let forward = PortForward::open(&stage.kubectl, NAME, &format!("pod/{}", living::pod()), 8082).unwrap();
    let old = tokens(&stage, 1, None).await.remove(0);
    let holder = Arc::new(Person::with(&old, &forward));
    let calling = Calling::start(Arc::clone(&holder)).await;

    put_back(&stage, labels::TOKEN_MADE_AT).await;
    let new = tokens(&stage, 2, Some(&old)).await.remove(1);
    living::look_at_files(&stage).await;
    let newcomer = Person::with(&new, &forward);
    let mut early = 0.0;
    until("the broker takes the new token", SOON, async || {
        let (is_let_in, said) = newcomer.asks();
        early += if is_let_in { 0.0 } else { 1.0 };
        anyhow::ensure!(is_let_in, "{said}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    operator_is_let_in(&stage, 1).await;

    put_back(&stage, labels::TOKEN_STEP_AT).await;
    tokens(&stage, 2, Some(&new)).await;
    living::look_at_files(&stage).await;
    operator_is_let_in(&stage, 2).await;
    tokio::time::sleep(READ_AGAIN_AFTER).await;
    let rounds = calling.end().await;
    assert!(rounds > 20, "{rounds}");
    assert_eq!(
        refused(&stage).await - before,
        early,
        "those before the broker knew it"
    );

    put_back(&stage, labels::TOKEN_STEP_AT).await;
    tokens(&stage, 1, Some(&new)).await;
    living::look_at_files(&stage).await;
    let told = until("the old token is refused", SOON, async || {
        let (is_let_in, said) = holder.asks();
        Ok((!is_let_in).then_some(said))
    })
    .await
    .unwrap();
    assert!(told.contains("token"), "{told}");
    assert_eq!(newcomer.asks(), (true, String::new()));
    stage.sluicectl(NAME, &["broker", "status"]).unwrap();
    operator_is_let_in(&stage, 3).await;
    assert_eq!(
        refused(&stage).await - before,
        early + 1.0,
        "and the old one's last"
    );
    assert_eq!(living::life(&stage).await, life, "nothing was restarted");
    println!("{rounds} rounds of calls during the exchange, and none refused");
}
