//! Looking at the Lease and writing it, until this replica leads, and for as long as it does.

use super::elector::{Action, Elector, Loss, Observed, Terms};
use super::record::{self, Record};
use crate::clock::Clock;
use crate::leadership::Leadership;
use crate::shutdown::Shutdown;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, PostParams};
use std::sync::Arc;
use std::time::Duration;

/// A request that takes longer has failed. Several fit into [`Terms::renew_within`].
const REQUEST_WITHIN: Duration = Duration::from_secs(4);
/// At most this part is added to each pause.
const JITTER: f64 = 0.1;
const RELEASE_WITHIN: Duration = Duration::from_secs(3);

/// The Lease, if there is one, or why that cannot be said.
type Read = Result<Option<Lease>, String>;

/// How leading, or waiting to lead, has ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The process was asked to stop.
    Stopped,
    /// This replica leads no longer.
    Lost(Loss),
}

/// One replica and the Lease.
pub struct Campaign {
    api: Api<Lease>,
    name: String,
    elector: Elector,
    clock: Clock,
    leadership: Arc<Leadership>,
    /// The holder that the log has named last.
    told: Option<String>,
}

impl Campaign {
    /// A replica that waits for the Lease of this name. While it leads, `leadership` says until when.
    pub fn new(
        api: Api<Lease>,
        name: String,
        identity: String,
        terms: Terms,
        clock: Clock,
        leadership: Arc<Leadership>,
    ) -> Self {
        Self {
            api,
            name,
            elector: Elector::new(identity, terms),
            clock,
            leadership,
            told: None,
        }
    }

    /// Waits until this replica leads, or the process is to stop. `standby` is called whenever
    /// the API server has answered.
    pub async fn win(&mut self, shutdown: &Shutdown, standby: impl Fn()) -> Option<End> {
        loop {
            let (read, action) = self.look().await;
            if read.is_ok() {
                standby();
            }
            if let (Ok(lease), Action::Write { transitions }) = (read, action)
                && self.write(lease, transitions).await
            {
                return None;
            }
            let pause = self.elector.terms().retry;
            if pause_or_stop(pause, shutdown).await {
                return Some(End::Stopped);
            }
        }
    }

    /// Renews until the Lease is lost or the process is to stop.
    pub async fn keep(&mut self, shutdown: &Shutdown) -> End {
        loop {
            if pause_or_stop(self.elector.terms().retry, shutdown).await {
                return End::Stopped;
            }
            if let Some(loss) = self.renew().await {
                return End::Lost(loss);
            }
        }
    }

    /// Renews once, and says if this replica leads no longer.
    pub async fn renew(&mut self) -> Option<Loss> {
        let action = match self.look().await {
            (Ok(lease), Action::Write { transitions }) => {
                self.write(lease, transitions).await;
                // A write that failed may have used up the time.
                self.elector.step(Observed::Unknown, self.clock.since_start())
            }
            (_, action) => action,
        };
        match action {
            Action::Lost(loss) => {
                self.leadership.end();
                Some(loss)
            }
            Action::Wait | Action::Write { .. } => None,
        }
    }

    /// Gives the Lease back, so that another replica need not wait for it to expire.
    pub async fn release(&mut self) {
        self.leadership.end();
        let release = async {
            let Some(lease) = self.api.get_opt(&self.name).await? else {
                return Ok(());
            };
            if Record::of(&lease).holder.as_deref() != Some(self.elector.identity()) {
                return Ok(());
            }
            let released = record::released(lease, self.clock.now());
            self.api
                .replace(&self.name, &PostParams::default(), &released)
                .await
                .map(|_| ())
        };
        match tokio::time::timeout(RELEASE_WITHIN, release).await {
            Ok(Ok(())) => tracing::info!(lease = self.name, "gave the lease back"),
            Ok(Err(error)) => {
                let error: kube::Error = error;
                tracing::warn!(lease = self.name, %error, "cannot give the lease back; others wait for it to expire");
            }
            Err(_) => tracing::warn!(
                lease = self.name,
                "cannot give the lease back in time; others wait for it to expire"
            ),
        }
    }

    /// The Lease, if there is one and it could be read, and what to do about it.
    async fn look(&mut self) -> (Read, Action) {
        let found = tokio::time::timeout(self.request_within(), self.api.get_opt(&self.name)).await;
        let read: Read = match found {
            Ok(Ok(lease)) => Ok(lease),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the API server did not answer in time".to_owned()),
        };
        let record = read.as_ref().map(|lease| lease.as_ref().map(Record::of));
        let observed = match &record {
            Ok(Some(record)) => Observed::Found(record),
            Ok(None) => Observed::Absent,
            Err(error) => {
                tracing::warn!(lease = self.name, error, "cannot read the lease");
                Observed::Unknown
            }
        };
        self.tell(observed);
        let action = self.elector.step(observed, self.clock.since_start());
        (read, action)
    }

    fn tell(&mut self, observed: Observed<'_>) {
        if let Observed::Found(Record {
            holder: Some(holder), ..
        }) = observed
            && self.elector.leads_until().is_none()
            && self.told.as_ref() != Some(holder)
        {
            tracing::info!(lease = self.name, %holder, "another replica holds the lease; standing by");
            self.told = Some(holder.clone());
        }
    }

    /// Whether this replica stands in the Lease now. It is written on top of exactly what was read: somebody else's write in
    /// between makes this one fail.
    async fn write(&mut self, lease: Option<Lease>, transitions: i32) -> bool {
        let began = self.clock.since_start();
        match tokio::time::timeout(self.request_within(), self.put(lease, transitions)).await {
            Ok(Ok(())) => {
                if self.elector.leads_until().is_none() {
                    tracing::info!(lease = self.name, identity = self.elector.identity(), "leading");
                }
                self.elector.written(began);
                if let Some(until) = self.elector.leads_until() {
                    self.leadership.extend(until);
                }
                return true;
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => {
                tracing::debug!(lease = self.name, "somebody else wrote the lease in between");
            }
            Ok(Err(error)) => tracing::warn!(lease = self.name, %error, "cannot write the lease"),
            Err(_) => tracing::warn!(lease = self.name, "writing the lease took too long"),
        }
        false
    }

    async fn put(&self, lease: Option<Lease>, transitions: i32) -> kube::Result<()> {
        let (identity, terms) = (self.elector.identity(), self.elector.terms());
        let held = |lease| record::held(lease, identity, terms.duration, transitions, self.clock.now());
        let parameters = PostParams::default();
        match lease {
            Some(lease) => self.api.replace(&self.name, &parameters, &held(lease)).await?,
            None => {
                let mut lease = Lease::default();
                lease.metadata.name = Some(self.name.clone());
                self.api.create(&parameters, &held(lease)).await?
            }
        };
        Ok(())
    }

    fn request_within(&self) -> Duration {
        let left = self
            .elector
            .leads_until()
            .map(|until| until.saturating_sub(self.clock.since_start()));
        left.map_or(REQUEST_WITHIN, |left| REQUEST_WITHIN.min(left))
    }
}

/// Whether the process is to stop.
async fn pause_or_stop(pause: Duration, shutdown: &Shutdown) -> bool {
    // Replicas that were started together do not look together for ever.
    let jitter = pause.mul_f64(fastrand::f64() * JITTER);
    tokio::select! {
        () = tokio::time::sleep(pause + jitter) => false,
        () = shutdown.begun() => true,
    }
}
