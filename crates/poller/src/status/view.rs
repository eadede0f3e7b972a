//! The status of a follower at one moment.

use std::collections::BTreeMap;
use std::time::Duration;

use streamdex_config::Source;
use streamdex_dynamodb::stream::ShardId;
use streamdex_mapping::Tally;

use super::fill::Fill;
use crate::gap::Gap;

/// Polls that are as late as one call may take are no sign of too much work.
const SLOW_CALL: Duration = Duration::from_secs(2);

/// A snapshot.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// What is followed.
    pub following: Following,
    /// What became of the records.
    pub tally: Tally,
    /// Records that were taken up and have no outcome (yet).
    pub undecided: u64,
    /// Records from before the start, passed over under `start = "latest"`; they are not counted above.
    pub before_start: u64,
    /// Records decided per second, smoothed.
    pub rate: f64,
    /// The shards that this worker reads.
    pub shards: Vec<ShardStatus>,
    /// The gaps met or found.
    pub gaps: Vec<Gap>,
    /// Whether the index holds what the table held before its stream was followed; only its reader knows.
    pub fill: Fill,
    /// The reason that pauses the whole follower, such as the state table or the listing of shards.
    pub paused: Option<String>,
    /// Whether this worker reads the table.
    pub role: Role,
    /// How long ago the last confirmed beat was begun.
    pub heartbeat_age: Option<Duration>,
    /// Why this worker has given the lease up, while it lets others go first.
    pub given_up: Option<&'static str>,
    /// How long ago a standby last saw the lease.
    pub lease_seen: Option<Duration>,
    /// How long DynamoDB Streams has not answered this reader; zero where it does, or is not asked.
    pub stream_silence: Duration,
    /// How long ago the supervisor's loop last turned; `None` before it turns, and when it is over.
    pub turned: Option<Duration>,
    /// This process does not follow the table: it was stopped, or nothing but gaps is left.
    pub is_over: bool,
    /// Calls to DynamoDB Streams in an hour, as things are now.
    pub projected_calls: f64,
    /// Bytes of records that were read and are not written yet.
    pub prefetched: u64,
    /// What was counted since the start.
    pub counters: Counters,
}

/// What is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Following {
    /// The table's name.
    pub table: String,
    /// The label of the stream.
    pub stream: String,
    /// How often an idle shard is looked at.
    pub freshness: Duration,
}

/// Whether a worker reads the table, or stands by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Role {
    /// This worker.
    pub worker: String,
    /// Who has the lease, as far as this one knows; `None`: nobody.
    pub reader: Option<String>,
    /// The term in which this worker reads; `None`: it stands by.
    pub term: Option<u64>,
}

/// One shard.
#[derive(Debug, Clone)]
pub struct ShardStatus {
    /// The shard.
    pub shard: ShardId,
    /// The shard that it came from, where one is known.
    pub parent: Option<ShardId>,
    /// What is going on with it.
    pub phase: Phase,
    /// How old the index is with regard to this shard. It grows while reading or writing fails. `None` where
    /// nothing was read yet, or can be read any more.
    pub lag: Option<Duration>,
    /// How long ago it was last asked for records, where it is read.
    pub polled: Option<Duration>,
    /// Whether everything there was at the last poll is acknowledged.
    pub caught_up: bool,
    /// Why it does not go on, if it does not.
    pub paused: Option<String>,
    /// Records decided per second, smoothed.
    pub rate: f64,
    /// Records that were taken up and have no outcome (yet).
    pub in_flight: u64,
    /// How often something failed and was tried again.
    pub retries: u64,
    /// What became of the records.
    pub tally: Tally,
    /// What failed last.
    pub last_error: Option<LastError>,
}

/// What is going on with a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// It is not read yet, or not any more, and will be.
    Waiting,
    /// It is read.
    Reading,
    /// Something holds it back.
    Paused,
    /// It is read to its end, and its children are looked for.
    SearchingChildren,
    /// Changes are missing; its lineage stands still.
    Gapped,
}

/// Something that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// What, without item data.
    pub message: String,
    /// What to do, in one sentence.
    pub hint: String,
    /// How long ago.
    pub ago: Duration,
}

/// What is counted from the start of the process on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls of GetRecords.
    pub calls: BTreeMap<Call, u64>,
    /// Changes of the lease.
    pub lease_changes: BTreeMap<LeaseChange, u64>,
    /// How often something failed on a shard and was tried again.
    pub retries: u64,
    /// Checkpoints stored.
    pub checkpoints: u64,
    /// How often this worker stopped writing because its beat was not confirmed in time.
    pub tenure_lapses: u64,
    /// Records whose creation time was before that of an earlier record of their shard.
    pub backwards: u64,
    /// Answers of GetRecords with status 200 that said nothing.
    pub incomplete_answers: u64,
    /// Shard tasks that were started again because they made no progress.
    pub watchdog_restarts: u64,
    /// Shard tasks that panicked and were started again.
    pub task_restarts: u64,
}

/// How a call of GetRecords ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// With records.
    Records,
    /// Without.
    Empty,
    /// It was refused, as one too many.
    Throttled,
    /// The iterator was too old.
    Expired,
    /// It failed otherwise.
    Failed,
}

/// What happened to the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeaseChange {
    /// This worker has taken it.
    Taken,
    /// Another worker has taken it from this one.
    Lost,
    /// It was given back.
    Released,
    /// This worker did not get on, and gave it up.
    GivenUp,
}

// === impl Role ===

impl Role {
    /// Whether this worker reads.
    pub fn is_reader(&self) -> bool {
        self.term.is_some()
    }
}

// === impl Status ===

impl Status {
    /// The lag of the shard that is furthest behind; `None` where no shard is being read.
    pub fn lag(&self) -> Option<Duration> {
        self.shards.iter().filter_map(|shard| shard.lag).max()
    }

    /// The achieved polling interval, if it clearly misses `freshness`: the time since the last poll of the shard that
    /// waits longest.
    pub fn missed_freshness(&self) -> Option<Duration> {
        let wanted = self.following.freshness;
        let reached = self.shards.iter().filter_map(|shard| shard.polled).max()?;
        (reached > wanted + wanted / 2 + SLOW_CALL).then_some(reached)
    }

    /// Whether everything that every shard holds is acknowledged.
    pub fn is_caught_up(&self) -> bool {
        self.undecided == 0 && !self.shards.is_empty() && self.shards.iter().all(|shard| shard.caught_up)
    }

    /// The reasons for which something does not go on, each once.
    pub fn pauses(&self) -> Vec<&str> {
        let of_shards = self.shards.iter().filter_map(|shard| shard.paused.as_deref());
        let mut pauses: Vec<&str> = of_shards.chain(self.paused.as_deref()).collect();
        pauses.sort_unstable();
        pauses.dedup();
        pauses
    }

    /// How many shards are in this phase.
    pub fn in_phase(&self, phase: Phase) -> usize {
        self.shards.iter().filter(|shard| shard.phase == phase).count()
    }
}

// === impl Phase, Call, LeaseChange ===

impl Phase {
    /// All of them.
    pub const ALL: [Phase; 5] =
        [Phase::Waiting, Phase::Reading, Phase::Paused, Phase::SearchingChildren, Phase::Gapped];

    /// The name used in metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Waiting => "waiting",
            Phase::Reading => "reading",
            Phase::Paused => "paused",
            Phase::SearchingChildren => "searching_children",
            Phase::Gapped => "gapped",
        }
    }
}

impl Call {
    /// All of them.
    pub const ALL: [Call; 5] = [Call::Records, Call::Empty, Call::Throttled, Call::Expired, Call::Failed];

    /// The name used in metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Call::Records => "records",
            Call::Empty => "empty",
            Call::Throttled => "throttled",
            Call::Expired => "expired",
            Call::Failed => "failed",
        }
    }
}

impl LeaseChange {
    /// All of them.
    pub const ALL: [LeaseChange; 4] =
        [LeaseChange::Taken, LeaseChange::Lost, LeaseChange::Released, LeaseChange::GivenUp];

    /// The name used in metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            LeaseChange::Taken => "taken",
            LeaseChange::Lost => "lost",
            LeaseChange::Released => "released",
            LeaseChange::GivenUp => "given_up",
        }
    }
}

impl Default for Following {
    fn default() -> Following {
        Following { table: String::new(), stream: String::new(), freshness: Source::DEFAULT_FRESHNESS }
    }
}
