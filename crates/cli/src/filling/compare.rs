//! After a gap: compares all items with their documents, and repairs the differences.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamdex_delivery::Term;
use streamdex_delivery::backfill::{BackfillRecord, SEGMENTS, Stored};
use streamdex_dynamodb::stream::KEPT_SECONDS;
use streamdex_dynamodb::time::now;
use streamdex_poller::beside::Held;
use streamdex_poller::status::StatusBoard;
use streamdex_reconcile::Fault;
use streamdex_reconcile::backfill::{End, GONE_AFTER};
use streamdex_reconcile::pace::Pace;
use streamdex_reconcile::verdict::Verdict;
use streamdex_reconcile::verify::{Difference, DifferenceSink, Lag, Report, Scope, Settings, Verify};
use tokio_util::sync::CancellationToken;

use super::{Attempt, Filling, show_while};

/// The reader may have all of the stream before it.
const PATIENCE: Duration = Duration::from_secs(2 * KEPT_SECONDS);

/// How far behind this worker is.
struct OwnLag(StatusBoard);

/// Notes differences that stay.
struct Logged;

// === impl Filling ===

impl Filling {
    /// Makes the indices equal to the table. Where most documents are missing, as in an index that was lost, items are filled
    /// in first: that is faster, and goes on where it was after a take-over.
    pub(super) async fn after_gap(&self, held: &Held, record: BackfillRecord) -> Result<Attempt, Fault> {
        if self.store.gaps().await? > 0 || self.is_filled_by_another(held, &record).await? {
            return Ok(Attempt::Failed);
        }
        let items = self.table_size().await?.items;
        let is_read = record.done() == record.segments.len();
        if is_read || !matches!(self.documents().await, Ok(Some(documents)) if documents.saturating_mul(2) < items) {
            return self.compare(held, record).await;
        }
        match Box::pin(self.claim_and_fill(held, record, None)).await? {
            Some(filled) if filled.end == End::Gapped => self.compare(held, filled.record).await,
            Some(_) => Ok(Attempt::Stopped),
            None => Ok(Attempt::Failed),
        }
    }

    /// A record that somebody else owns, and that moves.
    async fn is_filled_by_another(&self, held: &Held, record: &BackfillRecord) -> Result<bool, Fault> {
        if record.owner.as_deref().is_none_or(|owner| owner == self.worker.as_str()) {
            return Ok(false);
        }
        Term { cancel: &held.stop, until: None }.sleep(GONE_AFTER).await?;
        Ok(self.store.load().await?.is_none_or(|later| later.beat != record.beat))
    }

    /// Compares and repairs, and stores that the index holds what the table holds.
    async fn compare(&self, held: &Held, record: BackfillRecord) -> Result<Attempt, Fault> {
        let size = self.table_size().await?;
        let mirror = self.reached.mirror(size.keys.clone());
        mirror.wait_until(record.not_before, Term { cancel: &held.stop, until: None }, &held.stop).await?;
        tracing::info!(
            table = self.table(),
            items = size.items,
            read_units = size.read_units(),
            "comparing all items with their documents"
        );
        let ends = CancellationToken::new();
        let _ended = ends.clone().drop_guard();
        let settings = Settings {
            scope: Scope::Full,
            items: size.items,
            segments: SEGMENTS,
            pace: Pace::new(Pace::half_of(size.provisioned_reads)),
            lag: Arc::new(OwnLag(held.board.clone())),
            patience: PATIENCE,
            folder: std::env::temp_dir(),
            repair: Some(self.reached.repair(self.writer_settings.clone(), &ends)),
        };
        let verify = Verify::new(mirror, settings, Arc::new(Logged));
        let progress = verify.progress();
        let items = || progress.now().1[0];
        let report = Box::pin(show_while(held, &record, items, verify.run(&held.stop))).await?;
        self.compared(held, record, &report).await
    }

    async fn compared(&self, held: &Held, record: BackfillRecord, report: &Report) -> Result<Attempt, Fault> {
        let Report { checked, repaired, .. } = *report;
        if !report.is_whole() {
            tracing::warn!(
                table = self.table(),
                checked,
                repaired,
                differ = report.drift(),
                inconclusive = report.inconclusive,
                "the repair after the gap is incomplete: run `streamdex verify --full --repair`, which names what differs"
            );
            let left = self.leave_to_command(&record).await?;
            return Ok(if left == Stored::Stored { Attempt::Done } else { Attempt::Failed });
        }
        let complete = record.completed((checked, report.dead_lettered), now());
        // A lost index, another gap, or somebody who fills: the next look says what is to be done.
        let term = Term { cancel: &held.stop, until: None };
        if !self.reached.note_indices(&*self.store, term).await?
            || self.store.gaps().await? > 0
            || self.store.store(&complete, Some(record.beat)).await? == Stored::Refused
        {
            return Ok(Attempt::Failed);
        }
        tracing::info!(table = self.table(), checked, repaired, "the index equals the table");
        Ok(Attempt::Done)
    }
}

#[async_trait]
impl Lag for OwnLag {
    async fn lag(&self) -> Option<Duration> {
        // A reader that has read nothing yet may be as far behind as the stream is long.
        Some(self.0.snapshot().lag().unwrap_or(Duration::from_secs(KEPT_SECONDS)))
    }
}

impl DifferenceSink for Logged {
    fn take(&self, difference: &Difference) -> io::Result<()> {
        if difference.verdict != Verdict::DeadLettered {
            let index = difference.index.as_deref().unwrap_or("-");
            tracing::debug!(index, verdict = difference.verdict.name(), "a document differs: {}", difference.reason);
        }
        Ok(())
    }
}
