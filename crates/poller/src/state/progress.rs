//! A group's progress on one stream, as one worker reads and writes it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use streamdex_dynamodb::state::{
    Answer, BEHIND_DONE, Extent, Item, MOST_OPERATIONS, Operation, Refusal, SortKey, StateError, text,
};
use streamdex_dynamodb::stream::ShardId;
use streamdex_sink::index::KnownIndex;
use tokio::time::timeout;

use super::begins::{self, Begins};
use super::rows::{read_items, read_lease};
use super::store::StateStore;
use super::writes::{self, Claimant, Writer, names};
use super::{Beat, Checkpoint, Generations, Loaded, StoredLease, StoredShard, StreamStart};
use crate::clock::ServiceTime;
use crate::gap::Gap;
use crate::graph::{KeepDone, ReadFrom};
use crate::lease::{Fenced, Lease, WorkerId};

/// Reads and writes progress. Cheap to clone.
#[derive(Clone)]
pub struct Progress {
    store: Arc<dyn StateStore>,
    time: Arc<ServiceTime>,
    label: Arc<str>,
    generations: Arc<Generations>,
    worker: WorkerId,
    lease: Arc<Mutex<Option<Lease>>>,
    /// Writes that name the lease are made one after the other.
    turn: Arc<tokio::sync::Mutex<()>>,
    begins: Arc<Begins>,
}

/// A beat waits so long for its turn.
const BEAT_WAITS: Duration = Duration::from_millis(300);

/// A lease that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The lease.
    pub lease: Lease,
    /// As it was before.
    pub before: Option<StoredLease>,
    /// The number of its first beat.
    pub beat: u64,
}

// === impl Progress ===

impl Progress {
    /// The progress of `store`'s group on the stream `label`. Checkpoints will say that they were made with
    /// `generations`.
    pub fn new(
        store: Arc<dyn StateStore>,
        time: Arc<ServiceTime>,
        label: &str,
        generations: Generations,
        worker: WorkerId,
    ) -> Progress {
        let (label, generations) = (Arc::from(label), Arc::new(generations));
        Progress {
            store,
            time,
            label,
            generations,
            worker,
            lease: Arc::default(),
            turn: Arc::default(),
            begins: Arc::default(),
        }
    }

    /// Who writes.
    pub fn worker(&self) -> &WorkerId {
        &self.worker
    }

    /// The time of the service.
    pub fn time(&self) -> &Arc<ServiceTime> {
        &self.time
    }

    /// The lease as it is; `None` where it was never taken.
    ///
    /// # Errors
    /// The call failed, or the item is in a newer format or malformed.
    pub async fn lease(&self) -> Result<Option<StoredLease>, StateError> {
        let key = writes::lease_key();
        let Some(item) = self.store.get(&key).await? else { return Ok(None) };
        streamdex_dynamodb::state::check_format(&item, &key)?;
        read_lease(&item).map(Some).ok_or(StateError::Malformed { key })
    }

    /// Everything but shards that are done: one Query.
    ///
    /// # Errors
    /// A call failed, or an item is in a newer format.
    pub async fn load(&self) -> Result<Loaded, StateError> {
        read_items(&self.store.query(Extent::After(BEHIND_DONE)).await?, &self.label)
    }

    /// The shards that are done.
    ///
    /// # Errors
    /// As [`Progress::load`].
    pub async fn done_shards(&self) -> Result<Vec<StoredShard>, StateError> {
        let prefix = SortKey::Done { label: self.label.to_string(), shard: String::new() }.text();
        Ok(read_items(&self.store.query(Extent::Prefix(&prefix)).await?, &self.label)?.shards)
    }

    /// Makes workers of the earlier design stop. They have leases for an expiry at most after that.
    ///
    /// # Errors
    /// The call failed.
    pub async fn stop_earlier_workers(&self) -> Result<(), StateError> {
        self.write(&[writes::stop_earlier_workers(self.time.now())]).await.map(drop)
    }

    /// Takes the lease that was `seen`, with a term larger than `outgrow` too. `None`: somebody else was first, or its
    /// reader lives.
    ///
    /// # Errors
    /// The call failed. It may be repeated: a lease that is this worker's already is taken.
    pub async fn take(
        &self,
        seen: Option<StoredLease>,
        outgrow: u64,
        claimant: &Claimant,
    ) -> Result<Option<Taken>, StateError> {
        let term = seen.as_ref().map_or(0, |seen| seen.term).max(outgrow).saturating_add(1);
        let lease = Lease { owner: self.worker.clone(), term };
        let operation = writes::take(seen.as_ref(), &lease, claimant, self.time.now());
        let is_taken = match self.write(&[operation]).await? {
            Answer::Stored => true,
            Answer::Refused(refused) => refused.iter().all(|refusal| is_mine(refusal, &lease)),
        };
        if !is_taken {
            return Ok(None);
        }
        self.set_lease(Some(lease.clone()));
        let beat = seen.as_ref().map_or(1, |seen| seen.beat.saturating_add(1));
        Ok(Some(Taken { lease, before: seen, beat }))
    }

    /// A sign of life.
    ///
    /// # Errors
    /// The call failed.
    pub async fn beat(&self, beat: &Beat) -> Result<Fenced, StateError> {
        let Some(lease) = self.current_lease() else { return Ok(Fenced::Lost) };
        let operation = writes::beat(&lease, beat, self.time.now());
        // A write that hangs must not keep the beat from trying.
        let _turn = timeout(BEAT_WAITS, self.turn.lock()).await;
        Ok(match self.send(&[operation]).await? {
            Answer::Stored => Fenced::Stored,
            Answer::Refused(_) => Fenced::Lost,
        })
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// The call failed; the lease expires then.
    pub async fn release(&self, last: &Beat, is_clean: bool) -> Result<Fenced, StateError> {
        let Some(lease) = self.current_lease() else { return Ok(Fenced::Lost) };
        let operation = writes::release(&lease, last, is_clean, self.time.now());
        self.set_lease(None);
        // Where it has no owner any more, an earlier attempt was carried out.
        let is_free = |_: usize, item: &Item| !item.contains_key("owner");
        self.fenced(&[operation], is_free).await
    }

    /// Stores where the group begins with the stream, together with what was `decided` with it, and returns what is stored.
    /// `None`: the lease is lost.
    ///
    /// # Errors
    /// A call failed.
    pub async fn pin(
        &self,
        start: &StreamStart,
        decided: Option<&Operation>,
    ) -> Result<Option<StreamStart>, StateError> {
        let Some(lease) = self.current_lease() else { return Ok(None) };
        let mut operations = self.writer(&lease).pin(start);
        operations.extend(decided.cloned());
        match self.fenced(&operations, is_there).await? {
            Fenced::Stored => match self.load().await?.start {
                Some(start) => Ok(Some(start)),
                None => Err(StateError::Malformed { key: SortKey::Stream { label: self.label.to_string() }.text() }),
            },
            Fenced::Lost => Ok(None),
        }
    }

    /// Stores items of shards that were found, with their parents. Those that have an item keep it, and what is done stays
    /// done.
    ///
    /// # Errors
    /// A call failed.
    pub async fn found(&self, shards: &[(ShardId, Option<ShardId>)]) -> Result<Fenced, StateError> {
        let Some(lease) = self.current_lease() else { return Ok(Fenced::Lost) };
        let writer = self.writer(&lease);
        for batch in shards.chunks(writes::MOST_FOUND) {
            let found =
                |(shard, parent): &(ShardId, Option<ShardId>)| writer.found(shard, parent.as_ref(), &self.generations);
            let mut wanted: Vec<[Operation; 2]> = batch.iter().map(found).collect();
            // All or none: shards that are stored or finished are left out of the next attempt.
            while !wanted.is_empty() {
                let operations: Vec<Operation> =
                    std::iter::once(writer.lease_is_mine()).chain(wanted.iter().flatten().cloned()).collect();
                let Answer::Refused(refused) = self.write(&operations).await? else { break };
                let refused: BTreeSet<usize> = refused.iter().map(|refusal| refusal.operation).collect();
                if refused.contains(&0) {
                    return Ok(Fenced::Lost);
                }
                let mut place = 1;
                wanted.retain(|_| {
                    let is_refused = refused.contains(&place) || refused.contains(&(place + 1));
                    place += 2;
                    !is_refused
                });
            }
        }
        Ok(Fenced::Stored)
    }

    /// This term begins with a shard, in its first task ([`writes::FIRST_RUN`]) or a later one.
    ///
    /// # Errors
    /// The call failed.
    pub async fn begin(&self, shard: &ShardId, from: &ReadFrom, run: u64) -> Result<Fenced, StateError> {
        let Some(lease) = self.current_lease() else { return Ok(Fenced::Lost) };
        let operation = self.writer(&lease).begin(shard, from, run);
        loop {
            let mut answer = self.begins.add(operation.clone(), run);
            let turn = tokio::select! {
                biased;
                answered = &mut answer => match answered {
                    Ok(answered) => return answered,
                    // Whoever wrote for this one was stopped.
                    Err(_) => continue,
                },
                turn = self.turn.lock() => turn,
            };
            // This one's is among them, or was answered while it waited for its turn.
            let mut batch = self.begins.take(MOST_OPERATIONS - 1);
            while !batch.is_empty() {
                let operations = begins::operations(self.writer(&lease).lease_is_mine(), &batch);
                let answered = self.send(&operations).await;
                batch = begins::settle(batch, &lease, answered);
            }
            drop(turn);
            if let Ok(answered) = answer.await {
                return answered;
            }
        }
    }

    /// Everything up to and including this record is acknowledged. Never goes backwards within a run.
    ///
    /// # Errors
    /// The call failed.
    pub async fn checkpoint(&self, shard: &ShardId, run: u64, checkpoint: &Checkpoint) -> Result<Fenced, StateError> {
        let Some(lease) = self.current_lease() else { return Ok(Fenced::Lost) };
        let operation = self.writer(&lease).checkpoint(shard, run, checkpoint, &self.generations);
        let position = checkpoint.position.as_str();
        let is_it = |_: usize, item: &Item| names(item, &lease) && text(item, "position") == Some(position);
        self.fenced(&[operation], is_it).await
    }

    /// The read the shard to its end.
    ///
    /// # Errors
    /// The call failed.
    pub async fn drained(&self, shard: &ShardId, run: u64) -> Result<Fenced, StateError> {
        let Some(lease) = self.current_lease() else { return Ok(Fenced::Lost) };
        self.fenced(&[self.writer(&lease).drained(shard, run)], |_, _| false).await
    }

    /// The shard is done: all of its children have their items.
    ///
    /// # Errors
    /// The call failed.
    pub async fn done(&self, shard: &ShardId, children: &[ShardId], keep: &KeepDone) -> Result<Fenced, StateError> {
        let Some(lease) = self.current_lease() else { return Ok(Fenced::Lost) };
        self.fenced(&self.writer(&lease).done(shard, children, keep), |_, _| false).await
    }

    /// Records a gap; the same gap twice is one.
    ///
    /// # Errors
    /// The call failed.
    pub async fn gap(&self, gap: &Gap) -> Result<Fenced, StateError> {
        let Some(lease) = self.current_lease() else { return Ok(Fenced::Lost) };
        self.fenced(&self.writer(&lease).gap(gap), is_there).await
    }

    /// Remembers the UUID of an index that is written to.
    ///
    /// # Errors
    /// The call failed.
    pub async fn index(&self, index: &KnownIndex) -> Result<Fenced, StateError> {
        let Some(lease) = self.current_lease() else { return Ok(Fenced::Lost) };
        self.fenced(&self.writer(&lease).index(index), is_there).await
    }

    /// Carries out writes under the lease. A refusal counts as success where `is_done` says so of every item that
    /// refused: an earlier attempt was carried out (rule L10).
    async fn fenced(
        &self,
        operations: &[Operation],
        is_done: impl Fn(usize, &Item) -> bool,
    ) -> Result<Fenced, StateError> {
        let answer = self.write(operations).await?;
        let Answer::Refused(refused) = answer else { return Ok(Fenced::Stored) };
        let done = |refusal: &Refusal| refusal.found.as_ref().is_some_and(|item| is_done(refusal.operation, item));
        Ok(if refused.iter().all(done) { Fenced::Stored } else { Fenced::Lost })
    }

    /// Writes. Writes that name the lease take turns: concurrent transactions on one item refuse one another, and other
    /// writes to it.
    async fn write(&self, operations: &[Operation]) -> Result<Answer, StateError> {
        let key = writes::lease_key();
        let on_lease = operations.iter().any(|operation| operation.sort_key == key);
        let _turn = if on_lease { Some(self.turn.lock().await) } else { None };
        self.send(operations).await
    }

    async fn send(&self, operations: &[Operation]) -> Result<Answer, StateError> {
        let asked = self.time.asked();
        let written = self.store.write(operations).await?;
        self.time.hear(asked, written.date);
        Ok(written.answer)
    }

    fn writer<'a>(&'a self, lease: &'a Lease) -> Writer<'a> {
        Writer { label: &self.label, lease, now: self.time.now() }
    }

    fn current_lease(&self) -> Option<Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_lease(&self, lease: Option<Lease>) {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = lease;
    }
}

/// The lease item refused, and it is this worker's in this term: it was taken by an earlier attempt.
fn is_mine(refusal: &Refusal, lease: &Lease) -> bool {
    refusal.found.as_ref().is_some_and(|item| names(item, lease))
}

/// Of operations behind the check of the lease: what was to be put is there.
fn is_there(place: usize, _item: &Item) -> bool {
    place == 1
}
