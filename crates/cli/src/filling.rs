//! What `run` does beside reading a stream: it fills an empty index with what the table held before, and looks out for
//! another process that does.

mod decision;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamdex_config::{Source, StartPosition};
use streamdex_delivery::backfill::{BackfillRecord, BackfillState, BackfillStore, FilledBy, SEGMENTS};
use streamdex_delivery::letter::DeadLetterStore;
use streamdex_delivery::{Bounds, Delivery, DeliveryProgress, ReadMemory, Term};
use streamdex_dynamodb::AwsError;
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::item::{BatchGetReader, ItemReader};
use streamdex_dynamodb::scan::TableScan;
use streamdex_dynamodb::size::TableSize;
use streamdex_dynamodb::state::Operation;
use streamdex_mapping::Mapper;
use streamdex_poller::beside::{Beside, Held, Undecided};
use streamdex_poller::graph::Until;
use streamdex_poller::lease::WorkerId;
use streamdex_poller::state::StreamStart;
use streamdex_reconcile::backfill::{Backfill, Claim, End, LOOK_EVERY, Lookout, Settings, claim};
use streamdex_reconcile::pace::Pace;
use streamdex_reconcile::{Fault, Mirror};
use streamdex_sink::index::{SetupError, SetupErrorKind};
use streamdex_sink::read::{ClusterReader, IndexReader};
use streamdex_sink::{BulkWriter, Client, Indices, Patience};
use tokio::time::{Instant, sleep, timeout};

use self::decision::{Decision, Seen};
use crate::backfill_plan::Plan;

/// Fills the indices of one table.
pub(crate) struct Filling {
    pub(crate) source: Source,
    pub(crate) label: String,
    pub(crate) clients: SourceClients,
    pub(crate) client: Client,
    pub(crate) indices: Arc<Indices>,
    pub(crate) mapper: Arc<Mapper>,
    pub(crate) writer: BulkWriter,
    pub(crate) letters: Arc<dyn DeadLetterStore>,
    pub(crate) memory: ReadMemory,
    pub(crate) store: Arc<dyn BackfillStore>,
    pub(crate) worker: WorkerId,
    pub(crate) until: Until,
}

/// What a call may take before the index is known to be empty.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A backfill that failed is begun again after this time, and then after twice that.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

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

/// When a backfill that failed is tried again.
#[derive(Debug)]
struct Pause {
    until: Instant,
    next: Duration,
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
        let (mut lookout, mut pause) = (Lookout::default(), Pause::none());
        loop {
            // In a pause too: another process may fill meanwhile, and relies on being seen.
            if let Some(record) = self.look(&held, &mut lookout).await
                && pause.is_over(Instant::now())
            {
                match self.fill(&held, record).await {
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
}

impl Filling {
    /// Looks at the record, and returns it where this process is to fill.
    async fn look(&self, held: &Held, lookout: &mut Lookout) -> Option<BackfillRecord> {
        let record = match self.store.load().await {
            Ok(record) => record,
            Err(error) => {
                tracing::debug!("how far the table is filled is not known: {error}");
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

    /// Fills, and shows how far it is.
    async fn fill(&self, held: &Held, record: BackfillRecord) -> Attempt {
        self.writer.doubt_earlier_requests();
        let filled = {
            let filling = self.claim_and_fill(held, record);
            tokio::pin!(filling);
            loop {
                tokio::select! {
                    filled = &mut filling => break filled,
                    () = sleep(LOOK_EVERY) => {
                        self.writer.doubt_earlier_requests();
                        if let Ok(record) = self.store.load().await {
                            held.board.fill(record);
                        }
                    }
                }
            }
        };
        match filled {
            Ok(Some(End::Complete)) => {
                tracing::info!(table = self.table(), "the index holds what the table held before its stream");
                Attempt::Done
            }
            Ok(Some(End::TooLarge)) => {
                tracing::warn!(
                    table = self.table(),
                    most = self.source.backfill_at_most,
                    "the table has more items than source.backfill_max_items: `streamdex backfill` writes the rest"
                );
                Attempt::Done
            }
            Ok(Some(End::Gapped)) => {
                tracing::error!(
                    table = self.table(),
                    "the table is filled, and changes are lost all the same: close the gap"
                );
                Attempt::Failed
            }
            Ok(Some(End::Stopped)) => Attempt::Stopped,
            Ok(None) => Attempt::Failed,
            Err(fault) if fault.is_stop() => Attempt::Stopped,
            Err(fault) => {
                tracing::warn!(
                    table = self.table(),
                    hint = fault.hint(),
                    "the backfill stopped, and is tried again: {fault}"
                );
                Attempt::Failed
            }
        }
    }

    /// How it ended; none where another process fills.
    async fn claim_and_fill(&self, held: &Held, record: BackfillRecord) -> Result<Option<End>, Fault> {
        let term = Term { cancel: &held.stop, until: None };
        let Claim::Held(record) = claim(&*self.store, self.worker.as_str(), record, term).await? else {
            return Ok(None);
        };
        let size = self.size().await.map_err(streamdex_delivery::DeliveryFault::from)?;
        let backfill = Arc::new(self.backfill(&size));
        tracing::info!(table = self.table(), items = record.items, expected = size.items, "filling the index");
        let bounds = Bounds { permit: Some(held.permit.clone()), ..Bounds::default() };
        let report = backfill.run(record, bounds, held.stop.clone()).await?;
        if report.end == End::TooLarge {
            let by_command =
                BackfillRecord { by: FilledBy::Command, beat: report.record.beat + 1, ..report.record.clone() };
            self.store.store(&by_command, Some(report.record.beat)).await?;
        }
        Ok(Some(report.end))
    }

    fn backfill(&self, size: &TableSize) -> Backfill {
        let items = Arc::new(BatchGetReader::new(self.clients.dynamodb.clone(), self.table()));
        let mirror = Mirror {
            table: self.table().to_owned(),
            keys: size.keys.clone(),
            mapper: Arc::clone(&self.mapper),
            scan: Arc::new(TableScan::new(self.clients.dynamodb.clone(), self.table())),
            items,
            index: Arc::new(self.reader()),
            letters: Arc::clone(&self.letters),
            patience: Patience::Endless,
            progress: DeliveryProgress::under_way(),
        };
        let settings = Settings {
            read_units: Pace::new(Pace::half_of(size.provisioned_reads)),
            items: None,
            most_items: self.source.backfill_at_most,
        };
        let make = |reader: Arc<dyn ItemReader>| Delivery {
            table: self.table().to_owned(),
            mapper: Arc::clone(&self.mapper),
            reader: Some(reader),
            indices: self.indices.clone(),
            writer: self.writer.clone(),
            letters: Arc::clone(&self.letters),
            patience: Patience::Endless,
            progress: DeliveryProgress::under_way(),
            memory: self.memory.clone(),
        };
        Backfill::through(Arc::new(mirror), Arc::clone(&self.store), settings, make)
    }

    async fn size(&self) -> Result<TableSize, AwsError> {
        Box::pin(TableSize::describe(&self.clients.dynamodb, self.table())).await
    }

    /// How many documents the indices hold that items are mirrored to; none where OpenSearch does not say.
    async fn documents(&self) -> Result<Option<u64>, Undecided> {
        let reader = self.reader();
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

    fn reader(&self) -> ClusterReader {
        ClusterReader::new(self.client.clone(), self.indices.clone())
    }

    fn table(&self) -> &str {
        self.source.table.table_name()
    }
}

// === impl Pause ===

impl Pause {
    fn none() -> Pause {
        Pause { until: Instant::now(), next: FIRST_PAUSE }
    }

    fn is_over(&self, now: Instant) -> bool {
        now >= self.until
    }

    fn begin(&mut self, now: Instant) {
        self.until = now + self.next;
        self.next = (self.next * 2).min(LONGEST_PAUSE);
    }
}

fn silent(after: Duration) -> Undecided {
    let reason = format!("OpenSearch did not answer within {} s", after.as_secs());
    Undecided { reason, hint: "check opensearch.url and the network".to_owned(), passes: true }
}

/// Nothing can be written either while OpenSearch does not answer. Where it refuses, the stream is followed all the same,
/// and nothing is filled: it is not known whether the index is empty.
fn of_index(error: &SetupError) -> Result<Option<u64>, Undecided> {
    let hint = error.hint().to_owned();
    if error.kind() == SetupErrorKind::Transient {
        return Err(Undecided { reason: error.to_string(), hint, passes: true });
    }
    tracing::warn!(hint, "whether the index is empty is not known, so it is not filled: {error}");
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
        "whether the table is older than its stream is not known, so the index is not filled: {error}"
    );
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_ten_minutes() {
        let (mut pause, mut now) = (Pause::none(), Instant::now());
        assert!(pause.is_over(now));
        for seconds in [30, 60, 120, 240, 480, 600, 600] {
            pause.begin(now);
            assert!(!pause.is_over(now + Duration::from_secs(seconds - 1)), "{seconds}");
            now += Duration::from_secs(seconds);
            assert!(pause.is_over(now), "{seconds}");
        }
    }
}
