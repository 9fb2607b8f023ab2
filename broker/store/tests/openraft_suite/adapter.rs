//! `LocalLog` as openraft's log storage.

use bytes::Bytes;
use openraft::alias::{EntryOf, LeaderIdOf, LogIdOf, VoteOf};
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::vote::RaftLeaderId;
use openraft::{BasicNode, EntryPayload, Membership, OptionalSend};
use sluice_core::command::{self, Command, Voter};
use sluice_core::ids::{LogIndex, Term};
use sluice_store::io::RealIo;
use sluice_store::log::{
    Entry, Flushed, FrameKind, Identity, LocalLog, LogError, LogId, LogOptions, LogThreads, Opening,
    ShardUuid, Vote, spawn,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug};
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

openraft::declare_raft_types!(
    /// One leader a term, for frames carry a term and nothing else of the leader.
    pub Config:
        D = Commands,
        R = (),
        NodeId = u64,
        Node = BasicNode,
        Term = u64,
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>,
);

/// An entry's commands, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commands(pub Vec<Bytes>);

impl fmt::Display for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} commands", self.0.len())
    }
}

/// The log's threads and its folder, for as long as a test runs.
pub struct Guard {
    threads: Option<LogThreads>,
    _dir: tempfile::TempDir,
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.threads.take());
    }
}

pub fn open_new() -> (Guard, Adapter) {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity {
        cluster: "DefaultCluster".to_owned(),
        shard: "broker-a".to_owned(),
        node: 0,
        uuid: ShardUuid([3; 16]),
        segment_bytes: 256 << 10,
    };
    let opening = Opening::begin(
        Arc::new(RealIo::default()),
        LogOptions::new(dir.path().to_owned(), identity),
    )
    .unwrap();
    let first = opening.first();
    let opened = opening.replay(first, |_| Ok(())).unwrap();
    // Nobody proposes here: raft commits what it has appended.
    let parts = opened.start(LogIndex(0), |_| panic!("only proposals reach the sink"));
    let threads = spawn(parts.writer, parts.prefill, |fatal| panic!("{fatal}")).unwrap();
    (
        Guard {
            threads: Some(threads),
            _dir: dir,
        },
        Adapter { log: parts.log },
    )
}

/// The log, as openraft sees it.
#[derive(Clone)]
pub struct Adapter {
    log: LocalLog,
}

fn log_id(id: LogId) -> LogIdOf<Config> {
    let leader = LeaderIdOf::<Config>::new(id.term.0, 0);
    LogIdOf::<Config>::new(leader.to_committed(), id.index.0)
}

fn our_id(id: &LogIdOf<Config>) -> LogId {
    LogId {
        term: Term(**id.committed_leader_id()),
        index: LogIndex(id.index()),
    }
}

fn encode(entry: EntryOf<Config>) -> Entry {
    let id = our_id(&entry.log_id);
    let (kind, commands) = match entry.payload {
        EntryPayload::Blank => (FrameKind::Blank, Vec::new()),
        EntryPayload::Normal(Commands(commands)) => (FrameKind::Commands, commands),
        EntryPayload::Membership(membership) => {
            assert_eq!(
                membership.get_joint_config().len(),
                1,
                "the adapter knows no joint configuration"
            );
            let voters = membership.nodes().map(|(id, node)| Voter {
                node: *id,
                name: node.addr.clone(),
            });
            let command = command::Membership {
                voters: voters.collect(),
            }
            .encode(1);
            (
                FrameKind::Membership,
                vec![Bytes::copy_from_slice(command.as_bytes())],
            )
        }
    };
    Entry {
        term: id.term,
        index: id.index,
        kind,
        commands,
    }
}

fn decode(entry: Entry) -> EntryOf<Config> {
    let payload = match entry.kind {
        FrameKind::Blank => EntryPayload::Blank,
        FrameKind::Tombstone => panic!("frames that were lost are no entries"),
        FrameKind::Commands => EntryPayload::Normal(Commands(entry.commands.clone())),
        FrameKind::Membership => match Command::decode(&entry.commands[0]).unwrap() {
            (_, Command::Membership(membership)) => {
                let nodes: BTreeMap<u64, BasicNode> = membership
                    .voters
                    .into_iter()
                    .map(|voter| (voter.node, BasicNode::new(voter.name)))
                    .collect();
                let voters: BTreeSet<u64> = nodes.keys().copied().collect();
                EntryPayload::Membership(Membership::new(vec![voters], nodes).unwrap())
            }
            (_, other) => panic!("a membership frame holds {other:?}"),
        },
    };
    EntryOf::<Config> {
        log_id: log_id(entry.id()),
        payload,
    }
}

/// Runs an operation and waits until it is durable.
async fn wait(operation: impl FnOnce(Flushed)) -> io::Result<()> {
    let (tx, rx) = tokio::sync::oneshot::channel();
    operation(Box::new(move |result: Result<(), LogError>| {
        let _ = tx.send(result);
    }));
    match rx.await {
        Ok(result) => result.map_err(io::Error::other),
        Err(_) => Err(io::Error::other("the log has failed")),
    }
}

impl RaftLogReader<Config> for Adapter {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<EntryOf<Config>>, io::Error> {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(to) => *to,
            Bound::Unbounded => u64::MAX,
        };
        let entries = self
            .log
            .read(LogIndex(from), LogIndex(to), usize::MAX)
            .map_err(io::Error::other)?;
        Ok(entries.into_iter().map(decode).collect())
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<Config>>, io::Error> {
        Ok(self.log.read_vote().map(|vote| {
            if vote.committed {
                VoteOf::<Config>::new_committed(vote.term.0, vote.node)
            } else {
                VoteOf::<Config>::new(vote.term.0, vote.node)
            }
        }))
    }
}

impl RaftLogStorage<Config> for Adapter {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Config>, io::Error> {
        Ok(LogState {
            last_purged_log_id: self.log.purged().map(log_id),
            last_log_id: self.log.last().map(log_id),
        })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Config>) -> Result<(), io::Error> {
        let vote = Vote {
            term: Term(vote.leader_id.term),
            node: vote.leader_id.voted_for,
            committed: vote.committed,
        };
        wait(|done| self.log.save_vote(vote, done)).await
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Config>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = EntryOf<Config>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries = entries.into_iter().map(encode).collect();
        let done =
            move |result: Result<(), LogError>| callback.io_completed(result.map_err(io::Error::other));
        self.log.append_frames(entries, Box::new(done));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Config>>) -> Result<(), io::Error> {
        let from = LogIndex(last.map_or(0, |last| last.index() + 1));
        wait(|done| self.log.truncate_from(from, done)).await
    }

    async fn purge(&mut self, upto: LogIdOf<Config>) -> Result<(), io::Error> {
        wait(|done| self.log.purge_to(our_id(&upto), done)).await
    }
}
