//! Replays letters with the current item of the table, never with the image of the letter.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use streamdex_delivery::Term;
use streamdex_delivery::letter::DeadLetter;
use streamdex_delivery::page::Page;
use streamdex_dynamodb::time::now;
use streamdex_mapping::{Fetch, FetchVersion, Key, Operation, Outcome, RecordMeta};
use streamdex_sink::read::HeldIndex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::check::{Check, Open};
use super::fate::{Fate, Reread, Wanted, wanted};
use super::select::Selection;
use crate::fault::Fault;
use crate::look::AT_ONCE;
use crate::mirror::Mirror;
use crate::repair::Repair;

/// A document is looked at so often, a moment apart, before its letter is left: other changes may be on their way.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Replays the letters of one table.
pub struct Replay {
    mirror: Arc<Mirror>,
    repair: Repair,
}

/// What came of letters.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ReplayReport {
    /// Letters that were worked on.
    pub letters: u64,
    /// Their documents are right, and they are gone.
    pub healed: u64,
    /// They are refused as before.
    pub refused: u64,
    /// Their documents are not right yet.
    pub left: u64,
    /// They do not tell their items.
    pub unreplayable: u64,
    /// How many of each reason are still there.
    pub reasons: BTreeMap<String, u64>,
    /// How long it took.
    pub seconds: f64,
}

/// One piece of work: a page of letters.
struct Piece<'p> {
    replay: &'p Replay,
    held: &'p [HeldIndex],
    cancel: &'p CancellationToken,
}

// === impl Replay ===

impl Replay {
    /// Writes through `repair`.
    pub fn new(mirror: Arc<Mirror>, repair: Repair) -> Replay {
        Replay { mirror, repair }
    }

    /// Replays the letters of the table that are meant, page by page. Letters whose changes are too young are waited for.
    ///
    /// # Errors
    /// A service did not answer, or it was cancelled. What is done stays done.
    pub async fn run(&self, selection: &Selection, cancel: &CancellationToken) -> Result<ReplayReport, Fault> {
        let begun = Instant::now();
        let term = Term { cancel, until: None };
        let held = self.mirror.held(term).await?;
        let piece = Piece { replay: self, held: &held, cancel };
        let (mut report, mut after) = (ReplayReport::default(), None);
        loop {
            let (letters, next) = self.mirror.letters_after(after.as_ref(), term).await?;
            let meant: Vec<DeadLetter> = letters.into_iter().filter(|letter| selection.takes(letter, now())).collect();
            Box::pin(piece.work(meant, &mut report)).await?;
            after = next;
            if after.is_none() {
                report.seconds = begun.elapsed().as_secs_f64();
                return Ok(report);
            }
        }
    }
}

// === impl Piece ===

impl Piece<'_> {
    async fn work(&self, letters: Vec<DeadLetter>, report: &mut ReplayReport) -> Result<(), Fault> {
        let (mut reads, mut copies) = (Vec::new(), Vec::new());
        for letter in letters {
            match wanted(&letter) {
                Wanted::Read(reread) => reads.push(Open { letter, reread }),
                Wanted::Copy(meta, operation) => copies.push((letter, meta, *operation)),
                Wanted::Nothing(_) => report.count(Fate::Unreplayable, &letter),
            }
        }
        // Letters of one item are healed by one read.
        reads.sort_by(|one, other| one.reread.key.canonical().cmp(other.reread.key.canonical()));
        for reads in reads.chunks(AT_ONCE) {
            Box::pin(self.reads(reads, report)).await?;
        }
        for copies in copies.chunks(AT_ONCE) {
            Box::pin(self.copies(copies, report)).await?;
        }
        Ok(())
    }

    async fn reads(&self, reads: &[Open], report: &mut ReplayReport) -> Result<(), Fault> {
        let mut page = Page::default();
        for open in reads {
            let Reread { key, created, .. } = &open.reread;
            let addresses = self.check().own_address(open).into_iter().cloned().collect();
            page.add_read(Fetch { key: key.clone(), version: FetchVersion::OfRead, addresses }, *created);
        }
        self.wait_for_margin(reads).await?;
        self.replay.repair.deliver(page, self.cancel).await?;
        let is_refused = |place: &usize| {
            let key = reads.get(*place).map(|open| &open.reread.key);
            key.is_some_and(|key| self.replay.repair.has_refused(key))
        };
        let mut wrong = self.check().wrong(reads).await?;
        for _ in 1..LOOKS {
            if wrong.iter().all(is_refused) {
                break;
            }
            self.term().sleep(BETWEEN_LOOKS).await?;
            wrong = self.check().wrong(reads).await?;
        }
        for (place, open) in reads.iter().enumerate() {
            let fate = match wrong.contains(&place) {
                true if is_refused(&place) => Fate::Refused,
                true => Fate::Left,
                false => self.remove(&open.letter).await?,
            };
            report.count(fate, &open.letter);
        }
        Ok(())
    }

    fn check(&self) -> Check<'_> {
        Check { mirror: &self.replay.mirror, held: self.held, term: self.term() }
    }

    /// Waits until what is read is newer than the change of each letter, by the table's own clock.
    async fn wait_for_margin(&self, reads: &[Open]) -> Result<(), Fault> {
        let Some(key) = reads.first().map(|open| open.reread.key.clone()) else { return Ok(()) };
        let last = reads.iter().map(|open| open.reread.read_after).max().unwrap_or_default();
        loop {
            let at = self.server_time(&key).await?;
            if at > last {
                return Ok(());
            }
            let seconds = last - at + 1;
            tracing::info!(seconds, "waiting until reads are newer than the changes of the letters");
            self.term().sleep(Duration::from_secs(seconds)).await?;
        }
    }

    /// The table's time, from the answer to a read.
    async fn server_time(&self, key: &Key) -> Result<u64, Fault> {
        let (mirror, keys) = (&self.replay.mirror, std::slice::from_ref(key));
        let reads = mirror.attempts().make(self.term(), "read an item", || mirror.items.read(keys)).await?;
        reads.first().map(|read| read.at).ok_or(Fault::Broken)
    }

    async fn copies(
        &self,
        copies: &[(DeadLetter, RecordMeta, Operation)],
        report: &mut ReplayReport,
    ) -> Result<(), Fault> {
        let mut page = Page::default();
        for (_, meta, operation) in copies {
            page.add_operation(meta.clone(), operation.clone());
        }
        let outcomes = self.replay.repair.deliver(page, self.cancel).await?;
        for ((letter, ..), outcome) in copies.iter().zip(outcomes) {
            let fate = match outcome {
                Some(Outcome::DeadLettered) => Fate::Refused,
                // The copy is there: its id and version are its own.
                Some(_) => self.remove(letter).await?,
                None => Fate::Left,
            };
            report.count(fate, letter);
        }
        Ok(())
    }

    async fn remove(&self, letter: &DeadLetter) -> Result<Fate, Fault> {
        Ok(if self.check().remove(letter).await? { Fate::Healed } else { Fate::Left })
    }

    fn term(&self) -> Term<'_> {
        Term { cancel: self.cancel, until: None }
    }
}

// === impl ReplayReport ===

impl ReplayReport {
    /// Adds what came of the letters of another table.
    pub fn add(&mut self, other: ReplayReport) {
        self.letters += other.letters;
        self.healed += other.healed;
        self.refused += other.refused;
        self.left += other.left;
        self.unreplayable += other.unreplayable;
        self.seconds += other.seconds;
        for (reason, count) in other.reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
    }

    fn count(&mut self, fate: Fate, letter: &DeadLetter) {
        self.letters += 1;
        match fate {
            Fate::Healed => self.healed += 1,
            Fate::Refused => self.refused += 1,
            Fate::Left => self.left += 1,
            Fate::Unreplayable => self.unreplayable += 1,
        }
        if fate != Fate::Healed {
            *self.reasons.entry(letter.reason.clone()).or_default() += 1;
        }
        tracing::debug!(letter = %letter.key, ?fate, "dead letter");
    }
}
