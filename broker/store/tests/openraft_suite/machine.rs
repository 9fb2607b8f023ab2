//! A state machine in memory that knows what it has applied, and nothing more.

use crate::adapter::Config;
use futures::{Stream, StreamExt};
use openraft::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, Snapshot, SnapshotMeta};
use std::io;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct State {
    applied: Option<LogIdOf<Config>>,
    membership: StoredMembershipOf<Config>,
}

/// See the module.
#[derive(Default)]
pub struct Machine {
    state: Mutex<State>,
    snapshot: Mutex<Option<SnapshotMetaOf<Config>>>,
}

impl RaftSnapshotBuilder<Config> for Arc<Machine> {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Config, ()>, io::Error> {
        let state = self.state.lock().unwrap().clone();
        let meta = SnapshotMeta {
            last_log_id: state.applied,
            last_membership: state.membership,
        };
        *self.snapshot.lock().unwrap() = Some(meta.clone());
        Ok(Snapshot { meta, snapshot: () })
    }
}

impl RaftStateMachine<Config> for Arc<Machine> {
    type SnapshotData = ();
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogIdOf<Config>>, StoredMembershipOf<Config>), io::Error> {
        let state = self.state.lock().unwrap().clone();
        Ok((state.applied, state.membership))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<Config>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            let mut state = self.state.lock().unwrap();
            state.applied = Some(entry.log_id);
            if let EntryPayload::Membership(membership) = entry.payload {
                state.membership = StoredMembershipOf::<Config>::new(Some(entry.log_id), membership);
            }
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMetaOf<Config>, (): ()) -> Result<(), io::Error> {
        let state = State {
            applied: meta.last_log_id,
            membership: meta.last_membership.clone(),
        };
        *self.state.lock().unwrap() = state;
        *self.snapshot.lock().unwrap() = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Config, ()>>, io::Error> {
        let meta = self.snapshot.lock().unwrap().clone();
        Ok(meta.map(|meta| Snapshot { meta, snapshot: () }))
    }
}
