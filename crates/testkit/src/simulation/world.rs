//! Everything outside the workers, and the rules that hold whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use streamdex_dynamodb::{AwsError, Fault};

use super::dice::Dice;
use super::lock::lock;
use super::plan::Plan;
use super::search::{Line, Search};
use super::state::items::StateItems;
use super::table::Table;
use super::time::{VirtualTime, Window};
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
    /// When DescribeStream was called.
    described: Mutex<Window>,
    /// When each worker read each shard.
    reads: Mutex<BTreeMap<(String, String), Window>>,
    /// The deletes that each worker sent, by document and version.
    deletes: Mutex<BTreeSet<(String, String, u64)>>,
    resigned: AtomicBool,
}

/// DescribeStream takes so many calls a second.
const DESCRIBES: usize = 10;
/// A worker's reads of one shard within ten seconds: five a second, and some that a full page asks for.
const READS: usize = 60;
const READS_WITHIN: u64 = 10_000;

impl World {
    pub(super) fn new(plan: Plan, keep: usize) -> Arc<World> {
        let time = VirtualTime::start();
        Arc::new(World {
            time,
            trace: Trace::new(time, keep),
            weather: Weather::default(),
            table: Mutex::new(Table::new(time, plan.seed, plan.images, plan.partitions)),
            search: Mutex::new(Search::new(plan.seed, plan.makes_indices)),
            state: Mutex::new(StateItems::default()),
            stream_dice: Mutex::new(Dice::new(plan.seed, "stream")),
            described: Mutex::default(),
            reads: Mutex::default(),
            deletes: Mutex::default(),
            resigned: AtomicBool::new(false),
            plan,
        })
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    pub(super) fn search(&self) -> MutexGuard<'_, Search> {
        lock(&self.search)
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

    /// Counts a DescribeStream.
    ///
    /// # Errors
    /// There were too many within a second.
    pub(super) fn admit_describe(&self) -> Result<(), AwsError> {
        let admitted = lock(&self.described).admit(self.time.millis(), DESCRIBES);
        if admitted { Ok(()) } else { Err(AwsError::new(Fault::Throttled, "DescribeStream")) }
    }

    /// Counts a GetRecords: a worker must not read a shard much more often than it may.
    pub(super) fn count_read(&self, worker: &str, shard: &str) {
        let now = self.time.millis();
        let mut all = lock(&self.reads);
        let reads = all.entry((worker.to_owned(), shard.to_owned())).or_default();
        if reads.count(now, READS_WITHIN) == READS {
            self.trace.violation(format_args!("{worker} read {shard} {READS} times within 10 s"));
        }
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
            Some(owner) if owner.as_str() != worker => {
                self.trace.violation(format_args!("{worker} writes {document} for {shard}, and {owner} has the lease"));
            }
            None if state.is_done(&shard) => {
                self.trace.violation(format_args!("{worker} writes {document} for {shard}, which is done"));
            }
            _ => {}
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
