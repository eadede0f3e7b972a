//! A scripted stream, an index of sequence numbers, and a state table in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use streamdex_config::TableArn;
use streamdex_delivery::Bounds;
use streamdex_delivery::indices::IndexWatch;
use streamdex_dynamodb::records::Records;
use streamdex_dynamodb::state::{Action, Extent, Item, Operation, SortKey, StateError, Written, apply};
use streamdex_dynamodb::stream::{
    ListedShard, Position, RecordsPage, ShardId, ShardIterator, ShardPage, StreamSource, StreamStatus,
};
use streamdex_dynamodb::{AwsError, Fault};
use streamdex_mapping::{Change, Outcome, RecordError, Trust};
use streamdex_sink::index::{GroupState, KnownIndex, SetupError, VanishedIndex};
use tokio::time::Instant;

use crate::follow::{Deliver, Delivered, Undecided};
use crate::graph::ShardProgress;
use crate::lease::WorkerId;
use crate::state::{Loaded, StateStore};

/// When every test begins, in seconds since 1970 by the service's time.
pub(super) const EPOCH: u64 = 1_700_000_000;
pub(super) const ARN: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/t/stream/L1";

/// A stream whose shards the test changes while it is followed.
pub(super) struct FakeStream {
    state: Mutex<FakeState>,
    pub(super) iterators: Mutex<Vec<(String, Position)>>,
    pub(super) records_calls: AtomicU64,
    /// Every call fails while this is set.
    pub(super) down: AtomicBool,
    /// The first token of every page of shards that was asked for.
    pub(super) pages: Mutex<Vec<Option<ShardId>>>,
    /// This page of a listing, counted from 0, fails so often.
    pub(super) bad_page: Mutex<(usize, u32)>,
    /// A call with this name panics.
    pub(super) broken: Mutex<&'static str>,
    began: Instant,
}

impl Default for FakeStream {
    fn default() -> FakeStream {
        FakeStream {
            state: Mutex::default(),
            iterators: Mutex::default(),
            records_calls: AtomicU64::default(),
            down: AtomicBool::default(),
            pages: Mutex::default(),
            bad_page: Mutex::default(),
            broken: Mutex::default(),
            began: Instant::now(),
        }
    }
}

#[derive(Default)]
struct FakeState {
    shards: BTreeMap<String, FakeShard>,
    /// Faults that the next GetRecords calls of a shard meet.
    faults: BTreeMap<String, VecDeque<Fault>>,
    /// How many GetRecords calls of a shard are answered without records and without an iterator.
    blanks: BTreeMap<String, u64>,
    /// How many GetRecords calls of a shard are answered with an empty page.
    empties: BTreeMap<String, u64>,
    /// How long the answers of GetRecords take.
    delays: BTreeMap<String, Duration>,
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

    pub(super) fn delay(&self, name: &str, answers: Duration) -> &FakeStream {
        self.state().delays.insert(name.into(), answers);
        self
    }

    pub(super) fn empty_pages(&self, name: &str, answers: u64) -> &FakeStream {
        self.state().empties.insert(name.into(), answers);
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

    fn reach(&self, operation: &'static str) -> Result<(), AwsError> {
        let broken = *self.broken.lock().unwrap();
        assert_ne!(broken, operation, "a defect");
        if self.down.load(Ordering::SeqCst) { Err(AwsError::new(Fault::Transient, operation)) } else { Ok(()) }
    }
}

#[async_trait]
impl StreamSource for FakeStream {
    async fn shards(&self, after: Option<&ShardId>) -> Result<ShardPage, AwsError> {
        self.reach("DescribeStream")?;
        let state = self.state();
        self.pages.lock().unwrap().push(after.cloned());
        if state.gone {
            return Err(AwsError::new(Fault::NotFound, "DescribeStream"));
        }
        // Four shards a page.
        let shown = state.shards.iter().filter(|(_, shard)| !shard.trimmed && !shard.hidden_from_listings);
        let all: Vec<ListedShard> = shown.map(|(name, shard)| listed(name, shard)).collect();
        let rest: Vec<_> = all.iter().filter(|shard| after.is_none_or(|after| shard.id > *after)).cloned().collect();
        let shards: Vec<_> = rest.iter().take(4).cloned().collect();
        let mut bad = self.bad_page.lock().unwrap();
        if bad.1 > 0 && bad.0 == (all.len() - rest.len()) / 4 {
            bad.1 -= 1;
            return Err(AwsError::new(Fault::Transient, "DescribeStream"));
        }
        let next = (rest.len() > 4).then(|| shards[3].id.clone());
        let status = if state.disabled { StreamStatus::Disabled } else { StreamStatus::Enabled };
        Ok(ShardPage { shards, next, status, date: Some(EPOCH + self.began.elapsed().as_secs()) })
    }

    /// Like an emulator: all shards, whatever their parent.
    async fn children(&self, _parent: &ShardId) -> Result<Vec<ListedShard>, AwsError> {
        self.reach("children")?;
        Ok(self
            .state()
            .shards
            .iter()
            .filter(|(_, shard)| !shard.trimmed)
            .map(|(name, shard)| listed(name, shard))
            .collect())
    }

    async fn iterator(&self, shard: &ShardId, position: &Position) -> Result<ShardIterator, AwsError> {
        self.reach("GetShardIterator")?;
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

    /// What the answer holds is settled when the call arrives.
    async fn records(&self, iterator: &ShardIterator, _limit: Option<i32>) -> Result<RecordsPage, AwsError> {
        let answer = self.answer(iterator);
        let (name, _) = iterator.as_str().split_once('|').unwrap();
        let delay = self.state().delays.get(name).copied().unwrap_or_default();
        tokio::time::sleep(delay).await;
        answer
    }

    async fn current_stream(&self) -> Result<Option<String>, AwsError> {
        Ok(self.state().current.clone())
    }
}

impl FakeStream {
    fn answer(&self, iterator: &ShardIterator) -> Result<RecordsPage, AwsError> {
        self.records_calls.fetch_add(1, Ordering::SeqCst);
        self.reach("GetRecords")?;
        let mut state = self.state();
        let (name, after) = iterator.as_str().split_once('|').unwrap();
        if let Some(fault) = state.faults.get_mut(name).and_then(VecDeque::pop_front) {
            return Err(AwsError::new(fault, "GetRecords"));
        }
        if let Some(left) = state.empties.get_mut(name).filter(|left| **left > 0) {
            *left -= 1;
            return Ok(page_of(&[], Some(iterator.clone())));
        }
        if let Some(left) = state.blanks.get_mut(name).filter(|left| **left > 0) {
            *left -= 1;
            return Ok(page_of(&[], None));
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
        Ok(page_of(&page, (!drained).then(|| ShardIterator::new(format!("{name}|{last}")))))
    }
}

fn listed(name: &str, shard: &FakeShard) -> ListedShard {
    ListedShard { id: ShardId::new(name), parent: shard.parent.as_deref().map(ShardId::new), closed: shard.closed }
}

fn record(sequence: u64, created: i64) -> String {
    let keys = r#"{"pk":{"S":"one item"}}"#;
    format!(
        r#"{{"eventName":"MODIFY","dynamodb":{{"Keys":{keys},"SequenceNumber":"{sequence}","ApproximateCreationDateTime":{created}}}}}"#
    )
}

fn page_of(records: &[String], next: Option<ShardIterator>) -> RecordsPage {
    let text = format!(r#"{{"Records":[{}]}}"#, records.join(","));
    let answer = Records::read(text.into(), "arn".into()).unwrap();
    RecordsPage { records: answer.records.unwrap(), next }
}

/// Takes note of the sequence numbers that were written.
#[derive(Default)]
pub(super) struct FakeIndex {
    /// The UUID of its cluster.
    pub(super) cluster: Mutex<String>,
    pub(super) written: Mutex<Vec<u64>>,
    /// The seconds that records took from earlier ones of their item.
    pub(super) raised: Mutex<Vec<u32>>,
    /// Deliveries fail while this is set.
    pub(super) down: AtomicBool,
    /// A record with this number waits for an index that is held back; 0 is none.
    pub(super) held: AtomicU64,
    /// What waited fails when it waits no more.
    pub(super) fails_after_hold: AtomicBool,
    /// It does not answer who asks whether it is there.
    pub(super) silent: AtomicBool,
    /// How long a page takes, in milliseconds.
    pub(super) slow: AtomicU64,
    pub(super) vanished: AtomicBool,
    /// It says that the group has fed it, and the group knows nothing of that.
    pub(super) state_lost: AtomicBool,
    /// The task that delivers a record with this number panics.
    pub(super) poison: AtomicU64,
    /// Requests that are under way.
    pub(super) in_flight: AtomicU64,
    /// Requests that were never answered.
    pub(super) unanswered: AtomicU64,
    /// How often the requests of an earlier reader were doubted.
    pub(super) doubts: AtomicU64,
    pub(super) remembered: Mutex<Vec<KnownIndex>>,
    pub(super) group_state: Mutex<Option<GroupState>>,
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
        let poison = self.poison.load(Ordering::SeqCst).to_string();
        let number =
            |record: &Result<Change<'_>, RecordError>| record.as_ref().ok()?.sequence.as_ref().map(ToString::to_string);
        assert!(!records.iter().any(|record| number(record) == Some(poison.clone())), "a defect of the delivery");
        let mut outcomes = vec![None; records.len()];
        let held = self.held.load(Ordering::SeqCst).to_string();
        if records.iter().any(|record| number(record) == Some(held.clone())) {
            while self.held.load(Ordering::SeqCst) != 0 {
                tokio::select! {
                    () = bounds.cancel.cancelled() => break,
                    () = tokio::time::sleep(std::time::Duration::from_millis(100)) => {}
                }
            }
            if self.fails_after_hold.swap(false, Ordering::SeqCst) {
                let fault = Some(Undecided::Later { message: "held back".into(), hint: "wait".into() });
                return Delivered { outcomes, fault, ..Delivered::default() };
            }
        }
        if self.state_lost.load(Ordering::SeqCst) {
            let fault = Some(Undecided::StateLost { message: "it was fed by this group".into() });
            return Delivered { outcomes, fault, ..Delivered::default() };
        }
        let indices = ["sessions".to_owned()].into();
        let slow = std::time::Duration::from_millis(self.slow.load(Ordering::SeqCst));
        if bounds.permit.as_ref().is_some_and(|permit| !permit.is_granted()) {
            return Delivered { outcomes, indices, fault: Some(Undecided::Stopped) };
        }
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
            self.raised.lock().unwrap().extend(record.as_ref().unwrap().not_before.map(|time| time.seconds()));
            *outcome = Some(Outcome::Applied);
        }
        let fault = down.then(|| Undecided::Later { message: "down".into(), hint: "wait".into() });
        Delivered { outcomes, indices, fault }
    }

    fn holds_back_an_index(&self) -> bool {
        self.held.load(Ordering::SeqCst) != 0
    }

    fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::SeqCst)
    }

    fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::SeqCst)
    }

    fn doubt_earlier_requests(&self) {
        self.doubts.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl IndexWatch for FakeIndex {
    fn restore(&self, _table: &TableArn, known: Vec<KnownIndex>, group: GroupState) {
        (*self.remembered.lock().unwrap(), *self.group_state.lock().unwrap()) = (known, Some(group));
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

/// The state table in memory.
pub(super) struct FakeStore {
    pub(super) items: Mutex<BTreeMap<String, Item>>,
    /// Writes to shards' items.
    pub(super) shard_writes: AtomicU64,
    pub(super) beats: AtomicU64,
    /// Reads of the lease.
    pub(super) looks: AtomicU64,
    /// Every call fails while this is set.
    pub(super) down: AtomicBool,
    /// The task that beats panics.
    pub(super) broken: AtomicBool,
    /// A write to an item whose key begins so panics.
    pub(super) broken_for: Mutex<&'static str>,
    /// The table was deleted.
    pub(super) gone: AtomicBool,
    /// For so many seconds the machine was suspended, and its clocks stood still.
    pub(super) suspended: AtomicU64,
    workers: AtomicU64,
    began: Instant,
}

/// The state table, as one worker uses it.
pub(super) struct FakeSession {
    store: Arc<FakeStore>,
    pub(super) worker: WorkerId,
    /// Every call of this worker fails while this is set.
    pub(super) cut_off: AtomicBool,
}

impl Default for FakeStore {
    fn default() -> FakeStore {
        FakeStore {
            items: Mutex::default(),
            shard_writes: AtomicU64::default(),
            beats: AtomicU64::default(),
            looks: AtomicU64::default(),
            down: AtomicBool::default(),
            broken: AtomicBool::default(),
            broken_for: Mutex::new("-"),
            gone: AtomicBool::default(),
            suspended: AtomicU64::default(),
            workers: AtomicU64::default(),
            began: Instant::now(),
        }
    }
}

impl FakeStore {
    fn check(&self, operation: &Operation) {
        let broken_for = *self.broken_for.lock().unwrap();
        let is_broken = operation.sort_key.starts_with(broken_for);
        assert!(!is_broken || operation.action == Action::Check, "a defect");
    }

    pub(super) fn session(self: &Arc<FakeStore>) -> Arc<FakeSession> {
        let number = self.workers.fetch_add(1, Ordering::SeqCst) + 1;
        let worker = WorkerId::new(format!("w{number}"));
        Arc::new(FakeSession { store: Arc::clone(self), worker, cut_off: AtomicBool::new(false) })
    }

    pub(super) fn loaded(&self) -> Loaded {
        let items: Vec<Item> = self.items.lock().unwrap().values().cloned().collect();
        crate::state::read_items(&items, "L1").unwrap()
    }

    pub(super) fn shard(&self, name: &str) -> Option<ShardProgress> {
        self.loaded().shards.into_iter().find(|shard| shard.id.as_str() == name).map(|shard| shard.progress)
    }

    pub(super) fn position(&self, name: &str) -> Option<String> {
        match self.shard(name)? {
            ShardProgress::Open(position) => position.map(|position| position.as_str().to_owned()),
            _ => None,
        }
    }

    pub(super) fn gaps(&self) -> Vec<(&'static str, String)> {
        self.loaded().gaps.iter().map(|gap| (gap.kind.name(), gap.subject.clone())).collect()
    }

    /// Who has the lease.
    pub(super) fn reader(&self) -> Option<String> {
        self.loaded().lease?.owner.map(|owner| owner.to_string())
    }

    /// Sets attributes of a shard's item, or others, from outside.
    pub(super) fn set(&self, sort_key: &str, attributes: Item) {
        self.items.lock().unwrap().entry(sort_key.to_owned()).or_default().extend(streamdex_dynamodb::state::stored(
            "p",
            sort_key.to_owned(),
            attributes,
        ));
    }
}

impl FakeSession {
    fn reach(&self, operation: &'static str) -> Result<(), StateError> {
        if self.store.gone.load(Ordering::SeqCst) {
            return Err(StateError::Missing { table: "state".to_owned(), place: streamdex_dynamodb::Place::default() });
        }
        if self.store.down.load(Ordering::SeqCst) || self.cut_off.load(Ordering::SeqCst) {
            let source = AwsError::new(Fault::Transient, operation);
            return Err(StateError::Aws { table: "state".to_owned(), source });
        }
        Ok(())
    }
}

#[async_trait]
impl StateStore for FakeSession {
    async fn query(&self, extent: Extent<'_>) -> Result<Vec<Item>, StateError> {
        self.reach("Query")?;
        let is_asked_for = |key: &&String| match extent {
            Extent::All => true,
            Extent::After(bound) => key.as_str() > bound,
            Extent::Prefix(prefix) => key.starts_with(prefix),
        };
        let items = self.store.items.lock().unwrap();
        Ok(items.iter().filter(|(key, _)| is_asked_for(key)).map(|(_, item)| item.clone()).collect())
    }

    async fn get(&self, sort_key: &str) -> Result<Option<Item>, StateError> {
        self.store.looks.fetch_add(1, Ordering::SeqCst);
        self.reach("GetItem")?;
        Ok(self.store.items.lock().unwrap().get(sort_key).cloned())
    }

    async fn write(&self, operations: &[Operation]) -> Result<Written, StateError> {
        let writes = |operation: &&Operation| operation.action != Action::Check;
        let of_shards = |operation: &&Operation| matches!(SortKey::parse(&operation.sort_key), SortKey::Shard { .. });
        let to_shards = operations.iter().filter(writes).filter(of_shards).count();
        self.store.shard_writes.fetch_add(u64::try_from(to_shards).unwrap(), Ordering::SeqCst);
        let is_beat = |operation: &Operation| matches!(&operation.action, Action::Update { remove, .. } if operation.sort_key == "lease" && remove.is_empty());
        if operations.iter().any(is_beat) {
            assert!(!self.store.broken.load(Ordering::SeqCst), "a defect of the heartbeat");
            self.store.beats.fetch_add(1, Ordering::SeqCst);
        }
        operations.iter().for_each(|operation| self.store.check(operation));
        self.reach("TransactWriteItems")?;
        let answer = apply(&mut self.store.items.lock().unwrap(), "p", operations);
        let suspended = self.store.suspended.load(Ordering::SeqCst);
        Ok(Written { answer, date: Some(EPOCH + suspended + self.store.began.elapsed().as_secs()) })
    }
}
