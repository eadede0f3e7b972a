//! Shards, lanes, and which batch comes next.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use fastrand::Rng;

use super::lane::{Halving, Lane};
use super::record::{OnFailure, Record, event};
use super::reply::{Reply, Verdict};

/// How the mapping is configured, and how badly it is treated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `BatchSize`
    pub batch_size: usize,
    /// The payload's limit, 6 MB in the service.
    pub batch_bytes: usize,
    /// `ParallelizationFactor`
    pub parallelization_factor: usize,
    /// `BisectBatchOnFunctionError`
    pub bisect_on_error: bool,
    /// `MaximumRetryAttempts`; `None` is endless.
    pub maximum_retry_attempts: Option<u32>,
    /// How many of a hundred good answers get lost, so that the batch comes again.
    pub lost_answers: u8,
}

impl Default for Settings {
    /// As the templates have it, on a good day.
    fn default() -> Self {
        Self {
            batch_size: 1_000,
            batch_bytes: 6_000_000,
            parallelization_factor: 1,
            bisect_on_error: true,
            maximum_retry_attempts: None,
            lost_answers: 0,
        }
    }
}

/// A batch for the function.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The shard that it is from.
    pub shard: String,
    /// The records, in order.
    pub records: Vec<Arc<Record>>,
    lane: (String, usize),
}

/// An event source mapping over the shards of one stream.
#[derive(Debug)]
pub struct EventSource {
    settings: Settings,
    random: Rng,
    shards: BTreeMap<String, Shard>,
    acknowledged: Vec<Arc<Record>>,
    on_failure: Vec<OnFailure>,
}

#[derive(Debug)]
struct Shard {
    parent: Option<String>,
    lanes: Vec<Lane>,
}

impl Batch {
    /// The event that the function gets.
    #[must_use]
    pub fn event(&self) -> String {
        event(&self.records)
    }
}

impl EventSource {
    /// A mapping without shards.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            random: Rng::with_seed(seed),
            shards: BTreeMap::new(),
            acknowledged: Vec::new(),
            on_failure: Vec::new(),
        }
    }

    /// Adds a shard; a child is read when its parent is done.
    pub fn add_shard(&mut self, shard: &str, parent: Option<&str>) {
        let lanes = (0..self.settings.parallelization_factor.max(1)).map(|_| Lane::default()).collect();
        self.shards.insert(shard.to_owned(), Shard { parent: parent.map(str::to_owned), lanes });
    }

    /// Adds a record at the end of a shard.
    ///
    /// # Panics
    /// When there is no such shard.
    pub fn add(&mut self, shard: &str, record: Record) {
        let shard = self.shards.get_mut(shard).expect("a shard that was added");
        let mut hasher = DefaultHasher::new();
        record.item.hash(&mut hasher);
        let lanes = u64::try_from(shard.lanes.len()).expect("a small number");
        let lane = usize::try_from(hasher.finish() % lanes).expect("a small number");
        shard.lanes[lane].waiting.push_back(Arc::new(record));
    }

    /// A batch that may be sent now, chosen at random among the lanes; `None` while there is none.
    pub fn next_batch(&mut self) -> Option<Batch> {
        let is_ready = |shard: &Shard| {
            let parent = shard.parent.as_ref().and_then(|parent| self.shards.get(parent));
            parent.is_none_or(|parent| parent.lanes.iter().all(Lane::is_drained))
        };
        let ready = self.shards.iter().filter(|(_, shard)| is_ready(shard)).flat_map(|(name, shard)| {
            let lanes = shard.lanes.iter().enumerate().filter(|(_, lane)| !lane.busy && !lane.is_drained());
            lanes.map(|(number, _)| (name.clone(), number))
        });
        let ready: Vec<(String, usize)> = ready.collect();
        let lane = self.random.choice(&ready)?.clone();
        // A window that closes early gives a smaller batch.
        let count = self.random.usize(1..=self.settings.batch_size);
        let bytes = self.settings.batch_bytes;
        let records = self.lane(&lane).take(count, bytes);
        Some(Batch { shard: lane.0.clone(), records, lane })
    }

    /// Takes the function's answer to a batch.
    ///
    /// # Panics
    /// When the batch is not under way.
    pub fn answered(&mut self, batch: &Batch, reply: &Reply) {
        let verdict = reply.verdict(&batch.records);
        let is_lost = verdict == Verdict::Done && self.random.u8(0..100) < self.settings.lost_answers;
        if is_lost {
            // It was applied; the mapping knows nothing of it. Not an attempt that failed.
            self.lane(&batch.lane).busy = false;
            return;
        }
        let halving = if self.settings.bisect_on_error { Halving::On } else { Halving::Off };
        let attempts = self.settings.maximum_retry_attempts.map(|retries| retries + 1);
        let ended = self.lane(&batch.lane).settle(verdict, halving, attempts);
        self.acknowledged.extend(ended.acknowledged);
        if let Some((records, attempts)) = ended.given_up {
            self.on_failure.push(OnFailure { shard: batch.shard.clone(), records, attempts });
        }
    }

    fn lane(&mut self, (shard, number): &(String, usize)) -> &mut Lane {
        &mut self.shards.get_mut(shard).expect("a shard that was added").lanes[*number]
    }

    /// Whether nothing waits and nothing is under way.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.shards.values().all(|shard| shard.lanes.iter().all(Lane::is_drained))
    }

    /// The records that the function has acknowledged, in the order in which it did.
    #[must_use]
    pub fn acknowledged(&self) -> &[Arc<Record>] {
        &self.acknowledged
    }

    /// What has gone to the on-failure destination.
    #[must_use]
    pub fn on_failure(&self) -> &[OnFailure] {
        &self.on_failure
    }
}
