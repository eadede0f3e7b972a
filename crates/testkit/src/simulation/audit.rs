//! Verifications, repairs and replays of dead letters beside the workers: the real jobs of `reconcile`, in a process that
//! crashes, starts again, and reads and writes through the same weather.
//!
//! What is checked: nothing that is on its way is called a difference, what is repaired is written under the version of a
//! read, and in the end one repair makes the index equal to the table, whatever gaps, planted documents and forgotten
//! tombstones there were.

mod reader;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamdex_delivery::{Delivery, DeliveryProgress, ReadMemory};
use streamdex_mapping::{KeyAttribute, KeyType};
use streamdex_reconcile::letters::{Replay, ReplayReport, Selection};
use streamdex_reconcile::pace::Pace;
use streamdex_reconcile::verdict::Verdict;
use streamdex_reconcile::verify::{Difference, DifferenceSink, Lag, Report, Scope, Settings, Verify};
use streamdex_reconcile::{Fault, Mirror, Repair};
use streamdex_sink::{BulkWriter, Patience, WriterSettings};
use tokio_util::sync::CancellationToken;

use self::reader::{SimulatedReader, SimulatedScan};
use super::bulk::SimulatedSearch;
use super::dice::{Dice, hash};
use super::gate::Gate;
use super::indices::SimulatedIndices;
use super::letters::SimulatedLetters;
use super::settings::{mapper, writer_settings};
use super::table::{KEY, SimulatedItems};
use super::time::SECOND;
use super::world::{AUDIT, World};

/// One process.
struct Audit {
    world: Arc<World>,
    gate: Arc<Gate>,
    mirror: Arc<Mirror>,
    cancel: CancellationToken,
}

/// Verifies, repairs and replays, one after the other, until `stop`.
pub(super) async fn audit_until(world: Arc<World>, stop: CancellationToken) {
    let mut dice = Dice::new(world.plan.seed, "audit");
    for number in 1.. {
        let pause = dice.millis(SECOND..=30 * SECOND);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let audit = Audit::new(&world, number);
        if dice.chance(40) {
            audit.gate.crash_after(dice.within(0..=60));
        }
        let what = dice.index(3);
        let work = async {
            match what {
                0 => audit.verify(How::Compare).await.map(drop),
                1 => audit.verify(How::Repair).await.map(drop),
                _ => audit.replay().await.map(drop),
            }
        };
        let died = audit.gate.died();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = died => world.reached.note("verify: a crash"),
            ended = Box::pin(work) => world.trace.note(format_args!("{} ends: {}", audit.gate.name, outcome(&ended))),
        }
        audit.cancel.cancel();
    }
}

/// In the end: letters are replayed, and one repair makes the index equal to the table.
pub(super) async fn audit_in_the_end(world: &Arc<World>) {
    let audit = Audit::new(world, 0);
    match Box::pin(audit.replay()).await {
        Ok(report) => world.trace.note(format_args!("letters: {report:?}")),
        Err(fault) => world.trace.violation(format_args!("letters are not replayed: {fault}")),
    }
    match Box::pin(audit.verify(How::RepairInTheEnd)).await {
        Ok(report) => {
            world.trace.note(format_args!("verified: {report:?}"));
            let poisoned = world.table().items.values().filter(|item| item.is_poison()).count();
            let poisoned = u64::try_from(poisoned).unwrap_or_default();
            if report.drift() + report.dead_lettered + report.inconclusive > poisoned {
                world.trace.violation(format_args!("the index is not repaired: {report:?}"));
            }
            if report.repaired > 0 {
                world.reached.note("verify: repaired in the end");
            }
        }
        Err(fault) => world.trace.violation(format_args!("the index is not verified: {fault}")),
    }
    audit.cancel.cancel();
}

fn outcome<T>(ended: &Result<T, Fault>) -> String {
    match ended {
        Ok(_) => "done".to_owned(),
        Err(fault) => fault.to_string(),
    }
}

/// The table and its indices, as a process reaches them.
pub(super) fn mirror(gate: &Arc<Gate>, world: &Arc<World>) -> Mirror {
    Mirror {
        table: "sessions".to_owned(),
        keys: vec![KeyAttribute { name: KEY.to_owned(), kind: KeyType::String }],
        mapper: Arc::new(mapper(&world.plan)),
        scan: Arc::new(SimulatedScan { gate: Arc::clone(gate), world: Arc::clone(world) }),
        items: Arc::new(SimulatedItems { gate: Arc::clone(gate), world: Arc::clone(world) }),
        index: Arc::new(SimulatedReader { gate: Arc::clone(gate), world: Arc::clone(world) }),
        letters: Arc::new(SimulatedLetters { gate: Arc::clone(gate), world: Arc::clone(world) }),
        patience: Patience::Endless,
        progress: DeliveryProgress::under_way(),
    }
}

// === impl Audit ===

impl Audit {
    fn new(world: &Arc<World>, number: u64) -> Audit {
        let gate = Gate::new(format!("{AUDIT}{number}"), Arc::clone(world));
        let mirror = Arc::new(mirror(&gate, world));
        Audit { world: Arc::clone(world), gate, mirror, cancel: CancellationToken::new() }
    }

    async fn verify(&self, how: How) -> Result<Report, Fault> {
        let settings = Settings {
            scope: Scope::Full,
            items: 0,
            segments: 3,
            pace: Pace::new(None),
            lag: Arc::new(TrueLag(Arc::clone(&self.world), how)),
            patience: Duration::from_secs(900),
            folder: std::env::temp_dir(),
            repair: (how != How::Compare).then(|| self.repair()),
        };
        let witness = Witness { world: Arc::clone(&self.world), name: self.gate.name.clone(), how };
        let verify = Verify::new(Arc::clone(&self.mirror), settings, Arc::new(witness));
        let report = Box::pin(verify.run(&self.cancel)).await?;
        if report.repaired > 0 {
            self.world.reached.note("verify: repaired");
        }
        Ok(report)
    }

    async fn replay(&self) -> Result<ReplayReport, Fault> {
        let replay = Replay::new(Arc::clone(&self.mirror), self.repair());
        let report = Box::pin(replay.run(&Selection::default(), &self.cancel)).await?;
        if report.healed > 0 {
            self.world.reached.note("dead letter: healed");
        }
        Ok(report)
    }

    fn repair(&self) -> Repair {
        let (world, gate) = (&self.world, &self.gate);
        let indices = Arc::new(SimulatedIndices::new(Arc::clone(gate), Arc::clone(world)));
        let search = SimulatedSearch { gate: Arc::clone(gate), world: Arc::clone(world) };
        let seed = hash(world.plan.seed, &gate.name);
        let settings = WriterSettings { brake_after: 0, brake_after_field: 0, ..writer_settings(seed) };
        let writer = BulkWriter::start_on(Arc::new(search), indices.clone(), settings, self.cancel.clone());
        Repair::through(|letters| Delivery {
            table: self.mirror.table.clone(),
            mapper: Arc::clone(&self.mirror.mapper),
            reader: Some(Arc::clone(&self.mirror.items)),
            indices,
            writer,
            letters,
            patience: Patience::Endless,
            progress: DeliveryProgress::under_way(),
            memory: ReadMemory::default(),
        })
    }
}

/// What a verification is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Compare,
    Repair,
    /// Everything that can have an outcome has one.
    RepairInTheEnd,
}

/// Compares all with the table and repairs what differs, as `run` does after a gap.
pub(super) async fn compare(gate: &Arc<Gate>, world: &Arc<World>, cancel: &CancellationToken) -> Result<Report, Fault> {
    let (gate, world, cancel) = (Arc::clone(gate), Arc::clone(world), cancel.clone());
    let mirror = Arc::new(mirror(&gate, &world));
    Audit { world, gate, mirror, cancel }.verify(How::Repair).await
}

/// How far behind the workers are, as they are.
pub(super) fn true_lag(world: &Arc<World>) -> impl Lag + 'static {
    TrueLag(Arc::clone(world), How::Compare)
}

/// How far behind the workers are.
struct TrueLag(Arc<World>, How);

#[async_trait]
impl Lag for TrueLag {
    async fn lag(&self) -> Option<Duration> {
        let TrueLag(world, how) = self;
        let behind = || Duration::from_millis(world.time.millis() - world.table().settled_up_to());
        (*how != How::RepairInTheEnd).then(behind)
    }
}

/// Sees what is called a difference.
struct Witness {
    world: Arc<World>,
    name: String,
    how: How,
}

impl DifferenceSink for Witness {
    fn take(&self, difference: &Difference) -> io::Result<()> {
        let Witness { world, name, how } = self;
        let (verdict, id) = (difference.verdict, difference.id.as_deref().unwrap_or_default());
        world.trace.note(format_args!("{name}: {} {id}: {}", verdict.name(), difference.reason));
        world.reached.note(if verdict == Verdict::Inconclusive {
            "verify: inconclusive"
        } else {
            "verify: a difference"
        });
        // In the end, what has no outcome never gets one: it lies behind a gap.
        let is_explained =
            matches!(verdict, Verdict::Inconclusive | Verdict::DeadLettered) || *how == How::RepairInTheEnd;
        if !is_explained && world.table().is_on_its_way(id) {
            world
                .trace
                .violation(format_args!("{name} calls {id} {}, and a change of it is on its way", verdict.name()));
        }
        Ok(())
    }
}
