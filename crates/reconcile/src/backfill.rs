//! Writes the items that a table held before its stream began.
//!
//! ```text
//! segment ─▶ Scan page ─▶ what each item gives ─▶ bulk writes ─▶ the segment's position ─▶ the next page
//!    × N                       under the version of the read              │ every few seconds
//!                                                                         └─▶ the record in the state table
//! ```
//! It converges beside a followed stream by the law of reads (DESIGN; docs/adr/0003): a written item is as old as its
//! page, so a later change is newer, and an earlier change is part of it. An item is read again by its key if its read
//! is too old, or if its request got no answer.

mod claim;
mod lookout;
mod scanned;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use streamdex_delivery::backfill::{BackfillRecord, BackfillState, BackfillStore, SegmentProgress, Stored};
use streamdex_delivery::page::Page;
use streamdex_delivery::{Bounds, Delivery, DeliveryFault, Term};
use streamdex_dynamodb::item::{Found, ItemRead, ItemReader};
use streamdex_dynamodb::scan::{ScanPage, Segment};
use streamdex_dynamodb::time::now;
use streamdex_dynamodb::{AwsError, Fault as AwsFault};
use streamdex_mapping::{Fetch, FetchVersion, Image, Key, Tally};
use streamdex_sink::index::SetupError;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

pub use self::claim::{Claim, GONE_AFTER, claim};
pub use self::lookout::{LOOK_EVERY, Lookout};
use self::scanned::Scanned;
use crate::fault::Fault;
use crate::mirror::Mirror;
use crate::pace::Pace;
use crate::segment::{Budget, PageVisitor, Reading, SegmentJob};

/// How a table is filled.
pub struct Settings {
    /// Read units a second.
    pub read_units: Pace,
    /// Items a second.
    pub items: Option<u32>,
    /// It stops when it has read more items than this.
    pub most_items: Option<u64>,
}

/// How a backfill ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Every segment was read to its end.
    Complete,
    /// It was asked to stop; it goes on where it was.
    Stopped,
    /// There are more items than it may read.
    TooLarge,
    /// Every segment was read to its end, and changes were lost: a gap is recorded, or nobody has compared the index with
    /// the table since one was closed.
    Gapped,
}

/// What was done by this process.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// The items, by outcome.
    pub tally: Tally,
    /// How long it took.
    pub took: Duration,
    /// The record as it was stored last.
    pub record: BackfillRecord,
}

/// The progress of a backfill, for observers.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Tally>);

/// Fills one table.
pub struct Backfill {
    mirror: Arc<Mirror>,
    delivery: Delivery,
    scanned: Arc<Scanned>,
    store: Arc<dyn BackfillStore>,
    settings: Settings,
    items: Pace,
    progress: Arc<Progress>,
}

/// A backfill under way.
struct Filling {
    backfill: Arc<Backfill>,
    bounds: Bounds,
    stop: CancellationToken,
    record: Mutex<BackfillRecord>,
    too_large: AtomicBool,
    names: Vec<String>,
    /// The logical indices that were written to.
    touched: Mutex<BTreeSet<String>>,
}

/// Writes the pages of a segment.
struct Written<'f> {
    filling: &'f Filling,
    tally: Mutex<Tally>,
}

/// The record is stored this often: a crash costs so much reading.
pub const BEAT: Duration = Duration::from_secs(5);

// === impl Backfill ===

impl Backfill {
    /// Writes through the delivery that `make` gives, which reads items through what it is given.
    pub fn through(
        mirror: Arc<Mirror>,
        store: Arc<dyn BackfillStore>,
        settings: Settings,
        make: impl FnOnce(Arc<dyn ItemReader>) -> Delivery,
    ) -> Backfill {
        let scanned = Arc::new(Scanned::new(mirror.items.clone()));
        let delivery = make(scanned.clone());
        let items = Pace::new(settings.items.map(f64::from));
        Backfill { mirror, delivery, scanned, store, settings, items, progress: Arc::default() }
    }

    /// How far it is.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Continues the backfill of `record`, which this process has claimed. After `stop` no new page is begun.
    ///
    /// # Errors
    /// A service did not answer or refused, or another process has the record. The progress is stored if possible, and
    /// the next process continues there.
    pub async fn run(
        self: Arc<Self>,
        record: BackfillRecord,
        bounds: Bounds,
        stop: CancellationToken,
    ) -> Result<Report, Fault> {
        let begun = Instant::now();
        let names = self.mirror.key_names();
        let filling = Arc::new(Filling {
            backfill: self,
            bounds,
            stop,
            record: Mutex::new(record),
            too_large: false.into(),
            names,
            touched: Mutex::default(),
        });
        let filled = filling.fill().await;
        let ended = filling.end(&filled).await;
        filled?;
        let (end, record) = ended?;
        let tally = *filling.backfill.progress.tally();
        Ok(Report { end, tally, took: begun.elapsed(), record })
    }
}

// === impl Filling ===

impl Filling {
    /// Reads all segments at the same time, and stores how far they are.
    async fn fill(self: &Arc<Self>) -> Result<(), Fault> {
        let mut beats = interval_at(Instant::now() + BEAT, BEAT);
        let filling = Arc::clone(self).fill_segments();
        tokio::pin!(filling);
        loop {
            tokio::select! {
                biased;
                filled = &mut filling => return filled,
                _ = beats.tick() => self.beat().await?,
            }
        }
    }

    async fn fill_segments(self: Arc<Self>) -> Result<(), Fault> {
        let not_before = self.record().not_before;
        self.backfill.mirror.wait_until(not_before, self.bounds.working(), &self.stop).await?;
        let segments = self.record().segments.clone();
        let of = u32::try_from(segments.len()).unwrap_or(u32::MAX);
        let mut tasks = JoinSet::new();
        for (segment, progress) in Segment::all(of).zip(segments) {
            let SegmentProgress::At(position) = progress else { continue };
            let filling = Arc::clone(&self);
            tasks.spawn(async move { filling.fill_segment(SegmentJob { segment, position }).await });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|_| Fault::Broken)??;
        }
        Ok(())
    }

    async fn fill_segment(&self, job: SegmentJob) -> Result<(), Fault> {
        let segment = job.segment;
        let place = usize::try_from(segment.number).unwrap_or(usize::MAX);
        let mut next = Some(job);
        while let Some(job) = next.take_if(|_| !self.stop.is_cancelled() && !self.too_large.load(Ordering::Relaxed)) {
            // Of one page: its position is stored with the next beat.
            let budget = Budget { until: Some(Instant::now()), items: self.items_of_a_page(), ..Budget::default() };
            let page = Written { filling: self, tally: Mutex::default() };
            next = job.work(self.reading(), budget, &page).await?;
            let tally = page.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
            let position =
                next.as_ref().map_or(SegmentProgress::Done, |next| SegmentProgress::At(next.position.clone()));
            self.passed(place, position, tally);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = self.backfill.items.spend(approximate(tally.records())) => {}
            }
        }
        Ok(())
    }

    /// Where items are paced, a page has as many as all segments write in a second at most.
    fn items_of_a_page(&self) -> Option<u32> {
        let segments = u32::try_from(self.record().segments.len()).unwrap_or(u32::MAX).max(1);
        Some((self.backfill.settings.items? / segments).max(1))
    }

    /// A page is written, and its segment goes on behind it.
    fn passed(&self, segment: usize, position: SegmentProgress, tally: Tally) {
        let mut record = self.record();
        record.items += tally.records();
        record.dead_lettered += tally.dead_lettered;
        if let Some(segment) = record.segments.get_mut(segment) {
            *segment = position;
        }
        if self.backfill.settings.most_items.is_some_and(|most| record.items > most) {
            self.too_large.store(true, Ordering::Relaxed);
        }
    }

    /// Stores how far it is. Where the state table does not answer, the next beat says it all.
    async fn beat(&self) -> Result<(), Fault> {
        match self.store(|_| {}).await {
            Err(Fault::State(error)) if error.aws().is_some_and(|aws| aws.fault().passes_by_itself()) => {
                tracing::warn!(hint = error.hint(), "the progress of the backfill could not be stored: {error}");
                Ok(())
            }
            stored => stored.map(drop),
        }
    }

    /// Stores the progress, as the process that fills.
    async fn store(&self, change: impl Fn(&mut BackfillRecord) + Send) -> Result<BackfillRecord, Fault> {
        let store = &self.backfill.store;
        loop {
            let (follows, mut record) = {
                let record = self.record();
                (record.beat, record.clone())
            };
            (record.beat, record.at) = (follows + 1, now());
            change(&mut record);
            self.confirm_indices().await?;
            if store.store(&record, Some(follows)).await? == Stored::Stored {
                self.record().beat = record.beat;
                return Ok(record);
            }
            // An earlier write of this process whose answer was lost may have been carried out.
            let found = store.load().await?.filter(|found| found.owner == self.record().owner);
            self.record().beat = found.filter(|found| found.beat > follows).ok_or(Fault::Taken)?.beat;
        }
    }

    /// Positions are stored only while the written indices still exist and are recorded for the next process: documents
    /// of a lost index must be written again.
    async fn confirm_indices(&self) -> Result<(), Fault> {
        let touched = self.touched().clone();
        let Backfill { mirror, delivery: Delivery { indices, .. }, store, .. } = &*self.backfill;
        let look = || indices.watch();
        let vanished = mirror.attempts().make(self.storing(), "check the indices", look).await?;
        if let Some(gone) = vanished.into_iter().find(|gone| touched.contains(&gone.index)) {
            return Err(DeliveryFault::Setup(SetupError::Vanished(gone)).into());
        }
        for known in indices.known().iter().filter(|known| touched.contains(&known.index)) {
            store.note(known).await?;
        }
        Ok(())
    }

    fn storing(&self) -> Term<'_> {
        Term { cancel: &self.bounds.storing, until: self.bounds.until }
    }

    /// Stores how it ended: the next process goes on from there.
    async fn end(&self, filled: &Result<(), Fault>) -> Result<(End, BackfillRecord), Fault> {
        let is_done = filled.is_ok() && self.record().segments.iter().all(|segment| *segment == SegmentProgress::Done);
        let end = match is_done {
            true if self.record().after_gap || self.backfill.store.gaps().await? > 0 => End::Gapped,
            true => End::Complete,
            false if self.too_large.load(Ordering::Relaxed) => End::TooLarge,
            false => End::Stopped,
        };
        let record = self.store(|record| {
            record.owner = None;
            if end == End::Complete {
                record.state = BackfillState::Complete;
            }
        });
        Ok((end, record.await?))
    }

    fn reading(&self) -> Reading<'_> {
        let mirror = &self.backfill.mirror;
        Reading {
            source: &*mirror.scan,
            attempts: mirror.attempts(),
            term: self.bounds.working(),
            pace: &self.backfill.settings.read_units,
            stop: &self.stop,
        }
    }

    fn record(&self) -> MutexGuard<'_, BackfillRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touched(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PageVisitor for Written<'_> {
    async fn visit(&self, page: ScanPage) -> Result<(), Fault> {
        let Filling { backfill, bounds, names, .. } = self.filling;
        let mut items = Vec::with_capacity(page.items.len());
        for item in &page.items {
            let key = Key::of_item(&Image::of_item(item), names).ok_or_else(without_key)?;
            let found = Found::Item(item.clone());
            items.push((key, ItemRead { found, at: page.at, answered: page.answered }));
        }
        let mut reads = Page::default();
        let keys: Vec<Key> = items.iter().map(|(key, _)| key.clone()).collect();
        for key in &keys {
            reads.add_read(Fetch { key: key.clone(), version: FetchVersion::OfRead, addresses: Vec::new() }, None);
        }
        backfill.scanned.hold(items);
        let delivered = backfill.delivery.deliver_page(reads, bounds).await;
        backfill.scanned.release(&keys);
        if let Some(fault) = delivered.fault {
            return Err(fault.into());
        }
        self.filling.touched().extend(delivered.indices);
        let mut tally = Tally::default();
        delivered.outcomes.into_iter().flatten().for_each(|outcome| tally.add(outcome));
        *backfill.progress.tally() += tally;
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner) += tally;
        Ok(())
    }
}

/// An incomplete answer: the next process repeats the request.
fn without_key() -> Fault {
    let error = AwsError::new(AwsFault::Transient, "Scan").with_detail("an item of the answer lacks its key");
    DeliveryFault::from(error).into()
}

/// A page has fewer items than 32 bits count.
fn approximate(items: u64) -> f64 {
    u32::try_from(items).map_or(f64::MAX, f64::from)
}

// === impl Progress ===

impl Progress {
    /// The items so far, by outcome.
    pub fn now(&self) -> Tally {
        *self.tally()
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
