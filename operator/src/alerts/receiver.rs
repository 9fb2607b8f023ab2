//! What becomes of a notification: the groups that its new alerts name are evaluated, here or by the replica that leads.

use super::listing::Listing;
use super::matching::{Name, matches};
use super::notification::{Mark, Notification};
use super::seen::Seen;
use crate::broker::causes;
use crate::clock::Clock;
use crate::evaluation::Pushes;
use crate::leadership::Leadership;
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use sluice_operator_api::{ConsumerGroup, labels};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Groups that one notification has evaluated; further ones are at their usual turn.
const GROUPS_MAX: usize = 500;
/// Annotations that are written at one time.
const WRITES_AT_ONCE: usize = 8;
/// Whoever sends a notification waits for ten seconds as a rule.
const ANSWERED_WITHIN: Duration = Duration::from_secs(8);
/// Bytes of a mark that stand in an annotation.
const SHOWN_BYTES: usize = 8;

/// What notifications are worked on with.
pub struct Receiver {
    /// The API server.
    pub client: Client,
    /// Whether this replica leads.
    pub leadership: Arc<Leadership>,
    /// By which evaluations are asked for where it does.
    pub pushes: Pushes,
    /// Whether it stops.
    pub shutdown: Shutdown,
    /// Time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What has come already.
    pub seen: Seen,
    /// Where groups are looked for that the controllers of this process do not know.
    pub listing: Listing,
}

/// What has become of the alerts of a notification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// New ones that name a group that is scaled.
    pub mapped: usize,
    /// New ones that do not.
    pub unmapped: usize,
    /// Those that have come before.
    pub repeated: usize,
    /// Evaluations that were started.
    pub evaluations: usize,
}

/// The notification is to be sent again.
#[derive(Debug, Error)]
pub enum Unavailable {
    /// This replica ends.
    #[error("this replica is stopping: send it again, to another one")]
    Stopping,
    /// The API server refuses something or does not answer.
    #[error("cannot {what}: the API server: {error}: send it again")]
    Kubernetes {
        /// What was to be done.
        what: String,
        /// Why it was not.
        error: String,
    },
    /// It took too long.
    #[error("the API server has not answered in time: send it again")]
    TooLate,
}

/// How an evaluation is started.
enum Way {
    /// By the controllers of this process, which know these groups.
    Here(Vec<Arc<ConsumerGroup>>),
    /// By those of another.
    Elsewhere,
}

impl Receiver {
    /// Has the groups evaluated that the notification names, unless it has come before.
    ///
    /// # Errors
    /// When that cannot be done now: then it has not come.
    pub async fn take(&self, notification: &Notification) -> Result<Taken, Unavailable> {
        if self.shutdown.has_begun() {
            return Err(Unavailable::Stopping);
        }
        let marks = notification.alerts.iter().map(|alert| notification.mark(alert));
        let claim = self.seen.claim(marks, self.clock.since_start());
        let mut taken = Taken {
            repeated: notification.alerts.len() - claim.count(),
            ..Taken::default()
        };
        if claim.count() > 0 {
            let work = self.evaluate(notification, |alert| claim.is_new(alert));
            let done = tokio::time::timeout(ANSWERED_WITHIN, work).await;
            (taken.mapped, taken.evaluations) = done.map_err(|_| Unavailable::TooLate)??;
            taken.unmapped = claim.count() - taken.mapped;
        }
        claim.keep();
        self.count(&taken);
        Ok(taken)
    }

    /// Has the groups evaluated that new alerts are about; says how many of these alerts and how many evaluations there are.
    async fn evaluate(
        &self,
        notification: &Notification,
        is_new: impl Fn(usize) -> bool,
    ) -> Result<(usize, usize), Unavailable> {
        let way = self.way();
        let mut groups = self.named(notification, &way).await?;
        groups.retain(|_, about| about.iter().any(|alert| is_new(*alert)));
        let mapped: BTreeSet<_> = groups.values().flatten().copied().collect();
        let mapped = mapped.into_iter().filter(|alert| is_new(*alert)).count();
        Ok((mapped, self.start(notification, &groups, &way).await?))
    }

    /// A replica that leads, and does not know all groups yet, will evaluate each when it does; the annotation makes sure of it.
    fn way(&self) -> Way {
        let known = self.leadership.holds().then(|| self.pushes.groups()).flatten();
        known.map_or(Way::Elsewhere, Way::Here)
    }

    /// The groups that the alerts name, each with the places of these alerts.
    async fn named(
        &self,
        notification: &Notification,
        way: &Way,
    ) -> Result<BTreeMap<Name, Vec<usize>>, Unavailable> {
        match way {
            Way::Here(groups) => Ok(matches(&notification.alerts, groups.iter().map(|group| &**group))),
            Way::Elsewhere => {
                let listed = self.listing.named(&self.client, &notification.alerts).await;
                listed.map_err(|error| refused("list ConsumerGroups".to_owned(), &error))
            }
        }
    }

    /// Starts the evaluations, and says how many.
    async fn start(
        &self,
        notification: &Notification,
        groups: &BTreeMap<Name, Vec<usize>>,
        way: &Way,
    ) -> Result<usize, Unavailable> {
        if groups.len() > GROUPS_MAX {
            tracing::warn!(
                groups = groups.len(),
                most = GROUPS_MAX,
                "a notification names more consumer groups than are evaluated at once; the others are at their usual turn"
            );
        }
        let first = groups.iter().take(GROUPS_MAX);
        if let Way::Here(_) = way {
            let counted = &self.metrics.alerts.evaluations;
            for ((namespace, name), _) in first.clone() {
                self.pushes.evaluate(namespace, name);
                counted.with_label_values(&["Direct"]).inc();
                tracing::info!(namespace, name, "an alert starts an evaluation");
            }
            return Ok(first.count());
        }
        let asked = first.map(|(name, about)| {
            let about: Vec<_> = about.iter().map(|alert| &notification.alerts[*alert]).collect();
            (name.clone(), notification.mark_of_all(&about))
        });
        let asked: Vec<_> = asked.collect();
        let written = asked.into_iter().map(|(name, mark)| self.ask(name, mark));
        let written = futures::stream::iter(written).buffer_unordered(WRITES_AT_ONCE);
        written.try_fold(0, async |sum, one| Ok(sum + one)).await
    }

    /// Asks the replica that leads for an evaluation, and says how many that makes.
    async fn ask(&self, (namespace, name): Name, mark: Mark) -> Result<usize, Unavailable> {
        if !self.annotate(&namespace, &name, &mark).await? {
            return Ok(0);
        }
        let counted = &self.metrics.alerts.evaluations;
        counted.with_label_values(&["Annotation"]).inc();
        tracing::info!(
            namespace,
            name,
            "an alert has the replica that leads start an evaluation"
        );
        Ok(1)
    }

    /// The replica that leads looks at a group whose annotations change. The value comes from the alerts and not from
    /// the clock: another replica that was sent the same writes the same, which is no change. Tells whether the group was there.
    async fn annotate(&self, namespace: &str, name: &str, mark: &[u8]) -> Result<bool, Unavailable> {
        let api = Api::<ConsumerGroup>::namespaced(self.client.clone(), namespace);
        let patch = json!({ "metadata": { "annotations": { (labels::FORCE_SYNC): shown(mark) } } });
        let parameters = PatchParams {
            field_manager: Some(labels::FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        match api.patch_metadata(name, &parameters, &Patch::Merge(patch)).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            Err(error) => {
                let what = format!("set the annotation {} of {namespace}/{name}", labels::FORCE_SYNC);
                Err(refused(what, &error))
            }
        }
    }

    fn count(&self, taken: &Taken) {
        for (outcome, alerts) in [
            ("Mapped", taken.mapped),
            ("Unmapped", taken.unmapped),
            ("Repeated", taken.repeated),
        ] {
            let counter = self.metrics.alerts.alerts.with_label_values(&[outcome]);
            counter.inc_by(u64::try_from(alerts).unwrap_or_default());
        }
    }
}

fn refused(what: String, error: &kube::Error) -> Unavailable {
    Unavailable::Kubernetes {
        what,
        error: causes(error),
    }
}

/// As an annotation shows it.
fn shown(mark: &[u8]) -> String {
    let bytes = mark.iter().take(SHOWN_BYTES);
    bytes.fold(labels::FORCE_SYNC_BY_ALERT.to_owned(), |mut text, byte| {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
