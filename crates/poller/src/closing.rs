//! Closes gaps at an operator's request. One transaction pins where reading continues, removes the gap, and ends the
//! term of the current reader (rule L4).
//!
//! Lost changes stay missing until the index is compared with the table, at the earliest 90 seconds after reading has
//! started again: a change that is read late must not look older than a repair.

mod plan;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{StreamExt, TryStreamExt};
use streamdex_config::{StartPosition, StreamArn};
use streamdex_delivery::backfill::{BackfillRecord, FilledBy};
use streamdex_dynamodb::state::{Answer, MOST_OPERATIONS, Operation, StateError};
use streamdex_dynamodb::stream::{Listing, Position, ShardId, StreamSource};
use streamdex_dynamodb::{AwsError, Fault};
use tokio::time::sleep;

use self::plan::{InStream, Plan};
use crate::clock::{ServiceTime, SystemClock};
use crate::gap::BELIEVE_NOT_FOUND;
use crate::lease::WorkerId;
use crate::state::closing::{Closing, interrupt, interrupted};
use crate::state::{Generations, Listed, Loaded, Progress, StateStore, StoredGap, StoredLease, StreamStart};
use crate::turn::DescribeTurn;

/// Closes gaps of one group on one table.
pub struct GapCloser {
    source: Arc<dyn StreamSource>,
    store: Arc<dyn StateStore>,
    stream: StreamArn,
    generations: Generations,
    command: WorkerId,
    time: Arc<ServiceTime>,
    progress: Progress,
    turn: DescribeTurn,
}

/// What closing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Nobody had the lease: the next reader begins at once.
    Free,
    /// A reader was interrupted. Reading goes on when its lease has expired.
    Interrupted,
}

/// Why gaps are not closed. Those that were not are as they were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The state table.
    #[error(transparent)]
    State(#[from] StateError),
    /// The stream.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// No worker of this version has read the table yet.
    #[error("this version has never read the table")]
    NeverRead,
    /// A listing repeats itself, so that it has no end.
    #[error("DescribeStream repeats a page: the shards of the stream cannot be listed")]
    Repeated,
    /// The service has the shard, and no listing shows it: what comes before it is not known.
    #[error("the shard {shard} exists, but no listing shows it")]
    Unlisted {
        /// The shard.
        shard: ShardId,
    },
    /// Others write at the same time.
    #[error("the gaps could not be closed, since the reader keeps changing")]
    Busy,
}

/// The term, or the shards, may change while a transaction is prepared.
const TRIES: u32 = 8;
/// So many shards are asked for at the same time.
const AT_ONCE: usize = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(2_500);

// === impl GapCloser ===

impl GapCloser {
    /// Creates a closer for the gaps in `store`, while `stream` is followed. `command` is the owner that the lease
    /// names until it expires.
    pub fn new(
        source: Arc<dyn StreamSource>,
        store: Arc<dyn StateStore>,
        stream: StreamArn,
        generations: Generations,
        command: WorkerId,
    ) -> GapCloser {
        let time = Arc::new(ServiceTime::new(Arc::new(SystemClock::default())));
        let (label, of) = (stream.label(), generations.clone());
        let progress = Progress::new(Arc::clone(&store), Arc::clone(&time), label, of, command.clone());
        GapCloser { source, store, stream, generations, command, time, progress, turn: DescribeTurn::default() }
    }

    /// The gaps that are recorded.
    ///
    /// # Errors
    /// The state table cannot be read.
    pub async fn gaps(&self) -> Result<Vec<StoredGap>, CloseError> {
        let loaded = self.progress.load().await?;
        Ok(plan::stored_gaps(&loaded, self.stream.label()))
    }

    /// Closes these gaps; those that are not recorded any more are passed over. It may be called again after an error. `by`
    /// is who is to compare the index with the table then.
    ///
    /// # Errors
    /// The stream or the state table cannot be used, or others change the state all the time.
    pub async fn close(&self, gaps: &[StoredGap], by: FilledBy) -> Result<Closed, CloseError> {
        let mut closed = Closed::Free;
        for _ in 0..TRIES {
            // Before all else: what is stored in a later term must not be undone by what was planned now.
            let lease = self.progress.lease().await?.ok_or(CloseError::NeverRead)?;
            if lease.owner.is_some() {
                closed = Closed::Interrupted;
            }
            let (loaded, done) = (self.progress.load().await?, self.progress.done_shards().await?);
            let recorded = plan::stored_gaps(&loaded, self.stream.label());
            let open: Vec<StoredGap> = recorded.into_iter().filter(|gap| gaps.contains(gap)).collect();
            if open.is_empty() {
                return Ok(closed);
            }
            let done = done.into_iter().map(|shard| shard.id).collect();
            let stream = self.observe(&open, &loaded).await?;
            let plan = Plan { loaded: &loaded, done: &done, stream: &stream, closing: self.closing() };
            if !self.write(plan.units(&open), lease, by).await? {
                sleep(BETWEEN_TRIES).await;
            }
        }
        Err(CloseError::Busy)
    }

    /// Writes units, each of them whole, and says whether all are stored.
    async fn write(
        &self,
        units: Vec<Vec<Operation>>,
        mut lease: StoredLease,
        by: FilledBy,
    ) -> Result<bool, CloseError> {
        for batch in plan::batches(units, MOST_OPERATIONS - 2) {
            // What was filled is not all that was there: changes were lost (rule B1).
            let now = self.time.now();
            let compare = BackfillRecord::after_gap(by, now).replace();
            let mut operations = vec![interrupt(&lease, &self.command, now), compare];
            operations.extend(batch);
            let asked = self.time.asked();
            let written = self.store.write(&operations).await?;
            self.time.hear(asked, written.date);
            if written.answer != Answer::Stored {
                return Ok(false);
            }
            lease = interrupted(lease, &self.command);
        }
        Ok(true)
    }

    /// What the stream holds, as far as these gaps ask for it.
    async fn observe(&self, gaps: &[StoredGap], loaded: &Loaded) -> Result<InStream, CloseError> {
        let mut stream = InStream::default();
        if plan::wants_a_start(gaps, loaded, self.stream.label()) {
            let start = StreamStart::of_listings(StartPosition::TrimHorizon, || self.list()).await?;
            stream.start = Some(start);
        }
        let shards = plan::shards(gaps, self.stream.label());
        if shards.is_empty() {
            if stream.start.is_none() {
                // What is written counts from the service's time, which nobody has heard yet.
                self.list().await?;
            }
            return Ok(stream);
        }
        stream.listed = self.list().await?.shards;
        let listed: BTreeSet<&ShardId> = stream.listed.iter().map(|shard| &shard.id).collect();
        let unlisted: Vec<&ShardId> = shards.iter().filter(|shard| !listed.contains(shard)).collect();
        let mut gone = self.gone(unlisted.iter().copied().cloned().collect()).await?;
        if let Some(there) = unlisted.iter().find(|shard| !gone.contains(**shard) && !is_stored(loaded, shard)) {
            return Err(CloseError::Unlisted { shard: (*there).clone() });
        }
        if !gone.is_empty() {
            let parents = stream.missing_parents().into_iter().filter(|parent| !gone.contains(*parent));
            let parents = parents.cloned().collect();
            gone.extend(self.gone(parents).await?);
        }
        stream.gone = gone;
        Ok(stream)
    }

    /// Those of the shards that are gone. All are asked for at once: each takes a quarter of a minute.
    async fn gone(&self, shards: Vec<ShardId>) -> Result<BTreeSet<ShardId>, CloseError> {
        let asked = shards
            .into_iter()
            .map(|shard| async move { Ok::<_, CloseError>(self.is_gone(&shard).await?.then_some(shard)) });
        let gone = futures::stream::iter(asked).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
        Ok(gone.into_iter().flatten().collect())
    }

    async fn list(&self) -> Result<Listed, CloseError> {
        let mut listing = Listing::default();
        let mut began = None;
        while !listing.is_over() {
            self.turn.wait().await;
            let asked = self.time.asked();
            let page = self.source.shards(listing.next_after()).await?;
            self.time.hear(asked, page.date);
            began.get_or_insert_with(|| self.time.now());
            if !listing.add(page) {
                return Err(CloseError::Repeated);
            }
        }
        Ok(Listed { shards: listing.into_shards(), began: began.unwrap_or_else(|| self.time.now()) })
    }

    /// A shard missing from a listing proves nothing: the service is asked for it by name.
    async fn is_gone(&self, shard: &ShardId) -> Result<bool, CloseError> {
        for _ in 0..BELIEVE_NOT_FOUND {
            match self.source.iterator(shard, &Position::TrimHorizon).await {
                Ok(_) => return Ok(false),
                Err(error) if error.fault() == Fault::NotFound => sleep(BETWEEN_QUESTIONS).await,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn closing(&self) -> Closing<'_> {
        Closing { label: self.stream.label(), now: self.time.now(), generations: &self.generations }
    }
}

fn is_stored(loaded: &Loaded, shard: &ShardId) -> bool {
    loaded.shards.iter().any(|stored| stored.id == *shard)
}

// === impl CloseError ===

impl CloseError {
    /// What to do, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            CloseError::State(error) => error.hint(),
            CloseError::Aws(error) => error.hint().to_owned(),
            CloseError::NeverRead => "run `streamdex run` with this version first".to_owned(),
            CloseError::Repeated | CloseError::Unlisted { .. } | CloseError::Busy => {
                "try again in a minute: nothing is lost".to_owned()
            }
        }
    }

    /// Whether the same call can succeed later.
    pub fn passes_by_itself(&self) -> bool {
        match self {
            CloseError::State(error) => error.aws().is_some_and(|aws| aws.fault().passes_by_itself()),
            CloseError::Aws(error) => error.fault().passes_by_itself(),
            CloseError::Repeated => true,
            CloseError::NeverRead | CloseError::Unlisted { .. } | CloseError::Busy => false,
        }
    }
}
