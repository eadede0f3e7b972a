//! The first pass: compares every item with its document.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use streamdex_delivery::DeliveryFault;
use streamdex_dynamodb::scan::{ScanPage, Segment};
use streamdex_mapping::{Address, Image, Key};
use tokio::task::JoinSet;

use super::{Extent, Job, Report, Scope};
use crate::expected::Expected;
use crate::fault::Fault;
use crate::ids::{Spill, hash_of};
use crate::segment::{Budget, PageVisitor, Reading, SegmentJob};
use crate::suspect::{Seen, Suspect, Suspects};
use crate::verdict::{Facts, Verdict, judge};

/// DynamoDB takes so many segments.
const MOST_SEGMENTS: u32 = 1_000_000;
/// A sample reads so many items of a segment.
const SAMPLE_OF_SEGMENT: u32 = 50;
/// The factor by which more segments are read than needed, since segments can be empty.
const SEGMENTS_PER_NEEDED: u32 = 4;

/// Compares pages with the index.
struct Comparison {
    job: Job,
    names: Vec<String>,
    found: Mutex<Found>,
}

/// What the pages have shown so far.
struct Found {
    suspects: Suspects,
    /// The addresses that the items give; `None` where not all of them are read.
    given: Option<Spill>,
    checked: u64,
    filtered: u64,
}

// === impl Job ===

impl Job {
    /// Reads the table, as far as is asked for, and compares it with the indices.
    pub(super) async fn compare_table(&self, report: &mut Report) -> Result<(Suspects, Extent), Fault> {
        let folder = &self.settings.folder;
        let is_full = self.settings.scope == Scope::Full;
        let given = if is_full { Some(Spill::new(folder)) } else { None };
        let found = Mutex::new(Found { suspects: Suspects::new(folder), given, checked: 0, filtered: 0 });
        let comparison = Arc::new(Comparison { job: self.clone(), names: self.mirror.key_names(), found });
        match self.settings.scope {
            Scope::Full => compare_all(&comparison, self.settings.segments).await?,
            Scope::Sample(items) => comparison.compare_some(items).await?,
        }
        let comparison = Arc::into_inner(comparison).ok_or(Fault::Broken)?;
        let Found { suspects, given, checked, filtered } =
            comparison.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        (report.checked, report.filtered) = (checked, filtered);
        Ok((suspects, given.map_or(Extent::Part, Extent::All)))
    }
}

/// All segments at the same time, each as a task: mapping takes a processor.
async fn compare_all(comparison: &Arc<Comparison>, segments: u32) -> Result<(), Fault> {
    let mut tasks = JoinSet::new();
    for segment in Segment::all(segments) {
        let comparison = Arc::clone(comparison);
        tasks.spawn(async move { comparison.piece(SegmentJob::at_start(segment), Budget::default()).await });
    }
    while let Some(ended) = tasks.join_next().await {
        if ended.map_err(|_| Fault::Broken)??.is_some() {
            return Err(DeliveryFault::Cancelled(None).into());
        }
    }
    Ok(())
}

// === impl Comparison ===

impl Comparison {
    async fn piece(&self, job: SegmentJob, budget: Budget) -> Result<Option<SegmentJob>, Fault> {
        let Job { mirror, settings, .. } = &self.job;
        let (source, pace) = (&*mirror.scan, &settings.pace);
        let stop = &self.job.cancel;
        let reading = Reading { source, attempts: mirror.attempts(), term: self.job.term(), pace, stop };
        job.work(reading, budget, self).await
    }

    /// The first items of segments that are taken at random, until there are enough.
    async fn compare_some(&self, items: u32) -> Result<(), Fault> {
        let needed = items.div_ceil(SAMPLE_OF_SEGMENT).max(1);
        let of = sample_segments(self.job.settings.items);
        // DynamoDB counts items every six hours: of a table that has no count yet, one segment gives all of them.
        let each = items.div_ceil(of).max(SAMPLE_OF_SEGMENT);
        let mut seen = HashSet::new();
        let tries = needed.saturating_mul(SEGMENTS_PER_NEEDED).min(of.saturating_mul(8));
        for _ in 0..tries {
            let number = fastrand::u32(..of);
            if seen.insert(number) {
                let segment = SegmentJob::at_start(Segment { number, of });
                self.piece(segment, Budget { items: Some(each), ..Budget::default() }).await?;
            }
            if self.found().checked >= u64::from(items) {
                break;
            }
        }
        Ok(())
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PageVisitor for Comparison {
    async fn visit(&self, page: ScanPage) -> Result<(), Fault> {
        let mirror = &self.job.mirror;
        let expected = |item| Expected::of(&mirror.mapper, &self.names, item);
        let expected: Vec<Expected> = page.items.iter().map(|item| expected(item)).collect();
        let addresses: Vec<Address> = expected.iter().filter_map(Expected::address).cloned().collect();
        let mut documents = self.job.look().documents(&addresses).await?.into_iter();
        let (mut suspects, mut filtered) = (Vec::new(), 0);
        for (item, expected) in page.items.iter().zip(&expected) {
            let address = expected.address();
            let stored = if address.is_some() { documents.next().flatten() } else { None };
            // What else is known of an item gives a difference another name, and makes none of it.
            let judged = judge(address, expected, stored.as_ref(), Facts::default());
            filtered += u64::from(judged.verdict == Verdict::Filtered);
            if !judged.is_fine() {
                let key = Key::of_item(&Image::of_item(item), &self.names);
                let seen = Some(Seen::of(expected, stored.as_ref()));
                suspects.push(Suspect { key, address: address.cloned(), seen, repairs: 0 });
            }
        }
        let is_full = self.job.settings.scope == Scope::Full;
        let hashes: Vec<_> = if is_full { addresses.iter().map(hash_of).collect() } else { Vec::new() };
        let mut found = self.found();
        for suspect in &suspects {
            found.suspects.push(suspect)?;
        }
        if let Some(given) = &mut found.given {
            for hash in hashes {
                given.push(hash, &[])?;
            }
        }
        found.checked += u64::try_from(page.items.len()).unwrap_or(u64::MAX);
        found.filtered += filtered;
        self.job.progress.add_items(page.items.len());
        self.job.progress.set_suspects(found.suspects.count());
        Ok(())
    }
}

/// In how many segments a sample sees a table: so many that each has about the items that it reads of one.
fn sample_segments(items_of_table: u64) -> u32 {
    let segments = items_of_table / u64::from(SAMPLE_OF_SEGMENT);
    u32::try_from(segments).unwrap_or(MOST_SEGMENTS).clamp(1, MOST_SEGMENTS)
}
