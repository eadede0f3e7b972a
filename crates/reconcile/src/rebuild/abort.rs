//! Aborts a rebuild before searches have moved: deletes what it made.

use std::time::Duration;

use async_trait::async_trait;
use streamdex_delivery::Term;
use streamdex_delivery::backfill::Stored;
use streamdex_delivery::rebuild::{RebuildPhase, RebuildRecord};
use streamdex_dynamodb::state::StateError;
use streamdex_sink::index::generations::Made;
use tokio::time::Instant;

use super::{BETWEEN_LOOKS, QUIET, Rebuild, is_next};
use crate::Fault;

/// The state of the group that fills the next generation.
#[async_trait]
pub trait NextGroup: Send + Sync {
    /// Takes the lease, so that nobody reads the stream for the group; who does, where somebody does. It may be called again.
    async fn take(&self) -> Result<Option<String>, StateError>;
    /// Deletes what the state table holds of the group about the table, the lease last and only where it is still this
    /// one's; who has taken it, where somebody has. Records of indices that are `left` stay: archives.
    async fn forget(&self, left: &[String]) -> Result<Option<String>, StateError>;
}

/// How an abort ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Abort {
    /// What the rebuild made is gone.
    Done,
    /// Searches see the next generation, or may.
    Shown(RebuildPhase),
    /// Somebody reads the stream for the group; nothing is deleted while it writes.
    ReadBy(String),
}

/// A `rebuild` that runs sees the record, and ends.
const ENDS_WITHIN: Duration = Duration::from_secs(40);

// === impl Rebuild ===

impl Rebuild {
    /// Deletes the indices of the next generation, and the state of its group. If it was stopped, the next call
    /// continues.
    ///
    /// # Errors
    /// A service did not answer, or refused; [`Fault::Taken`] where another process has changed the record.
    pub async fn abort(&self, record: RebuildRecord, group: &dyn NextGroup, term: Term<'_>) -> Result<Abort, Fault> {
        let record = match record.phase {
            RebuildPhase::Moving | RebuildPhase::Moved | RebuildPhase::Returning => {
                return Ok(Abort::Shown(record.phase));
            }
            RebuildPhase::Aborting => record,
            RebuildPhase::Filling | RebuildPhase::Equal | RebuildPhase::Returned => {
                self.enter(&record, RebuildPhase::Aborting).await?
            }
        };
        let begun = Instant::now();
        while let Some(reader) = group.take().await? {
            if begun.elapsed() >= ENDS_WITHIN {
                return Ok(Abort::ReadBy(reader));
            }
            term.sleep(BETWEEN_LOOKS).await?;
        }
        let mut quiet = 0;
        while quiet < QUIET {
            self.settle(&record, term).await?;
            let next = self.of_next(&record, term).await?;
            quiet = if next.is_empty() { quiet + 1 } else { 0 };
            for made in &next {
                tracing::info!(index = made.concrete, "deleting the index that was made for the rebuild");
                let delete = || self.generations.delete(made);
                self.attempts().make(term, "delete the index", delete).await?;
            }
            if let Some(reader) = group.take().await? {
                return Ok(Abort::ReadBy(reader));
            }
            if quiet < QUIET {
                term.sleep(BETWEEN_LOOKS).await?;
            }
        }
        let left: Vec<String> = self.made(term).await?.into_iter().map(|made| made.concrete).collect();
        if let Some(reader) = group.forget(&left).await? {
            return Ok(Abort::ReadBy(reader));
        }
        match self.store.remove(record.beat).await? {
            Stored::Stored => Ok(Abort::Done),
            Stored::Refused => Err(Fault::Taken),
        }
    }

    /// The indices of the next generation, which the rebuild alone has made: no other group names itself in them.
    async fn of_next(&self, record: &RebuildRecord, term: Term<'_>) -> Result<Vec<Made>, Fault> {
        let mut made = self.made(term).await?;
        made.retain(|index| {
            let is_ours =
                index.groups.iter().all(|group| group.rsplit_once('|').is_some_and(|(name, _)| name == record.to));
            is_next(record, index) && is_ours
        });
        Ok(made)
    }
}
