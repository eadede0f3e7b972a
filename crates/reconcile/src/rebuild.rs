//! Rebuilds indices: fills the next generation beside the one that searches see, and moves searches to it once it
//! equals the table (rule N1).
//!
//! The process that follows the stream for the group of the next generation fills and compares. This module reads the
//! record of the rebuild, stores the next phase, and moves the aliases. Any process can do it, and can continue where
//! another one stopped.

mod abort;
mod begin;
mod next;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use streamdex_delivery::backfill::{BackfillRecord, BackfillState, BackfillStore, FilledBy, Stored};
use streamdex_delivery::indices::KnownIndices;
use streamdex_delivery::letter::DeadLetterStore;
use streamdex_delivery::rebuild::{RebuildPhase, RebuildRecord, RebuildStore};
use streamdex_delivery::{Attempts, DeliveryProgress, Term};
use streamdex_mapping::{IndexName, READ_MARGIN_SECONDS};
use streamdex_sink::Patience;
use streamdex_sink::index::generations::{Absent, Made, Shown, lacking, moves};
use streamdex_sink::index::{Indices, OwnerUnknown, SetupError};

pub use self::abort::{Abort, NextGroup};
pub use self::begin::{Before, Refusal, begin};
pub use self::next::{Conditions, Waiting};
use self::next::{Next, Seen, equal, filling};
use crate::Fault;
use crate::verify::Lag;

/// The generations of a table's indices.
#[async_trait]
pub trait Generations: Send + Sync {
    /// The indices of all generations that are there.
    async fn made(&self) -> Result<Vec<Made>, SetupError>;
    /// Makes the index of the configuration's generation.
    async fn make(&self, index: &IndexName) -> Result<(), SetupError>;
    /// Moves aliases, in one request.
    async fn move_aliases(&self, actions: &[Value]) -> Result<(), SetupError>;
    /// Deletes an index that no search alias is on.
    async fn delete(&self, made: &Made) -> Result<(), SetupError>;
}

/// The generations in OpenSearch.
pub struct TableGenerations {
    /// The indices of the configuration.
    pub indices: Arc<Indices>,
    /// The indices that the group of the configuration knows: a lost one is not created again.
    pub known: KnownIndices,
    /// The table's name.
    pub table: String,
}

/// A rebuild of the indices of one table.
pub struct Rebuild {
    /// The group that fills the next generation: the rebuild of another one is not this one's to move.
    pub group: String,
    /// Where the record is.
    pub store: Arc<dyn RebuildStore>,
    /// How far the index of the next generation is filled and compared.
    pub backfill: Arc<dyn BackfillStore>,
    /// The generations.
    pub generations: Arc<dyn Generations>,
    /// The dead letters of the group that fills the next generation.
    pub letters: Arc<dyn DeadLetterStore>,
    /// The table's name, by which its letters are known.
    pub table: String,
    /// How far behind the reader of that group is.
    pub lag: Arc<dyn Lag>,
    /// What has to be so before searches move.
    pub conditions: Conditions,
    /// How long what fails is tried again.
    pub patience: Patience,
    /// How that has gone so far.
    pub progress: DeliveryProgress,
    /// The service's time, in seconds since 1970.
    pub now: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// What a look at a rebuild came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Looked {
    /// The record is in another phase now.
    Entered(RebuildRecord),
    /// All items are to be compared with their documents.
    Comparing,
    /// It waits.
    Waiting(Waiting),
    /// The aliases are where the record says.
    Settled(RebuildRecord),
    /// Aliases were elsewhere, and are where the record says now.
    Healed(RebuildRecord),
    /// There is no rebuild of this group, or it is being aborted.
    Gone,
}

/// Each round sees what the one before, or another process, has done.
const ROUNDS: usize = 4;
/// Quiet looks in a row before aliases are called moved: an older request may still arrive.
const QUIET: usize = 2;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

// === impl Rebuild ===

impl Rebuild {
    /// Checks the rebuild and takes its next step, if there is one.
    ///
    /// # Errors
    /// A service did not answer, or refused. The next call continues.
    pub async fn look(&self, term: Term<'_>) -> Result<Looked, Fault> {
        let record = self.store.load().await?.filter(|record| record.to == self.group);
        let Some(record) = record else { return Ok(Looked::Gone) };
        let next = match record.phase {
            RebuildPhase::Filling => filling(&self.seen(term).await?),
            RebuildPhase::Equal => equal(&self.seen(term).await?, self.conditions),
            RebuildPhase::Moving => return self.go_on_moving(&record, term).await,
            RebuildPhase::Returning => return self.arrive(&record, RebuildPhase::Returned, term).await,
            RebuildPhase::Moved | RebuildPhase::Returned => {
                let is_quiet = self.settle(&record, term).await?;
                return Ok(if is_quiet { Looked::Settled(record) } else { Looked::Healed(record) });
            }
            RebuildPhase::Aborting => return Ok(Looked::Gone),
        };
        match next {
            Next::Compare => self.compare().await,
            Next::Enter(phase) => self.enter(&record, phase).await.map(Looked::Entered),
            Next::Wait(waiting) => {
                self.hide(&record, term).await?;
                Ok(Looked::Waiting(waiting))
            }
        }
    }

    /// Whether somebody has to go on following for a group whose rebuild is [gone](Looked::Gone): searches see what it filled, or
    /// may go back to it, and another rebuild has begun.
    ///
    /// # Errors
    /// A service did not answer, or refused.
    pub async fn is_needed(&self, gone: &RebuildRecord, term: Term<'_>) -> Result<bool, Fault> {
        match self.store.load().await? {
            Some(record) if record.to == self.group => Ok(false),
            Some(record) if record.from == self.group => Ok(true),
            _ => Ok(self.made(term).await?.iter().any(|made| is_next(gone, made) && made.is_shown())),
        }
    }

    /// Moves the aliases back to what searches saw before.
    ///
    /// # Errors
    /// A service did not answer, or refused; [`Fault::Taken`] where another process has changed the record.
    pub async fn go_back(&self, record: &RebuildRecord, term: Term<'_>) -> Result<Looked, Fault> {
        let record = self.enter(record, RebuildPhase::Returning).await?;
        self.arrive(&record, RebuildPhase::Returned, term).await
    }

    /// Stores the next phase.
    ///
    /// # Errors
    /// The state table did not answer; [`Fault::Taken`] where another process has changed the record.
    pub async fn enter(&self, record: &RebuildRecord, phase: RebuildPhase) -> Result<RebuildRecord, Fault> {
        let next = record.in_phase(phase, (self.now)());
        match self.store.store(&next, Some(record.beat)).await? {
            Stored::Stored => Ok(next),
            Stored::Refused => Err(Fault::Taken),
        }
    }

    /// Goes on where the aliases are to move. Before the first move, the preconditions are checked again: the process
    /// that was to move the aliases may have been gone for days.
    async fn go_on_moving(&self, record: &RebuildRecord, term: Term<'_>) -> Result<Looked, Fault> {
        let has_begun = self.made(term).await?.iter().any(|made| is_next(record, made) && made.is_shown());
        if !has_begun && equal(&self.seen(term).await?, self.conditions) != Next::Enter(RebuildPhase::Moving) {
            return self.enter(record, RebuildPhase::Equal).await.map(Looked::Entered);
        }
        self.arrive(record, RebuildPhase::Moved, term).await
    }

    /// Takes a search alias that somebody has put on the next generation off it, and touches nothing else: before searches
    /// move, what they see is the earlier group's.
    async fn hide(&self, record: &RebuildRecord, term: Term<'_>) -> Result<(), Fault> {
        let mut made = self.made(term).await?;
        made.retain(|made| is_next(record, made));
        let nothing = record.indices.keys().map(|text| (text.clone(), Shown::nothing())).collect();
        let actions = moves(&made, &nothing, Absent::Hide);
        if !actions.is_empty() {
            self.attempts().make(term, "move the aliases", || self.generations.move_aliases(&actions)).await?;
        }
        Ok(())
    }

    /// Moves the aliases, and stores that they have arrived when nothing is left to move for a while.
    async fn arrive(&self, record: &RebuildRecord, phase: RebuildPhase, term: Term<'_>) -> Result<Looked, Fault> {
        let mut quiet = 0;
        while quiet < QUIET {
            quiet = if self.settle(record, term).await? { quiet + 1 } else { 0 };
            if quiet < QUIET {
                term.sleep(BETWEEN_LOOKS).await?;
            }
        }
        self.enter(record, phase).await.map(Looked::Entered)
    }

    /// Makes the aliases be where the record says, as long as it is the record; whether they were.
    async fn settle(&self, record: &RebuildRecord, term: Term<'_>) -> Result<bool, Fault> {
        let shown = record.shown();
        for round in 0..ROUNDS {
            let made = self.made(term).await?;
            if record.phase.shows_next() {
                for index in lacking(&made, &shown) {
                    let make = || self.generations.make(&index);
                    self.attempts().make(term, "make the index", make).await?;
                }
            }
            let actions = moves(&made, &shown, record.absent());
            if actions.is_empty() {
                return Ok(round == 0);
            }
            if self.store.load().await?.as_ref() != Some(record) {
                return Err(Fault::Taken);
            }
            // Where it fails because something has changed meanwhile, the next round sees that.
            if let Err(error) = self.generations.move_aliases(&actions).await {
                tracing::warn!(hint = error.hint(), "the aliases could not be moved: {error}");
                term.sleep(BETWEEN_LOOKS).await?;
            }
        }
        Err(Fault::Unsettled)
    }

    fn attempts(&self) -> Attempts<'_> {
        Attempts { patience: self.patience, progress: &self.progress }
    }

    async fn made(&self, term: Term<'_>) -> Result<Vec<Made>, Fault> {
        Ok(self.attempts().make(term, "list the indices", || self.generations.made()).await?)
    }

    async fn seen(&self, term: Term<'_>) -> Result<Seen, Fault> {
        Ok(Seen {
            backfill: self.backfill.load().await?,
            gaps: self.backfill.gaps().await?,
            has_letters: self.has_letters(term).await?,
            lag: self.lag.lag().await,
        })
    }

    async fn has_letters(&self, term: Term<'_>) -> Result<bool, Fault> {
        let mut after = None;
        loop {
            let page = self.attempts().make(term, "list dead letters", || self.letters.list(after.as_ref())).await?;
            if page.letters.iter().any(|letter| letter.table == self.table) {
                return Ok(true);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(false),
            }
        }
    }

    /// Records that all items are to be compared with their documents, as after a gap: whoever follows the stream fills what
    /// is missing, compares and repairs.
    async fn compare(&self) -> Result<Looked, Fault> {
        let found = self.backfill.load().await?;
        let follows = found.as_ref().map(|found| found.beat);
        let mut record = BackfillRecord::after_gap(FilledBy::Run, (self.now)());
        // What was filled since the pin of the stream lost nothing: 90 seconds after the pin are enough.
        if let Some(filled) = found.as_ref().filter(|found| found.state == BackfillState::Complete && !found.after_gap)
        {
            record.not_before = filled.began + READ_MARGIN_SECONDS;
        }
        record.beat = record.beat.max(follows.map_or(0, |beat| beat + 1));
        record.expected = found.map_or(0, |found| found.expected);
        match self.backfill.store(&record, follows).await? {
            Stored::Stored => Ok(Looked::Comparing),
            Stored::Refused => Err(Fault::Taken),
        }
    }
}

/// Whether an index is of the generation that the rebuild fills.
fn is_next(record: &RebuildRecord, made: &Made) -> bool {
    record.indices.get(&made.text).is_some_and(|rebuilt| rebuilt.to.generation == made.generation)
}

// === impl TableGenerations ===

#[async_trait]
impl Generations for TableGenerations {
    async fn made(&self) -> Result<Vec<Made>, SetupError> {
        self.indices.made(&self.table).await
    }

    async fn make(&self, index: &IndexName) -> Result<(), SetupError> {
        let known =
            self.known.load().await.map_err(|error| OwnerUnknown { reason: error.to_string(), passes: true })?;
        self.indices.remember(known);
        self.indices.ensure(index).await.map(drop)
    }

    async fn move_aliases(&self, actions: &[Value]) -> Result<(), SetupError> {
        self.indices.move_aliases(actions).await
    }

    async fn delete(&self, made: &Made) -> Result<(), SetupError> {
        self.indices.delete(made).await
    }
}
