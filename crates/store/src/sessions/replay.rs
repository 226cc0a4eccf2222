//! Replay: what a node lacks of a session that moves to it, and what it acknowledged.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use foreshift_wire::{NodeId, PartitionName, PartitionPattern, PoolName, SessionId, Version};

use super::{Select, Sessions};
use crate::{
    Error, Refusal,
    engine::Head,
    parting::Leaves,
    replay::{Known, Needs, Portion, Pulled, Redeemed, ReplayStats, Tell, Told, pack, tell},
};

/// How long a token with which nothing could be fetched is good once more.
const AGAIN_WITHIN: Duration = Duration::from_secs(30);

impl Sessions {
    /// What a node lacks of the partitions that it requires: those that match `required`, and those that are declared as required by
    /// it. Nothing of what it holds already; a change where it holds an earlier version, and one without entries where it held this one
    /// before the move: a node that lost it answers that it does not hold it, and is told all after [`Sessions::forgets`].
    ///
    /// No use of the session: neither idle nor absolute timeout is renewed. Cheap where there is nothing to tell.
    pub async fn missing(
        &self,
        pool: &PoolName,
        session: SessionId,
        to: &NodeId,
        required: &[PartitionPattern],
    ) -> Result<Vec<Portion>, Error> {
        let needs = self.needs(pool, to, required);
        if needs.is_nothing() {
            return Ok(Vec::new());
        }
        let known = self.0.replay.held.moving(session, to, Instant::now());
        self.note_move(session, to);
        let mut portions = Vec::new();
        for told in self.told(session, &needs, &known).await? {
            let (name, version) = (told.head.partition.clone(), told.head.version);
            let left = told
                .head
                .parts
                .iter()
                .flat_map(|parts| &parts.left)
                .cloned()
                .collect();
            self.0.replay.held.told(session, to, &name, version, &left);
            let portion = told.into_portion(self.0.config.compress_over).await;
            self.count(&portion.partition, portion.since, portion.body.len());
            portions.push(portion);
        }
        Ok(portions)
    }

    /// A node acknowledged a partition in a version; 0: that there is none any more.
    pub fn holds(&self, session: SessionId, node: &NodeId, partition: &PartitionName, version: Version) {
        let replay = &self.0.replay;
        replay
            .held
            .holds(session, node, partition, version, Instant::now());
        replay
            .counters
            .count(partition, |counts| counts.acknowledged += 1);
    }

    /// A node does not hold what it was thought to hold of a session: next time it is told all.
    pub fn forgets(&self, session: SessionId, node: &NodeId) {
        self.0.replay.held.forgets(session, node);
    }

    /// Nodes that are known to hold something of a session, also when it ended: they are to be told so ([`Sessions::forgets`] then).
    pub fn holders(&self, session: SessionId) -> Vec<NodeId> {
        self.0.replay.held.holders(session)
    }

    /// A token with which a node may once fetch what it lacks of a session, within this time.
    pub fn ticket(
        &self,
        pool: &PoolName,
        session: SessionId,
        to: &NodeId,
        required: &[PartitionPattern],
        within: Duration,
    ) -> String {
        let given = Redeemed {
            pool: pool.clone(),
            session,
            node: to.clone(),
            required: required.to_vec(),
        };
        self.0.replay.tickets.issue(given, within, Instant::now())
    }

    /// What a token was given for. It is good once: a second time, for another session or too late it is refused.
    pub fn redeem(&self, session: SessionId, token: &str) -> Result<Redeemed, Refusal> {
        let redeemed = self.0.replay.tickets.redeem(session, token, Instant::now());
        redeemed.ok_or_else(|| Refusal::Forbidden {
            verb: "fetch",
            partition: "this session: it is unknown, was used before, or came too late".into(),
        })
    }

    /// A token is good once more, for a short while: the store could not be read. Not where the session moved on meanwhile.
    pub fn give_back(&self, token: &str, redeemed: Redeemed) {
        let serves = self
            .0
            .registry
            .get(redeemed.session)
            .is_none_or(|reign| reign.node == redeemed.node);
        if serves {
            let now = Instant::now();
            self.0
                .replay
                .tickets
                .give_back(token, redeemed, AGAIN_WITHIN, now);
        }
    }

    /// All that a node lacks of the session that its token is for, beside the versions that it says it holds whole. `may_compress`
    /// where it understands zstd.
    pub async fn pull(
        &self,
        redeemed: &Redeemed,
        held: &BTreeMap<PartitionName, Version>,
        may_compress: bool,
    ) -> Result<Pulled, Error> {
        let Redeemed {
            pool,
            session,
            node,
            required,
        } = redeemed;
        let known = |version: &Version| Known {
            version: *version,
            left: BTreeSet::new(),
            is_new: false,
        };
        let known = held.iter().map(|(name, version)| (name.clone(), known(version)));
        let needs = self.needs(pool, node, required);
        self.note_move(*session, node);
        let mut body = Vec::new();
        for told in self.told(*session, &needs, &known.collect()).await? {
            self.count(&told.head.partition, told.head.since, told.entries.len());
            body.extend_from_slice(&told.entries);
        }
        let compress_over = may_compress.then_some(self.0.config.compress_over);
        let (body, encoding) = pack(body, compress_over).await;
        Ok(Pulled { body, encoding })
    }

    /// What replay did since the start, and what it remembers.
    pub fn replay_stats(&self) -> ReplayStats {
        let replay = &self.0.replay;
        let (sessions_known, bytes_known) = replay.held.size();
        ReplayStats {
            sessions_known,
            bytes_known,
            tickets: replay.tickets.count(),
            ..replay.counters.stats()
        }
    }

    /// The session ended: tokens for it are no good any more. What nodes hold of it stays known, so that they can be told that it is gone.
    pub(super) fn forget_replay(&self, session: SessionId) {
        self.0.replay.tickets.end(session);
        self.forget_uses(session);
    }

    fn needs<'a>(
        &'a self,
        pool: &'a PoolName,
        node: &'a NodeId,
        required: &'a [PartitionPattern],
    ) -> Needs<'a> {
        let config = &self.0.config;
        Needs {
            config,
            pool,
            node,
            required,
        }
    }

    /// Reads what a node lacks.
    async fn told(
        &self,
        session: SessionId,
        needs: &Needs<'_>,
        known: &BTreeMap<PartitionName, Known>,
    ) -> Result<Vec<Told>, Error> {
        let heads = self.replayed(session).await?;
        let (heads, others): (Vec<Head>, Vec<Head>) =
            heads.into_iter().partition(|head| needs.includes(&head.name));
        let counters = &self.0.replay.counters;
        if !known.values().any(|known| known.is_new) {
            counters.not_required(others.iter().map(|head| head.bytes).sum());
        }
        let mut told = Vec::new();
        for head in &heads {
            let known = known.get(&head.name);
            let made = self.told_of(needs.pool, session, head, known).await?;
            let sent = made.as_ref().map_or(0, |made| made.bytes + made.bytes_left);
            if known.is_some_and(|known| !known.is_new && known.version > Version(0)) {
                counters.count(&head.name, |counts| {
                    counts.bytes_held += head.bytes.saturating_sub(sent);
                });
            }
            counters.count(&head.name, |counts| {
                counts.bytes_left += made.as_ref().map_or(0, |made| made.bytes_left);
            });
            told.extend(made);
        }
        let is_gone =
            |name: &&PartitionName| needs.includes(name) && !heads.iter().any(|head| head.name == **name);
        told.extend(known.keys().filter(is_gone).cloned().map(Told::gone));
        Ok(told)
    }

    async fn told_of(
        &self,
        pool: &PoolName,
        session: SessionId,
        head: &Head,
        known: Option<&Known>,
    ) -> Result<Option<Told>, Error> {
        let Leaves(leaves) = self.leaves(pool, session, head);
        let (select, since) = match tell(Some(head), known, &leaves) {
            Tell::Nothing | Tell::Gone => return Ok(None),
            Tell::All => (Select::All, Version(0)),
            Tell::Since(version) => (Select::Since(version), version),
        };
        let gone = || known.map(|_| Told::gone(head.name.clone()));
        // Where it is not there, it ended meanwhile.
        let Some(part) = self.opened(session, &head.name, select).await? else {
            return Ok(gone());
        };
        let nothing = BTreeSet::new();
        let before = known
            .filter(|_| part.is_delta)
            .map_or(&nothing, |known| &known.left);
        if let Some(told) = Told::new(part, since, &leaves, before) {
            return Ok(Some(told));
        }
        // It has more parts than can be named: all is told, of all of them.
        let part = self.opened(session, &head.name, Select::All).await?;
        Ok(part.map_or_else(gone, |part| Some(Told::whole(part, Version(0)))))
    }

    /// The partitions of a session that can be replayed. None where it has no state; its record is not begun by this.
    async fn replayed(&self, session: SessionId) -> Result<Vec<Head>, Error> {
        let now = self.now_ms();
        match self.0.engine.record(session).await? {
            Some(record) if record.revoked_ms.is_some() => Err(Refusal::Revoked.into()),
            Some(record) if self.0.lifetime.over(&record, now).is_none() => {
                self.0.engine.heads(session, now).await
            }
            _ => Ok(Vec::new()),
        }
    }

    fn count(&self, partition: &PartitionName, since: Version, bytes: usize) {
        self.0.replay.counters.count(partition, |counts| {
            counts.portions += 1;
            counts.deltas += u64::from(since > Version(0));
            counts.bytes_sent += bytes as u64;
        });
    }
}
