//! A scripted stream, an index of sequence numbers, and a state table in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodbstreams::types::{AttributeValue, OperationType, Record, StreamRecord};
use streamdex_delivery::Bounds;
use streamdex_delivery::indices::IndexWatch;
use streamdex_dynamodb::state::StateError;
use streamdex_dynamodb::stream::{
    ListedShard, Position, RecordsPage, ShardId, ShardIterator, ShardPage, StreamSource, StreamStatus,
};
use streamdex_dynamodb::{AwsError, Fault};
use streamdex_mapping::{Change, Outcome, RecordError, SequenceNumber, Trust};
use streamdex_sink::index::{KnownIndex, SetupError, VanishedIndex};

use crate::follow::{Deliver, Delivered, Undecided};
use crate::gap::Gap;
use crate::graph::{KeepDone, KnownProgress};
use crate::lease::{Holder, Lease, WorkerId, Written};
use crate::state::{Beat, Generations, Loaded, ProgressStore, StoredShard, StoredWorker, StreamStart};

pub(super) const ARN: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/t/stream/L1";

/// A stream whose shards the test changes while it is followed.
#[derive(Default)]
pub(super) struct FakeStream {
    state: Mutex<FakeState>,
    pub(super) iterators: Mutex<Vec<(String, Position)>>,
    pub(super) records_calls: AtomicU64,
}

#[derive(Default)]
struct FakeState {
    shards: BTreeMap<String, FakeShard>,
    /// Faults that the next GetRecords calls of a shard meet.
    faults: BTreeMap<String, VecDeque<Fault>>,
    /// How many GetRecords calls of a shard are answered without records and without an iterator.
    blanks: BTreeMap<String, u64>,
    disabled: bool,
    gone: bool,
    current: Option<String>,
    page: usize,
}

#[derive(Default, Clone)]
struct FakeShard {
    parent: Option<String>,
    /// Sequence number and creation time.
    records: Vec<(u64, i64)>,
    trimmed: bool,
    /// Records up to this one are trimmed.
    trimmed_to: u64,
    closed: bool,
    hidden_from_listings: bool,
}

impl FakeStream {
    pub(super) fn shard(&self, name: &str, parent: Option<&str>) -> &FakeStream {
        self.state().shards.insert(name.into(), FakeShard { parent: parent.map(Into::into), ..FakeShard::default() });
        self
    }

    pub(super) fn put(&self, name: &str, sequences: impl IntoIterator<Item = u64>) -> &FakeStream {
        self.put_at(name, sequences, 1_700_000_000)
    }

    pub(super) fn put_at(&self, name: &str, sequences: impl IntoIterator<Item = u64>, created: i64) -> &FakeStream {
        let mut state = self.state();
        let shard = state.shards.get_mut(name).unwrap();
        shard.records.extend(sequences.into_iter().map(|sequence| (sequence, created)));
        drop(state);
        self
    }

    pub(super) fn close(&self, name: &str) -> &FakeStream {
        self.state().shards.get_mut(name).unwrap().closed = true;
        self
    }

    pub(super) fn hide(&self, name: &str) -> &FakeStream {
        self.state().shards.get_mut(name).unwrap().hidden_from_listings = true;
        self
    }

    pub(super) fn vanish(&self, name: &str) -> &FakeStream {
        self.state().shards.get_mut(name).unwrap().trimmed = true;
        self
    }

    pub(super) fn trim_to(&self, name: &str, sequence: u64) -> &FakeStream {
        self.state().shards.get_mut(name).unwrap().trimmed_to = sequence;
        self
    }

    pub(super) fn fail(&self, name: &str, faults: &[Fault]) -> &FakeStream {
        self.state().faults.entry(name.into()).or_default().extend(faults);
        self
    }

    pub(super) fn blank(&self, name: &str, answers: u64) -> &FakeStream {
        self.state().blanks.insert(name.into(), answers);
        self
    }

    pub(super) fn blanks_left(&self, name: &str) -> u64 {
        self.state().blanks.get(name).copied().unwrap_or_default()
    }

    pub(super) fn disable(&self, current: Option<&str>) {
        let mut state = self.state();
        state.disabled = true;
        state.current = current.map(Into::into);
    }

    pub(super) fn delete(&self) {
        self.state().gone = true;
    }

    pub(super) fn page_size(&self, records: usize) -> &FakeStream {
        self.state().page = records;
        self
    }

    fn state(&self) -> std::sync::MutexGuard<'_, FakeState> {
        self.state.lock().unwrap()
    }
}

#[async_trait]
impl StreamSource for FakeStream {
    async fn shards(&self, after: Option<&ShardId>) -> Result<ShardPage, AwsError> {
        let state = self.state();
        if state.gone {
            return Err(AwsError::new(Fault::NotFound, "DescribeStream"));
        }
        // Two shards a page.
        let shown = state.shards.iter().filter(|(_, shard)| !shard.trimmed && !shard.hidden_from_listings);
        let all: Vec<ListedShard> = shown.map(|(name, shard)| listed(name, shard)).collect();
        let rest: Vec<_> = all.iter().filter(|shard| after.is_none_or(|after| shard.id > *after)).cloned().collect();
        let shards: Vec<_> = rest.iter().take(2).cloned().collect();
        let next = (rest.len() > 2).then(|| shards[1].id.clone());
        let status = if state.disabled { StreamStatus::Disabled } else { StreamStatus::Enabled };
        Ok(ShardPage { shards, next, status, date: None })
    }

    /// Like an emulator: all shards, whatever their parent.
    async fn children(&self, _parent: &ShardId) -> Result<Vec<ListedShard>, AwsError> {
        Ok(self
            .state()
            .shards
            .iter()
            .filter(|(_, shard)| !shard.trimmed)
            .map(|(name, shard)| listed(name, shard))
            .collect())
    }

    async fn iterator(&self, shard: &ShardId, position: &Position) -> Result<ShardIterator, AwsError> {
        self.iterators.lock().unwrap().push((shard.as_str().to_owned(), position.clone()));
        let state = self.state();
        let found = state.shards.get(shard.as_str()).filter(|shard| !shard.trimmed);
        let found = found.ok_or_else(|| AwsError::new(Fault::NotFound, "GetShardIterator"))?;
        let after = match position {
            Position::TrimHorizon => found.trimmed_to,
            Position::After(sequence) => sequence.as_str().parse().unwrap(),
        };
        if after < found.trimmed_to {
            return Err(AwsError::new(Fault::Trimmed, "GetShardIterator"));
        }
        Ok(ShardIterator::new(format!("{shard}|{after}")))
    }

    async fn records(&self, iterator: &ShardIterator, _limit: Option<i32>) -> Result<RecordsPage, AwsError> {
        self.records_calls.fetch_add(1, Ordering::SeqCst);
        let mut state = self.state();
        let (name, after) = iterator.as_str().split_once('|').unwrap();
        if let Some(fault) = state.faults.get_mut(name).and_then(VecDeque::pop_front) {
            return Err(AwsError::new(fault, "GetRecords"));
        }
        if let Some(left) = state.blanks.get_mut(name).filter(|left| **left > 0) {
            *left -= 1;
            return Ok(RecordsPage::default());
        }
        let after: u64 = after.parse().unwrap();
        let most = if state.page == 0 { 1_000 } else { state.page };
        let shard = state.shards.get(name).filter(|shard| !shard.trimmed);
        let shard = shard.ok_or_else(|| AwsError::new(Fault::NotFound, "GetRecords"))?;
        if after < shard.trimmed_to {
            return Err(AwsError::new(Fault::Trimmed, "GetRecords"));
        }
        let waiting: Vec<_> = shard.records.iter().filter(|(sequence, _)| *sequence > after).collect();
        let page: Vec<_> = waiting.iter().take(most).map(|(sequence, created)| record(*sequence, *created)).collect();
        let last = waiting.iter().take(most).next_back().map_or(after, |(sequence, _)| *sequence);
        let drained = shard.closed && waiting.len() <= most;
        Ok(RecordsPage { records: page, next: (!drained).then(|| ShardIterator::new(format!("{name}|{last}"))) })
    }

    async fn current_stream(&self) -> Result<Option<String>, AwsError> {
        Ok(self.state().current.clone())
    }
}

fn listed(name: &str, shard: &FakeShard) -> ListedShard {
    ListedShard { id: ShardId::new(name), parent: shard.parent.as_deref().map(ShardId::new), closed: shard.closed }
}

fn record(sequence: u64, created: i64) -> Record {
    let body = StreamRecord::builder()
        .keys("pk", AttributeValue::S(format!("k{sequence}")))
        .sequence_number(sequence.to_string())
        .approximate_creation_date_time(aws_smithy_types::DateTime::from_secs(created));
    Record::builder().event_name(OperationType::Modify).dynamodb(body.build()).build()
}

/// Takes note of the sequence numbers that were written.
#[derive(Default)]
pub(super) struct FakeIndex {
    pub(super) written: Mutex<Vec<u64>>,
    /// Deliveries fail while this is set.
    pub(super) down: AtomicBool,
    /// How long a page takes, in milliseconds.
    pub(super) slow: AtomicU64,
    pub(super) vanished: AtomicBool,
    /// The task that delivers panics.
    pub(super) broken: AtomicBool,
    pub(super) remembered: Mutex<Vec<KnownIndex>>,
}

impl FakeIndex {
    pub(super) fn written(&self) -> Vec<u64> {
        self.written.lock().unwrap().clone()
    }

    pub(super) fn known_index() -> KnownIndex {
        KnownIndex { index: "sessions".into(), concrete: "sessions-000001".into(), uuid: "u1".into(), generation: 1 }
    }
}

#[async_trait]
impl Deliver for FakeIndex {
    async fn deliver(&self, records: &[Result<Change<'_>, RecordError>], _trust: Trust, bounds: &Bounds) -> Delivered {
        assert!(!self.broken.load(Ordering::SeqCst), "a defect of the delivery");
        let mut outcomes = vec![None; records.len()];
        let indices = ["sessions".to_owned()].into();
        let slow = std::time::Duration::from_millis(self.slow.load(Ordering::SeqCst));
        tokio::select! {
            () = bounds.cancel.cancelled() => return Delivered { outcomes, indices, fault: Some(Undecided::Stopped) },
            () = tokio::time::sleep(slow) => {}
        }
        // A half-done page now and then: the second half stays undecided.
        let down = self.down.load(Ordering::SeqCst);
        let decided = if down { records.len() / 2 } else { records.len() };
        for (record, outcome) in records.iter().zip(&mut outcomes).take(decided) {
            let sequence = record.as_ref().unwrap().sequence.as_ref().unwrap().as_str().parse().unwrap();
            self.written.lock().unwrap().push(sequence);
            *outcome = Some(Outcome::Applied);
        }
        let fault = down.then(|| Undecided::Later { message: "down".into(), hint: "wait".into() });
        Delivered { outcomes, indices, fault }
    }
}

#[async_trait]
impl IndexWatch for FakeIndex {
    fn remember(&self, known: Vec<KnownIndex>) {
        *self.remembered.lock().unwrap() = known;
    }

    fn known(&self) -> Vec<KnownIndex> {
        vec![FakeIndex::known_index()]
    }

    async fn watch(&self) -> Result<Vec<VanishedIndex>, SetupError> {
        let vanished = VanishedIndex {
            index: "sessions".into(),
            concrete: "sessions-000001".into(),
            expected_uuid: "u1".into(),
            found_uuid: Some("impostor".into()),
        };
        Ok(if self.vanished.load(Ordering::SeqCst) { vec![vanished] } else { vec![] })
    }
}

/// The state table in memory. Counts checkpoints.
#[derive(Default)]
pub(super) struct FakeStore {
    pub(super) loaded: Mutex<Loaded>,
    pub(super) checkpoints: AtomicU64,
    pub(super) beats: AtomicU64,
    pub(super) generations: Generations,
    /// Every call fails while this is set.
    pub(super) down: AtomicBool,
    /// The task that beats panics.
    pub(super) broken: AtomicBool,
    /// The table was deleted.
    pub(super) gone: AtomicBool,
    pub(super) workers: AtomicU64,
}

/// The state table, as one worker uses it.
pub(super) struct FakeSession {
    store: Arc<FakeStore>,
    worker: WorkerId,
    /// Every call of this worker fails while this is set.
    pub(super) cut_off: AtomicBool,
    /// A stored succession is answered two seconds later.
    pub(super) late_successions: AtomicBool,
}

impl FakeStore {
    pub(super) fn session(self: &Arc<FakeStore>) -> Arc<FakeSession> {
        let number = self.workers.fetch_add(1, Ordering::SeqCst) + 1;
        let worker = WorkerId::new(format!("w{number}"));
        Arc::new(FakeSession {
            store: Arc::clone(self),
            worker,
            cut_off: AtomicBool::new(false),
            late_successions: AtomicBool::new(false),
        })
    }

    fn stored(&self, name: &str) -> Option<StoredShard> {
        self.loaded.lock().unwrap().shards.iter().find(|shard| shard.id.as_str() == name).cloned()
    }

    pub(super) fn shard(&self, name: &str) -> Option<KnownProgress> {
        self.stored(name).map(|shard| shard.progress)
    }

    pub(super) fn owner(&self, name: &str) -> Option<String> {
        self.stored(name)?.holder.owner.map(|owner| owner.to_string())
    }

    pub(super) fn position(&self, name: &str) -> Option<String> {
        match self.shard(name)? {
            KnownProgress::Begun(position) => position.map(|position| position.to_string()),
            _ => None,
        }
    }

    pub(super) fn gaps(&self) -> Vec<(&'static str, String)> {
        self.loaded.lock().unwrap().gaps.iter().map(|gap| (gap.kind.name(), gap.subject.clone())).collect()
    }

    fn open(&self, shard: &ShardId, parent: Option<&ShardId>, holder: Holder) -> StoredShard {
        StoredShard {
            id: shard.clone(),
            parent: parent.cloned(),
            progress: KnownProgress::Begun(None),
            generations: self.generations.clone(),
            updated: std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(),
            holder,
        }
    }
}

impl FakeSession {
    fn call(&self) -> Result<std::sync::MutexGuard<'_, Loaded>, StateError> {
        if self.store.gone.load(Ordering::SeqCst) {
            return Err(StateError::Missing { table: "state".into(), place: Default::default() });
        }
        if self.cut_off.load(Ordering::SeqCst) || self.store.down.load(Ordering::SeqCst) {
            let source = AwsError::new(Fault::Transient, "any");
            return Err(StateError::Aws { table: "state".into(), source });
        }
        Ok(self.store.loaded.lock().unwrap())
    }

    /// Changes an item that is this worker's.
    fn fenced(&self, lease: &Lease, change: impl FnOnce(&mut StoredShard)) -> Result<Written, StateError> {
        let mut loaded = self.call()?;
        let ours = |shard: &&mut StoredShard| {
            shard.id == lease.shard
                && shard.holder.fence == lease.fence
                && shard.holder.owner.as_ref() == Some(&self.worker)
        };
        match loaded.shards.iter_mut().find(ours) {
            Some(shard) if shard.progress != KnownProgress::Done => {
                change(shard);
                Ok(Written::Stored)
            }
            _ => Ok(Written::Lost),
        }
    }
}

#[async_trait]
impl ProgressStore for FakeSession {
    fn worker(&self) -> &WorkerId {
        &self.worker
    }

    async fn load(&self) -> Result<Loaded, StateError> {
        let mut loaded = self.call()?.clone();
        loaded.stop_at_gaps();
        Ok(loaded)
    }

    async fn refresh(&self) -> Result<Loaded, StateError> {
        let mut loaded = self.load().await?;
        loaded.shards.retain(|shard| shard.progress != KnownProgress::Done);
        Ok(loaded)
    }

    async fn beat(&self, beat: &Beat) -> Result<(), StateError> {
        self.store.beats.fetch_add(1, Ordering::SeqCst);
        assert!(!self.store.broken.load(Ordering::SeqCst), "a defect of the heartbeat");
        let mut loaded = self.call()?;
        loaded.workers.retain(|worker| worker.id != self.worker);
        loaded.workers.push(StoredWorker {
            id: self.worker.clone(),
            beat: beat.number,
            started: beat.started,
            at: beat.at,
            version: String::new(),
            summary: beat.summary.clone(),
        });
        Ok(())
    }

    async fn leave(&self) -> Result<(), StateError> {
        self.call()?.workers.retain(|worker| worker.id != self.worker);
        Ok(())
    }

    async fn pin(&self, start: &StreamStart) -> Result<StreamStart, StateError> {
        Ok(self.call()?.start.get_or_insert_with(|| start.clone()).clone())
    }

    async fn offer(&self, shard: &ShardId, parent: Option<&ShardId>) -> Result<(), StateError> {
        let mut loaded = self.call()?;
        if !loaded.shards.iter().any(|known| known.id == *shard) {
            loaded.shards.push(self.store.open(shard, parent, Holder::default()));
        }
        Ok(())
    }

    async fn claim(&self, shard: &ShardId, holder: &Holder) -> Result<Option<StoredShard>, StateError> {
        let mut loaded = self.call()?;
        let Some(stored) = loaded.shards.iter_mut().find(|stored| stored.id == *shard && stored.holder == *holder)
        else {
            return Ok(None);
        };
        stored.holder = Holder { owner: Some(self.worker.clone()), fence: holder.fence + 1 };
        Ok(Some(stored.clone()))
    }

    async fn checkpoint(&self, lease: &Lease, position: &SequenceNumber) -> Result<Written, StateError> {
        self.store.checkpoints.fetch_add(1, Ordering::SeqCst);
        self.fenced(lease, |shard| shard.progress = KnownProgress::Begun(Some(position.clone())))
    }

    async fn release(&self, lease: &Lease, position: Option<&SequenceNumber>) -> Result<Written, StateError> {
        self.fenced(lease, |shard| {
            shard.holder.owner = None;
            if let Some(position) = position {
                shard.progress = KnownProgress::Begun(Some(position.clone()));
            }
        })
    }

    async fn finish(&self, lease: &Lease) -> Result<Written, StateError> {
        self.fenced(lease, |shard| shard.progress = KnownProgress::Finished)
    }

    async fn succeed(&self, lease: &Lease, children: &[ShardId], _keep: &KeepDone) -> Result<Written, StateError> {
        let there = self.call()?.shards.iter().any(|shard| children.contains(&shard.id));
        if there {
            return Ok(Written::Lost);
        }
        let written = self.fenced(lease, |shard| shard.progress = KnownProgress::Done)?;
        if written == Written::Stored {
            let ours = || Holder { owner: Some(self.worker.clone()), fence: 1 };
            let new = children.iter().map(|child| self.store.open(child, Some(&lease.shard), ours()));
            self.call()?.shards.extend(new);
        }
        if self.late_successions.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        Ok(written)
    }

    async fn gap(&self, gap: &Gap) -> Result<(), StateError> {
        let mut loaded = self.call()?;
        if !loaded.gaps.contains(gap) {
            loaded.gaps.push(gap.clone());
        }
        Ok(())
    }

    async fn index(&self, index: &KnownIndex) -> Result<(), StateError> {
        let mut loaded = self.call()?;
        if !loaded.indices.contains(index) {
            loaded.indices.push(index.clone());
        }
        Ok(())
    }
}
