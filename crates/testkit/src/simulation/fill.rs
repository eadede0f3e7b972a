//! A backfill beside the workers: the real job of `reconcile`, in a process that crashes, starts again and goes on, of a
//! table with items that are in no stream.
//!
//! What is checked: in the end the index equals the table, those items included, without any repair.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamdex_delivery::backfill::{BackfillRecord, BackfillStore, FilledBy, Stored};
use streamdex_delivery::{Bounds, Delivery, DeliveryProgress, ReadMemory, Term};
use streamdex_dynamodb::state::{Extent, Operation, SortKey, StateError};
use streamdex_mapping::READ_MARGIN_SECONDS;
use streamdex_poller::beside::{Beside, Held, Undecided};
use streamdex_poller::state::{StateStore, StreamStart};
use streamdex_reconcile::Fault;
use streamdex_reconcile::backfill::{Backfill, Claim, End, LOOK_EVERY, Lookout, Settings, claim};
use streamdex_reconcile::pace::Pace;
use streamdex_sink::index::KnownIndex;
use streamdex_sink::{BulkWriter, Patience, WriterSettings};
use tokio_util::sync::CancellationToken;

use super::audit::mirror;
use super::bulk::SimulatedSearch;
use super::dice::{Dice, hash};
use super::gate::Gate;
use super::indices::SimulatedIndices;
use super::settings::{mapper, writer_settings};
use super::state::SimulatedState;
use super::time::SECOND;
use super::world::{AUDIT, World};

/// As `streamdex backfill` has it.
const WRITTEN_WITHIN: Duration = Duration::from_secs(25);
const SEGMENTS: u32 = 3;
/// A process that is not disturbed has done it within this time.
const IN_THE_END: u32 = 40;

/// One process.
struct Fill {
    world: Arc<World>,
    gate: Arc<Gate>,
    cancel: CancellationToken,
}

/// What a worker does beside reading.
pub(super) struct LooksOut {
    pub(super) gate: Arc<Gate>,
    pub(super) world: Arc<World>,
    pub(super) writer: BulkWriter,
}

/// The record of the backfill, as one process reaches it.
pub(super) struct SimulatedBackfill(pub(super) SimulatedState);

/// Fills until it is done, or `stop`.
pub(super) async fn fill_until(world: Arc<World>, stop: CancellationToken) {
    let mut dice = Dice::new(world.plan.seed, "fill");
    for number in 1.. {
        let pause = dice.millis(SECOND..=20 * SECOND);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let fill = Fill::new(&world, number);
        if dice.chance(70) {
            fill.gate.crash_after(dice.within(0..=150));
        }
        let stops = CancellationToken::new();
        let stops_after = dice.chance(30).then(|| dice.millis(SECOND..=60 * SECOND));
        let work = fill.run(&stops);
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => return fill.cancel.cancel(),
            () = fill.gate.died() => None,
            () = stop_after(stops_after, &stops) => None,
            ended = Box::pin(work) => Some(ended),
        };
        fill.cancel.cancel();
        match ended {
            None => world.reached.note("backfill: a crash"),
            Some(Ok(Some(End::Complete))) => {
                world.reached.note("backfill: complete in the storm");
                if !world.plan.rebuild {
                    return;
                }
            }
            Some(ended) => world.trace.note(format_args!("{} ends: {ended:?}", fill.gate.name)),
        }
    }
}

async fn stop_after(time: Option<Duration>, stops: &CancellationToken) {
    let Some(time) = time else { return std::future::pending().await };
    tokio::time::sleep(time).await;
    stops.cancel();
    std::future::pending().await
}

/// When faults have ended, somebody fills what is left.
pub(super) async fn fill_in_the_end(world: &Arc<World>) {
    for number in 0..IN_THE_END {
        let fill = Fill::new(world, u64::from(1_000 + number));
        let ended = Box::pin(fill.run(&CancellationToken::new())).await;
        fill.cancel.cancel();
        world.trace.note(format_args!("{} ends: {ended:?}", fill.gate.name));
        match ended {
            Ok(Some(End::Complete | End::Gapped)) => return,
            Ok(_) | Err(Fault::Taken) => tokio::time::sleep(LOOK_EVERY).await,
            // The index is gone, which a gap says.
            Err(_) if !world.search().lost.is_empty() => return,
            Err(fault) => return world.trace.violation(format_args!("the table is not filled: {fault}")),
        }
    }
    world.trace.violation(format_args!("the table is not filled in all that time"));
}

// === impl Fill ===

impl Fill {
    fn new(world: &Arc<World>, number: u64) -> Fill {
        let gate = Gate::new(format!("{AUDIT}-fill{number}"), Arc::clone(world));
        Fill { world: Arc::clone(world), gate, cancel: CancellationToken::new() }
    }

    /// How it ended; none where there is nothing to be done yet, or another process does it.
    async fn run(&self, stop: &CancellationToken) -> Result<Option<End>, Fault> {
        let Some(pinned) = self.world.liveness().pinned else { return Ok(None) };
        let store = Arc::new(SimulatedBackfill(SimulatedState::new(&self.gate, &self.world)));
        let fresh = BackfillRecord::new(FilledBy::Command, SEGMENTS, 0, 0);
        // Of a group that begins with an empty index, as all do here.
        let is_empty = hash(self.world.plan.seed, "the index is empty").is_multiple_of(2);
        let not_before = if is_empty { 0 } else { self.world.time.seconds_at(pinned) + READ_MARGIN_SECONDS };
        let term = Term { cancel: &self.cancel, until: None };
        let fresh = BackfillRecord { not_before, ..fresh };
        let record = match claim(&*store, &self.gate.name, fresh, term).await? {
            Claim::Held(record) => record,
            Claim::Complete(_) => return Ok(Some(End::Complete)),
            Claim::Taken(_) => return Ok(None),
        };
        if record.items > 0 {
            self.world.reached.note("backfill: goes on");
        }
        // The readers have to learn of it.
        tokio::time::sleep(2 * LOOK_EVERY).await;
        let settings = Settings { read_units: Pace::new(Some(0.5)), items: None, most_items: None };
        let mirror = Arc::new(mirror(&self.gate, &self.world));
        let backfill = Backfill::through(mirror, store.clone(), settings, |reader| {
            let (world, gate) = (&self.world, &self.gate);
            let indices = Arc::new(SimulatedIndices::new(Arc::clone(gate), Arc::clone(world)));
            let search = SimulatedSearch { gate: Arc::clone(gate), world: Arc::clone(world) };
            let settings = WriterSettings {
                request_timeout: WRITTEN_WITHIN,
                ..writer_settings(hash(world.plan.seed, &gate.name))
            };
            Delivery {
                table: "sessions".to_owned(),
                mapper: Arc::new(mapper(&world.plan)),
                reader: Some(reader),
                indices: indices.clone(),
                writer: BulkWriter::start_on(Arc::new(search), indices, settings, self.cancel.clone()),
                letters: Arc::new(super::letters::SimulatedLetters {
                    gate: Arc::clone(gate),
                    world: Arc::clone(world),
                }),
                patience: Patience::Endless,
                progress: DeliveryProgress::under_way(),
                memory: ReadMemory::default(),
            }
        });
        let bounds = Bounds::from(self.cancel.clone());
        let report = Arc::new(backfill).run(record, bounds, stop.clone()).await?;
        if report.end == End::Gapped && report.record.after_gap {
            return self.compare(&store, &report.record).await.map(Some);
        }
        Ok(Some(report.end))
    }

    /// What only a comparison completes.
    async fn compare(&self, store: &SimulatedBackfill, record: &BackfillRecord) -> Result<End, Fault> {
        let report = Box::pin(super::audit::compare(&self.gate, &self.world, &self.cancel)).await?;
        let complete = record.completed((report.checked, report.dead_lettered), self.world.time.seconds());
        if store.gaps().await? > 0 {
            return Ok(End::Gapped);
        }
        let is_complete = report.is_whole() && store.store(&complete, Some(record.beat)).await? == Stored::Stored;
        self.world.reached.note("rebuild: a comparison");
        Ok(if is_complete { End::Complete } else { End::Stopped })
    }
}

// === impl LooksOut ===

#[async_trait]
impl Beside for LooksOut {
    async fn decide(&self, _start: &StreamStart) -> Result<Operation, Undecided> {
        Ok(BackfillRecord::forget())
    }

    async fn work(&self, held: Held) {
        let store = SimulatedBackfill(SimulatedState::new(&self.gate, &self.world));
        let mut lookout = Lookout::default();
        loop {
            if let Ok(record) = store.load().await
                && lookout.sees(record.as_ref())
            {
                self.writer.doubt_earlier_requests();
            }
            tokio::select! {
                biased;
                () = held.stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }
}

// === impl SimulatedBackfill ===

#[async_trait]
impl BackfillStore for SimulatedBackfill {
    async fn load(&self) -> Result<Option<BackfillRecord>, StateError> {
        Ok(self.0.get(&SortKey::Backfill.text()).await?.as_ref().and_then(BackfillRecord::read))
    }

    async fn store(&self, record: &BackfillRecord, follows: Option<u64>) -> Result<Stored, StateError> {
        let written = self.0.write(&[record.put(follows)]).await?;
        Ok(Stored::of(&written.answer, |found| BackfillRecord::read(found).as_ref() == Some(record)))
    }

    async fn note(&self, _index: &KnownIndex) -> Result<(), StateError> {
        Ok(())
    }

    async fn replace(&self, record: &BackfillRecord) -> Result<(), StateError> {
        self.0.write(&[record.replace()]).await.map(drop)
    }

    async fn gaps(&self) -> Result<usize, StateError> {
        Ok(self.0.query(Extent::Prefix(SortKey::GAP_PREFIX)).await?.len())
    }
}
