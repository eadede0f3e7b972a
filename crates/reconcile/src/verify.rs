//! Whether the indices equal the table.
//!
//! ```text
//! table ─▶ Scan pages ─▶ what each item gives ─▶ _mget ─▶ compare ──▶ suspects ─┐
//!                              │ hash                                            ├─▶ wait ─▶ look again ─▶ verdicts
//! index ─▶ every id ───────────┴─▶ which ids the table does not give ─▶ look ───┘              │
//!                                                                                    repair ◀──┘
//! ```
//! While changes are on their way, both sides may differ. So a difference counts only if neither side changed between
//! two checks that are further apart than the reader's lag and the margin of reads.

mod healed;
mod index;
mod report;
mod rounds;
mod table;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use streamdex_delivery::Term;
use streamdex_sink::read::HeldIndex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::report::{Difference, DifferenceSink, Report};
use crate::fault::Fault;
use crate::ids::Spill;
use crate::letters::named_by_letters;
use crate::look::{Knowledge, Look};
use crate::mirror::Mirror;
use crate::pace::Pace;
use crate::repair::Repair;
use crate::suspect::{Suspect, Suspects};
use crate::verdict::Judged;

/// How far behind the reader of the stream is.
#[async_trait]
pub trait Lag: Send + Sync {
    /// The lag now; `None` where nobody knows.
    async fn lag(&self) -> Option<Duration>;
}

/// How a table is verified.
pub struct Settings {
    /// How much of it.
    pub scope: Scope,
    /// About how many items the table has.
    pub items: u64,
    /// Segments that the table is read in at the same time.
    pub segments: u32,
    /// How fast the table is read.
    pub pace: Pace,
    /// How far behind the reader is.
    pub lag: Arc<dyn Lag>,
    /// How long differences that keep changing are looked at again.
    pub patience: Duration,
    /// Where temporary files are.
    pub folder: PathBuf,
    /// Writes what differs, where it is to be repaired.
    pub repair: Option<Repair>,
}

/// How much is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every item, and every document.
    Full,
    /// About so many items, and as many documents of each index, taken at random.
    Sample(u32),
}

/// How much of the table was read.
enum Extent {
    /// All of it, which gives these addresses.
    All(Spill),
    /// Some items.
    Part,
}

/// The progress of a verification, for observers.
#[derive(Debug, Default)]
pub struct Progress {
    items: AtomicU64,
    documents: AtomicU64,
    suspects: AtomicU64,
    phase: Mutex<Phase>,
}

/// What a verification does now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// It reads the table.
    #[default]
    Table,
    /// It reads the indices.
    Index,
    /// It waits until differences can be looked at again, or looks at them.
    Differences,
}

/// A verification of one table.
pub struct Verify {
    mirror: Arc<Mirror>,
    settings: Arc<Settings>,
    progress: Arc<Progress>,
    differences: Arc<dyn DifferenceSink>,
}

/// What a verification has at hand. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) mirror: Arc<Mirror>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) knowledge: Arc<Knowledge>,
    pub(crate) differences: Arc<dyn DifferenceSink>,
    pub(crate) cancel: CancellationToken,
}

// === impl Verify ===

impl Verify {
    /// Nothing is asked yet. Each difference that counts goes to `differences`.
    pub fn new(mirror: Arc<Mirror>, settings: Settings, differences: Arc<dyn DifferenceSink>) -> Verify {
        Verify { mirror, settings: Arc::new(settings), progress: Arc::default(), differences }
    }

    /// How far it is.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Compares, waits where there are differences, and compares again.
    ///
    /// # Errors
    /// A service did not answer, a temporary file failed, or it was cancelled: then nothing is proven.
    pub async fn run(&self, cancel: &CancellationToken) -> Result<Report, Fault> {
        let begun = Instant::now();
        let term = Term { cancel, until: None };
        let held = self.mirror.held(term).await?;
        let knowledge = Knowledge {
            letters: named_by_letters(&self.mirror, term).await?,
            other_routes: held
                .iter()
                .filter(|index| index.has_these_routes == Some(false))
                .map(|index| index.index.clone())
                .collect(),
        };
        let (mirror, settings) = (Arc::clone(&self.mirror), Arc::clone(&self.settings));
        let (progress, knowledge) = (self.progress(), Arc::new(knowledge));
        let (differences, cancel) = (Arc::clone(&self.differences), cancel.clone());
        let job = Job { mirror, settings, progress, knowledge, differences, cancel };
        let mut report = Report { dead_letters: job.knowledge.letters.count, ..Report::default() };
        self.progress.enter(Phase::Table);
        let (suspects, extent) = Box::pin(job.compare_table(&mut report)).await?;
        self.progress.enter(Phase::Index);
        let suspects = self.compare_indices(&job, &held, extent, suspects, &mut report).await?;
        self.progress.enter(Phase::Differences);
        Box::pin(job.settle(suspects, &mut report)).await?;
        if job.settings.repair.is_some() {
            Box::pin(job.remove_healed_letters(&held, &mut report)).await?;
        }
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    async fn compare_indices(
        &self,
        job: &Job,
        held: &[HeldIndex],
        extent: Extent,
        mut suspects: Suspects,
        report: &mut Report,
    ) -> Result<Suspects, Fault> {
        for index in held.iter().filter(|index| index.is_archive) {
            let count = || self.mirror.index.count(index);
            report.archived += job.mirror.attempts().make(job.term(), "count the archive", count).await?;
        }
        let live: Vec<&HeldIndex> = held.iter().filter(|index| !index.is_archive).collect();
        let extras = match extent {
            Extent::All(given) => Box::pin(job.walk_all(&live, given, report)).await?,
            Extent::Part => Box::pin(job.sample_all(&live, report)).await?,
        };
        Box::pin(job.look_at_extras(extras, &mut suspects, report)).await?;
        Ok(suspects)
    }
}

// === impl Job ===

impl Job {
    pub(crate) fn term(&self) -> Term<'_> {
        Term { cancel: &self.cancel, until: None }
    }

    /// The same, and the dead letters that came meanwhile explain differences too.
    pub(crate) async fn knowing_the_letters_of_now(&self, report: &mut Report) -> Result<Job, Fault> {
        let letters = named_by_letters(&self.mirror, self.term()).await?;
        report.dead_letters = letters.count;
        let other_routes = self.knowledge.other_routes.clone();
        Ok(Job { knowledge: Arc::new(Knowledge { letters, other_routes }), ..self.clone() })
    }

    /// Counts a difference, and hands it on.
    pub(crate) fn report(
        &self,
        suspect: &Suspect,
        judged: Judged,
        reason: &'static str,
        report: &mut Report,
    ) -> Result<(), Fault> {
        report.count(judged);
        Ok(self.differences.take(&Difference::of(suspect, judged, reason))?)
    }

    pub(crate) fn look(&self) -> Look<'_> {
        let pace = Some(&self.settings.pace);
        Look { mirror: &self.mirror, knowledge: &self.knowledge, term: self.term(), pace }
    }
}

// === impl Progress ===

impl Progress {
    /// What is done now, and of how many items, documents and suspects it has done so.
    pub fn now(&self) -> (Phase, [u64; 3]) {
        let phase = *self.phase();
        (phase, [&self.items, &self.documents, &self.suspects].map(|count| count.load(Ordering::Relaxed)))
    }

    fn enter(&self, phase: Phase) {
        *self.phase() = phase;
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_items(&self, count: usize) {
        self.items.fetch_add(count.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn add_documents(&self, count: usize) {
        self.documents.fetch_add(count.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn set_suspects(&self, count: u64) {
        self.suspects.store(count, Ordering::Relaxed);
    }
}
