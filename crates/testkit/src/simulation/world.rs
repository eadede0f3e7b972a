//! Everything outside the workers, and the rules that always hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use streamdex_delivery::letter::{DeadLetter, LetterKey};
use streamdex_dynamodb::{AwsError, Fault};
use streamdex_mapping::READ_MARGIN_SECONDS;

use super::calls::Calls;
use super::dice::Dice;
use super::lock::lock;
use super::plan::Plan;
use super::reached::Reached;
use super::readers::{Readers, earlier_readers};
use super::search::{Line, Search};
use super::seen::Liveness;
use super::state::items::StateItems;
use super::table::{Lies, Shard, Table};
use super::time::{SECOND, VirtualTime};
use super::trace::Trace;
use super::weather::Weather;

/// The world of one seed.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) time: VirtualTime,
    pub(super) trace: Trace,
    pub(super) weather: Weather,
    table: Mutex<Table>,
    search: Mutex<Search>,
    state: Mutex<StateItems>,
    stream_dice: Mutex<Dice>,
    pub(super) calls: Calls,
    pub(super) reached: Reached,
    liveness: Mutex<Liveness>,
    /// The deletes that each worker sent, by document and version.
    deletes: Mutex<BTreeSet<(String, String, u64)>>,
    resigned: AtomicBool,
    /// Of each process, in all of its sources.
    leases: Leases,
    /// The records that were dead letters, by their sequence numbers.
    lettered: Mutex<BTreeSet<String>>,
    /// The dead letters that are listed.
    letters: Mutex<BTreeMap<LetterKey, DeadLetter>>,
    /// A bulk request was carried out late: deletes come once more after it.
    late_request: AtomicBool,
    /// A run to the present end has ended.
    ended: AtomicBool,
    /// Faults have ended.
    calm: AtomicBool,
    /// Somebody has changed items of the state table.
    tampered: AtomicBool,
    /// Which generation searches see.
    readers: Mutex<Readers>,
}

/// How the names of processes begin that verify and repair: they write for no shard.
pub(super) const AUDIT: &str = "audit";

/// How the keys begin of items that are in no stream, and that nobody writes to.
pub(super) const BEFORE: &str = "before";

/// How many leases each process has, by its slot.
pub(super) type Leases = Vec<Arc<AtomicUsize>>;

/// What was asked for when something went wrong may be answered so much later.
const LATE: u64 = 20 * SECOND;

impl World {
    /// The world of a plan, whose workers are processes that count their leases so, by their slots.
    pub(super) fn new(plan: Plan, keep: usize, leases: Leases) -> Arc<World> {
        let time = VirtualTime::start();
        let mut table = Table::new(time, plan.seed, plan.images, plan.partitions, plan.stream);
        if plan.fill {
            table.hold((0..plan.keys).step_by(2).map(|key| format!("k{key}")));
            table.hold((0..plan.keys).map(|key| format!("{BEFORE}{key}")));
        }
        Arc::new(World {
            time,
            trace: Trace::new(time, keep),
            weather: Weather::default(),
            table: Mutex::new(table),
            search: Mutex::new(Search::new(plan.seed, plan.makes_indices)),
            state: Mutex::new(StateItems::default()),
            stream_dice: Mutex::new(Dice::new(plan.seed, "stream")),
            calls: Calls::default(),
            reached: Reached::default(),
            liveness: Mutex::default(),
            deletes: Mutex::default(),
            resigned: AtomicBool::new(false),
            lettered: Mutex::default(),
            letters: Mutex::default(),
            late_request: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            calm: AtomicBool::new(false),
            tampered: AtomicBool::new(false),
            readers: Mutex::new(earlier_readers(plan.two_indices)),
            leases,
            plan,
        })
    }

    /// How many leases the process of a slot has; a slot that comes later has a process without other sources.
    pub(super) fn leases(&self, slot: usize) -> Arc<AtomicUsize> {
        self.leases.get(slot).cloned().unwrap_or_default()
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    pub(super) fn search(&self) -> MutexGuard<'_, Search> {
        lock(&self.search)
    }

    pub(super) fn readers(&self) -> Readers {
        lock(&self.readers).clone()
    }

    pub(super) fn set_readers(&self, readers: Readers) {
        *lock(&self.readers) = readers;
    }

    pub(super) fn state(&self) -> MutexGuard<'_, StateItems> {
        lock(&self.state)
    }

    pub(super) fn stream_dice(&self) -> MutexGuard<'_, Dice> {
        lock(&self.stream_dice)
    }

    /// Whether the last worker has ended because only gapped lineages are left: an operator has to act.
    pub(super) fn resign(&self, resigned: bool) {
        self.resigned.store(resigned, Ordering::Relaxed);
    }

    pub(super) fn is_resigned(&self) -> bool {
        self.resigned.load(Ordering::Relaxed)
    }

    pub(super) fn liveness(&self) -> MutexGuard<'_, Liveness> {
        lock(&self.liveness)
    }

    /// A record is a dead letter: OpenSearch must have refused it for ever.
    pub(super) fn note_letter(&self, worker: &str, letter: &DeadLetter) {
        let record = letter.key.record.as_str();
        self.trace.note(format_args!("{worker} makes {record} a dead letter"));
        self.reached.note("dead letter");
        let is_poison = match worker.starts_with(AUDIT) {
            // A backfill names the item.
            true => self.table().was_poison(letter.keys.as_deref().unwrap_or_default()),
            false => self.table().is_poison(record),
        };
        if !is_poison {
            self.trace.violation(format_args!("{worker} makes {record} a dead letter, which nothing is wrong with"));
        }
        lock(&self.lettered).insert(record.to_owned());
        // When it was written says a clock outside of the simulation.
        lock(&self.letters).insert(letter.key.clone(), DeadLetter { at: self.time.seconds(), ..letter.clone() });
    }

    /// Whether a record ever was a dead letter.
    pub(super) fn has_letter(&self, record: &str) -> bool {
        lock(&self.lettered).contains(record)
    }

    /// Removes a letter that is unchanged.
    pub(super) fn remove_letter(&self, worker: &str, letter: &DeadLetter) -> bool {
        let mut letters = lock(&self.letters);
        let is_unchanged = letters.get(&letter.key) == Some(letter);
        if is_unchanged {
            letters.remove(&letter.key);
            self.trace.note(format_args!("{worker} removes the letter of {}", letter.key.record));
        }
        is_unchanged
    }

    pub(super) fn letters_after(&self, after: Option<&LetterKey>) -> Vec<DeadLetter> {
        let letters = lock(&self.letters);
        letters.values().filter(|letter| after.is_none_or(|after| letter.key > *after)).cloned().collect()
    }

    /// A run to the present end is over: everything that was there when it began has its outcome.
    pub(super) fn reach_the_end(&self) {
        self.reached.note("until the end");
        self.ended.store(true, Ordering::Relaxed);
        let table = self.table();
        let ancestors =
            |shard| std::iter::successors(Some(shard), |shard: &&Shard| table.shard(shard.parent.as_ref()?));
        let shards = table.streams.iter().flat_map(|stream| stream.shards.values());
        // What nobody lists, or what comes after such a shard, is not there yet.
        let listed = shards.filter(|shard| ancestors(*shard).all(|shard| shard.listed_from <= self.plan.head_start));
        // Empty pages are taken for the end of an open one.
        for shard in listed.filter(|shard| ancestors(*shard).all(|shard| shard.hidden.deceived.is_none())) {
            let left = shard.open_records().find(|entry| entry.visible_from < self.plan.head_start);
            if let Some(left) = left {
                let (id, sequence) = (&shard.id, &left.sequence);
                self.trace.violation(format_args!("the end is reached, and {sequence} of {id} has no outcome"));
            }
        }
    }

    /// Faults end.
    pub(super) fn calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// How listings are wrong now.
    pub(super) fn lies(&self) -> Lies {
        if self.is_calm() { Lies::default() } else { self.plan.stream.lies }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Somebody changes items of the state table: what is promised of time does not hold any more.
    pub(super) fn tamper(&self) {
        self.tampered.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_tampered(&self) -> bool {
        self.tampered.load(Ordering::Relaxed)
    }

    pub(super) fn note_late_request(&self) {
        self.reached.note("late bulk request");
        self.late_request.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_late_requests(&self) -> bool {
        self.late_request.load(Ordering::Relaxed)
    }

    /// Counts a DescribeStream.
    ///
    /// # Errors
    /// There were too many within a second.
    pub(super) fn admit_describe(&self, worker: &str) -> Result<(), AwsError> {
        let admitted = self.calls.admits_describe(worker, self.time.millis(), &self.trace);
        if admitted { Ok(()) } else { Err(AwsError::new(Fault::Throttled, "DescribeStream")) }
    }

    /// Counts a GetRecords: a worker must not read a shard more often than it may.
    pub(super) fn count_read(&self, worker: &str, shard: &str) {
        let now = self.time.millis();
        self.calls.read((worker, shard), now, self.is_quiet() && !self.is_tampered(), &self.trace);
        self.liveness().polled(worker, shard, now);
    }

    /// Whether calls are answered as they should be, and were for some time.
    pub(super) fn is_quiet(&self) -> bool {
        self.weather.is_quiet(self.time.millis(), LATE)
    }

    /// A worker's write arrived: it must have the lease, or nobody does. Versions would
    /// mostly make it harmless, but a deleted document's version can be forgotten. A delete that a worker sends once more,
    /// at the same version, can do no harm at any time: it is what is done about a late request.
    pub(super) fn check_writer(&self, worker: &str, line: &Line) {
        let (document, version) = (line.id.as_str(), line.version);
        let is_delete = line.body.is_none();
        let delete = (worker.to_owned(), format!("{}/{document}", line.index), version);
        if is_delete && !lock(&self.deletes).insert(delete) {
            return;
        }
        let shard = self.table().shard_of(document, version).map(str::to_owned);
        let Some(shard) = shard else {
            self.trace.violation(format_args!("{worker} wrote version {version} of {document}, which no change has"));
            return;
        };
        let state = self.state();
        match state.lease().and_then(|lease| lease.owner) {
            // Where somebody removes the lease, it is taken beside its reader, who notices that with its next beat.
            Some(_) if self.is_tampered() => {}
            Some(owner) if owner.as_str() != worker => {
                self.trace.violation(format_args!("{worker} writes {document} for {shard}, and {owner} has the lease"));
            }
            None if state.is_done(&shard) => {
                self.trace.violation(format_args!("{worker} writes {document} for {shard}, which is done"));
            }
            _ => {}
        }
    }

    /// A repair arrived: it is written under the version of a read, and of no change.
    pub(super) fn check_repair(&self, worker: &str, line: &Line) {
        let (second, position) = (line.version >> 31, line.version & ((1 << 31) - 1));
        if position != 0 || second + READ_MARGIN_SECONDS > self.time.seconds() {
            let id = &line.id;
            self.trace
                .violation(format_args!("{worker} writes {id} under version {}, which no read has", line.version));
        }
    }

    /// A worker reads a shard: its parent must be acknowledged, as far as it can still be read.
    pub(super) fn check_order(&self, worker: &str, shard: &str) {
        let table = self.table();
        let parent = table.shard(shard).and_then(|shard| shard.parent.as_ref());
        let Some(parent) = parent.and_then(|parent| table.shard(parent)).filter(|parent| !parent.removed) else {
            return;
        };
        if let Some(open) = parent.records.iter().skip(parent.trimmed).find(|entry| entry.is_open()) {
            self.trace
                .violation(format_args!("{worker} reads {shard} while {} of its parent has no outcome", open.sequence));
        }
    }

    /// A worker stores a position, or the end of a shard: every record up to it must have an outcome.
    pub(super) fn check_acknowledged(&self, worker: &str, shard: &str, up_to: Option<u128>) {
        let table = self.table();
        let Some(found) = table.shard(shard) else { return };
        let missed = found.open_records().find(|entry| up_to.is_none_or(|up_to| entry.order <= up_to));
        if let Some(missed) = missed {
            self.trace.violation(format_args!(
                "{worker} checkpoints {shard} past {} of {}, which has no outcome",
                missed.sequence, missed.key
            ));
        }
        if up_to.is_none() && found.closed.is_none_or(|closed| closed > self.time.millis()) {
            self.trace.violation(format_args!("{worker} finishes {shard}, which is open"));
        }
    }
}
