//! Progress in the state table: the lease of a table, where a group began, how far each shard was read, and gaps.
//!
//! Keys and attributes are fixed by `docs/adr/0007-state-table-keys.md`, the conditions of the writes by
//! `docs/adr/0010-one-reader.md`.

mod begins;
pub mod closing;
mod progress;
mod rows;
mod start;
mod store;
pub mod writes;

use std::collections::{BTreeMap, BTreeSet};

use streamdex_delivery::backfill::BackfillRecord;
use streamdex_dynamodb::stream::ShardId;
use streamdex_mapping::{CreationTime, SequenceNumber};
use streamdex_sink::index::KnownIndex;

pub use self::progress::{Progress, Taken};
pub use self::rows::{read_items, read_lease};
pub(crate) use self::start::Listed;
pub use self::store::StateStore;
use crate::gap::Gap;
use crate::graph::ShardProgress;
use crate::lease::WorkerId;

/// The generation of each index, by the text that the configuration gives it.
pub type Generations = BTreeMap<String, u32>;

/// What a group has stored about one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The stream, if the group has begun to follow it.
    pub start: Option<StreamStart>,
    /// Labels of other streams of the same table that the group has followed.
    pub other_streams: Vec<String>,
    /// Labels of streams that were read to their end: another one has taken their place, or their table is gone.
    pub ended_streams: Vec<String>,
    /// The shards of the stream.
    pub shards: Vec<StoredShard>,
    /// The gaps of the stream.
    pub gaps: Vec<Gap>,
    /// The gaps of other streams of the same table.
    pub earlier_gaps: Vec<StoredGap>,
    /// The indices that were written to.
    pub indices: Vec<KnownIndex>,
    /// How far the table was filled, where that is recorded.
    pub backfill: Option<BackfillRecord>,
    /// The lease, where it was ever taken.
    pub lease: Option<StoredLease>,
    /// Workers of an earlier version, which shared the shards.
    pub earlier_workers: Vec<String>,
    /// Items that cannot be read, by sort key.
    pub malformed: Vec<String>,
    /// The shards of the stream among those: nobody knows how far they were read, so they stand still.
    pub malformed_shards: BTreeSet<ShardId>,
}

/// A gap, and the label of the stream that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredGap {
    /// The label.
    pub label: String,
    /// The gap.
    pub gap: Gap,
}

/// Where and when a group began to follow a stream. Written once, before the first read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStart {
    /// `trim_horizon` or `latest`.
    pub position: streamdex_config::StartPosition,
    /// When, in seconds since 1970 by the service's time.
    pub at: u64,
    /// The shards to begin with.
    pub roots: Vec<ShardId>,
    /// A gap about the stream as a whole was closed: what the indices hold already is no surprise.
    pub resumes: bool,
}

/// A shard's item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredShard {
    /// The shard.
    pub id: ShardId,
    /// Where it came from.
    pub parent: Option<ShardId>,
    /// How far it was read.
    pub progress: ShardProgress,
    /// With which generations of the indices.
    pub generations: Generations,
    /// When this was written, in seconds since 1970.
    pub updated: u64,
    /// When the item was made, in seconds since 1970.
    pub born: u64,
    /// When the record at the position was created.
    pub created: Option<CreationTime>,
    /// The term in which it was last begun; `None` if none of its changes was ever sent.
    pub term: Option<u64>,
    /// A gap was closed at `born`: it begins with what was left of it then.
    pub resumes: bool,
}

/// A position in a shard, with the creation time of the record there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last acknowledged record.
    pub position: SequenceNumber,
    /// When it was created, as far as it says.
    pub created: Option<CreationTime>,
}

/// The lease of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredLease {
    /// The owner; `None` if the lease was released.
    pub owner: Option<WorkerId>,
    /// The host that had it last.
    pub host: String,
    /// Grows with each time that it is taken.
    pub term: u64,
    /// Grows with each sign of life.
    pub beat: u64,
    /// Terms in a row that ended without progress; the present one counts until it makes some.
    pub fruitless: u32,
    /// Up to when every known open shard was read to an empty page, in seconds since 1970.
    pub swept: Option<u64>,
    /// The UUID of the OpenSearch cluster that is written to.
    pub cluster: Option<String>,
    /// The fingerprint of the routes.
    pub routes: Option<String>,
    /// Requests of the last reader may still be carried out.
    pub unclean: bool,
    /// When the last beat was written, in seconds since 1970.
    pub at: u64,
    /// When the term began, in seconds since 1970.
    pub since: u64,
    /// The version of streamdex.
    pub version: String,
    /// The reader's summary: JSON, for `streamdex status`.
    pub summary: String,
}

/// A sign of life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beat {
    /// Grows with each beat.
    pub number: u64,
    /// See [`StoredLease::swept`]; `None` leaves what is stored.
    pub swept: Option<u64>,
    /// The UUID of the OpenSearch cluster, once it is known.
    pub cluster: Option<String>,
    /// The term has made progress.
    pub fruitful: bool,
    /// The reader's summary: JSON, at most 1 KB.
    pub summary: String,
}

// === impl Loaded ===

impl Loaded {
    /// The label of the last stream that the group has followed, where that is another one and was not read to its
    /// end.
    pub fn unfinished_stream(&self) -> Option<&str> {
        if self.start.is_some() {
            return None;
        }
        // Labels are times.
        let last = self.other_streams.iter().max()?;
        (!self.ended_streams.contains(last)).then_some(last)
    }

    /// Every gap that is recorded, those of other streams too: until they are closed the index is not known to be whole.
    pub fn all_gaps(&self) -> impl Iterator<Item = &Gap> {
        self.gaps.iter().chain(self.earlier_gaps.iter().map(|stored| &stored.gap))
    }

    /// A shard that a gap is about stands still, whatever its own item says.
    pub(crate) fn stop_at_gaps(&mut self) {
        let subjects: BTreeSet<&str> = self.gaps.iter().map(|gap| gap.subject.as_str()).collect();
        for shard in &mut self.shards {
            if shard.progress != ShardProgress::Done && subjects.contains(shard.id.as_str()) {
                shard.progress = ShardProgress::Gapped;
            }
        }
    }
}
