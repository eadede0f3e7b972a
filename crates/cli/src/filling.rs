//! The work of `run` beside reading a stream: it fills an empty index with the items from before the stream, watches
//! for another process that does so, and, if configured, closes gaps and compares all items with their documents.

mod compare;
mod decision;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamdex_config::{Source, StartPosition};
use streamdex_delivery::backfill::{BackfillRecord, BackfillState, BackfillStore, FilledBy, SEGMENTS, Stored};
use streamdex_delivery::{Bounds, DeliveryFault, Term};
use streamdex_dynamodb::AwsError;
use streamdex_dynamodb::size::TableSize;
use streamdex_dynamodb::state::{Operation, StateError};
use streamdex_poller::beside::{Beside, Held, Undecided};
use streamdex_poller::graph::Until;
use streamdex_poller::lease::WorkerId;
use streamdex_poller::state::StreamStart;
use streamdex_reconcile::Fault;
use streamdex_reconcile::backfill::{Backfill, Claim, End, LOOK_EVERY, Lookout, Report, Settings, claim};
use streamdex_reconcile::pace::Pace;
use streamdex_sink::index::{SetupError, SetupErrorKind};
use streamdex_sink::read::IndexReader;
use streamdex_sink::{BulkWriter, WriterSettings};
use tokio::time::{Instant, sleep, timeout};

use self::decision::{Decision, Seen};
use crate::backfill_plan::Plan;
use crate::closing::ClosesItself;
use crate::pause::Pause;
use crate::reached::Reached;

/// Fills the indices of one table.
pub(crate) struct Filling {
    pub(crate) source: Source,
    pub(crate) label: String,
    pub(crate) reached: Reached,
    /// What the reader of the stream writes through.
    pub(crate) writer: BulkWriter,
    pub(crate) writer_settings: WriterSettings,
    pub(crate) store: Arc<dyn BackfillStore>,
    /// Where gaps are closed.
    pub(crate) closes: Option<Arc<ClosesItself>>,
    pub(crate) worker: WorkerId,
    pub(crate) until: Until,
}

/// What a call may take before the index is known to be empty.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What an attempt to fill came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// Nothing is left for this process to do.
    Done,
    /// It failed, and is tried again later.
    Failed,
    /// The term is over.
    Stopped,
}

// === impl Filling ===

#[async_trait]
impl Beside for Filling {
    async fn decide(&self, start: &StreamStart) -> Result<Operation, Undecided> {
        let Some(size) = self.size().await.map(Some).or_else(of_table)? else { return Ok(BackfillRecord::forget()) };
        let from_its_beginning = start.position == StartPosition::TrimHorizon;
        let is_all_in_stream = from_its_beginning && size.is_all_in_stream(&self.label, start.at);
        let at_most = self.source.backfill_at_most;
        // Where nothing is filled, nobody has to be allowed to count.
        let documents = if is_all_in_stream || at_most.is_none() { None } else { self.documents().await? };
        let seen = Seen { is_all_in_stream, items: size.items, documents, at_most };
        let decision = seen.decide();
        let plan = Plan::of(self.source.table.table_name(), &size, Pace::half_of(size.provisioned_reads), None);
        decision.tell(&seen, &plan, self.until);
        Ok(match decision {
            Decision::Complete => BackfillRecord::of_stream(start.at).replace(),
            Decision::Fill => BackfillRecord::new(FilledBy::Run, SEGMENTS, size.items, start.at).replace(),
            Decision::Leave => BackfillRecord::forget(),
        })
    }

    async fn work(&self, held: Held) {
        tokio::select! {
            () = self.close_gaps() => {}
            () = self.fill_as_recorded(&held) => {}
        }
    }
}

impl Filling {
    /// Closes gaps as they come, beside all else. Where one was closed this term ends within seconds, and the next one begins
    /// with what is left.
    async fn close_gaps(&self) {
        let Some(closes) = &self.closes else { return std::future::pending().await };
        loop {
            closes.look().await;
            sleep(LOOK_EVERY).await;
        }
    }

    async fn fill_as_recorded(&self, held: &Held) {
        let (mut lookout, mut pause) = (Lookout::default(), Pause::none());
        loop {
            // In a pause too: another process may fill meanwhile, and relies on being seen.
            if let Some(record) = self.look(held, &mut lookout).await
                && pause.is_over(Instant::now())
            {
                match self.fill(held, record).await {
                    Attempt::Done => pause = Pause::none(),
                    Attempt::Failed => pause.begin(Instant::now()),
                    Attempt::Stopped => return,
                }
            }
            tokio::select! {
                () = held.stop.cancelled() => return,
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Looks at the record, and returns it where this process is to fill.
    async fn look(&self, held: &Held, lookout: &mut Lookout) -> Option<BackfillRecord> {
        let record = match self.store.load().await {
            Ok(record) => record,
            Err(error) => {
                tracing::debug!("the progress of the backfill is unknown: {error}");
                return None;
            }
        };
        held.board.fill(record.clone());
        if lookout.sees(record.as_ref()) {
            self.writer.doubt_earlier_requests();
        }
        let is_ours = |record: &BackfillRecord| record.state == BackfillState::Running && record.by == FilledBy::Run;
        record.filter(is_ours).filter(|_| self.until == Until::Stopped)
    }

    /// Does what the record says, and shows how far it is.
    async fn fill(&self, held: &Held, record: BackfillRecord) -> Attempt {
        self.writer.doubt_earlier_requests();
        let filled = {
            let filling = self.fill_or_compare(held, record);
            tokio::pin!(filling);
            loop {
                tokio::select! {
                    filled = &mut filling => break filled,
                    () = sleep(LOOK_EVERY) => self.writer.doubt_earlier_requests(),
                }
            }
        };
        match filled {
            Ok(attempt) => attempt,
            Err(fault) if fault.is_stop() => Attempt::Stopped,
            Err(fault) => {
                tracing::warn!(
                    table = self.table(),
                    hint = fault.hint(),
                    "the backfill stopped and will be tried again: {fault}"
                );
                Attempt::Failed
            }
        }
    }

    async fn fill_or_compare(&self, held: &Held, record: BackfillRecord) -> Result<Attempt, Fault> {
        if record.after_gap {
            return Box::pin(self.after_gap(held, record)).await;
        }
        let most = self.source.backfill_at_most;
        let Some(report) = Box::pin(self.claim_and_fill(held, record, most)).await? else {
            return Ok(Attempt::Failed);
        };
        Ok(match report.end {
            End::Complete => {
                tracing::info!(table = self.table(), "the index now holds the items from before the stream");
                Attempt::Done
            }
            End::TooLarge => {
                self.leave_to_command(&report.record).await?;
                tracing::warn!(
                    table = self.table(),
                    most = self.source.backfill_at_most,
                    "the table has more items than source.backfill_max_items: run `streamdex backfill` for the rest"
                );
                Attempt::Done
            }
            End::Gapped => {
                tracing::error!(table = self.table(), "the backfill is complete, but changes were lost: close the gap");
                Attempt::Failed
            }
            End::Stopped => Attempt::Stopped,
        })
    }

    /// The rest is for somebody to do by hand.
    async fn leave_to_command(&self, record: &BackfillRecord) -> Result<Stored, StateError> {
        let left = BackfillRecord { by: FilledBy::Command, beat: record.beat + 1, ..record.clone() };
        self.store.store(&left, Some(record.beat)).await
    }

    /// How it ended; none where another process fills.
    async fn claim_and_fill(
        &self,
        held: &Held,
        record: BackfillRecord,
        most_items: Option<u64>,
    ) -> Result<Option<Report>, Fault> {
        let term = Term { cancel: &held.stop, until: None };
        let Claim::Held(record) = claim(&*self.store, self.worker.as_str(), record, term).await? else {
            return Ok(None);
        };
        let size = self.table_size().await?;
        let read_units = Pace::new(Pace::half_of(size.provisioned_reads));
        let settings = Settings { read_units, items: None, most_items };
        let make = |reader| self.reached.delivery(reader, self.writer.clone());
        let mirror = self.reached.mirror(size.keys.clone());
        let backfill = Arc::new(Backfill::through(mirror, Arc::clone(&self.store), settings, make));
        tracing::info!(table = self.table(), items = record.items, expected = size.items, "filling the index");
        let bounds = Bounds { permit: Some(held.permit.clone()), ..Bounds::default() };
        let (progress, shown) = (backfill.progress(), record.clone());
        let filling = backfill.run(record, bounds, held.stop.clone());
        let items = || shown.items + progress.now().records();
        show_while(held, &shown, items, filling).await.map(Some)
    }

    async fn table_size(&self) -> Result<TableSize, Fault> {
        Ok(self.size().await.map_err(DeliveryFault::from)?)
    }

    async fn size(&self) -> Result<TableSize, AwsError> {
        Box::pin(TableSize::describe(&self.reached.clients.dynamodb, self.table())).await
    }

    /// How many documents the indices hold that items are mirrored to; none where OpenSearch does not report it.
    async fn documents(&self) -> Result<Option<u64>, Undecided> {
        let reader = self.reached.index();
        let begun = Instant::now();
        let count = async {
            let mut documents = 0;
            for index in reader.held(self.table()).await?.iter().filter(|index| !index.is_archive) {
                documents += reader.count(index).await?;
            }
            Ok(Some(documents))
        };
        timeout(ANSWER_WITHIN, count).await.map_err(|_| silent(begun.elapsed()))?.or_else(|error| of_index(&error))
    }

    fn table(&self) -> &str {
        self.source.table.table_name()
    }
}

/// Shows on the board how many items are done, while it is worked on.
async fn show_while<T>(
    held: &Held,
    record: &BackfillRecord,
    items: impl Fn() -> u64,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = sleep(LOOK_EVERY) => {
                held.board.fill(Some(BackfillRecord { items: items(), ..record.clone() }));
            }
        }
    }
}

fn silent(after: Duration) -> Undecided {
    let reason = format!("OpenSearch did not answer within {} s", after.as_secs());
    Undecided { reason, hint: "check opensearch.url and the network".to_owned(), passes: true }
}

/// Nothing can be written either while OpenSearch does not answer. If it refuses, the stream is followed anyway, but
/// nothing is filled: it is unknown whether the index is empty.
fn of_index(error: &SetupError) -> Result<Option<u64>, Undecided> {
    let hint = error.hint().to_owned();
    if error.kind() == SetupErrorKind::Transient {
        return Err(Undecided { reason: error.to_string(), hint, passes: true });
    }
    tracing::warn!(hint, "not filling the index, since it is unknown whether it is empty: {error}");
    Ok(None)
}

/// As [`of_index`].
fn of_table(error: AwsError) -> Result<Option<TableSize>, Undecided> {
    let hint = error.hint().to_owned();
    if error.fault().passes_by_itself() {
        return Err(Undecided { reason: error.to_string(), hint, passes: true });
    }
    tracing::warn!(
        hint,
        "not filling the index, since it is unknown whether the table is older than its stream: {error}"
    );
    Ok(None)
}
