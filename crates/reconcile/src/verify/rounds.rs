//! Checks differences again until they are decided.

use std::time::Duration;

use streamdex_mapping::READ_MARGIN_SECONDS;
use tokio::time::Instant;

use super::{Job, Report};
use crate::fault::Fault;
use crate::look::{AT_ONCE, Sight};
use crate::pace::each;
use crate::repair::{Repairable, repairable};
use crate::suspect::{Suspect, Suspects};
use crate::verdict::{Judged, Verdict};

/// A document that is written so often, and differs each time, keeps changing.
const MOST_REPAIRS: u32 = 3;
/// How often the lag is asked for while waiting.
const LAG_EVERY: Duration = Duration::from_secs(5);

/// A document that changes at every moment is looked at so often in a row, to meet it when nothing is on its way.
const QUICK_LOOKS: u32 = 5;
const BETWEEN_QUICK_LOOKS: Duration = Duration::from_millis(500);
/// What is on its way mostly arrives within this time and the lag.
const SOON: Duration = Duration::from_secs(1);
const LONGEST_SOON: Duration = Duration::from_secs(10);

/// How long ago the last look was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    /// Some seconds: what is equal now is decided, and nothing else.
    Moments,
    /// Longer than the lag and the margin of reads: after that, an unchanged difference will not resolve without a
    /// repair.
    Margin,
}

/// What a second look says of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decided {
    /// There is none any more.
    Gone,
    /// Neither side changed in all that time: nothing is on its way.
    Stays,
    /// Something changed: it may be on its way.
    Open,
}

/// What a second look says.
fn decide(sight: &Sight) -> Decided {
    if sight.judged.is_fine() {
        return Decided::Gone;
    }
    if sight.suspect.seen.as_ref() == Some(&sight.seen) { Decided::Stays } else { Decided::Open }
}

impl Job {
    /// Looks at `suspects` again, as often as they change, and reports what stays.
    pub(super) async fn settle(&self, mut suspects: Suspects, report: &mut Report) -> Result<(), Fault> {
        let deadline = Instant::now() + self.settings.patience;
        if suspects.count() > 0 {
            let lag = self.settings.lag.lag().await.unwrap_or_default();
            self.term().sleep((SOON + lag).min(LONGEST_SOON)).await?;
            suspects = Box::pin(self.look_again(suspects, Since::Moments, report)).await?;
        }
        while suspects.count() > 0 {
            self.progress.set_suspects(suspects.count());
            if !self.wait(suspects.count(), deadline).await? {
                return self.give_up(suspects, report);
            }
            let job = self.knowing_the_letters_of_now(report).await?;
            suspects = Box::pin(job.look_again(suspects, Since::Margin, report)).await?;
        }
        self.progress.set_suspects(0);
        Ok(())
    }

    /// Waits until what was on its way at the last look must have arrived; whether that comes before the deadline.
    async fn wait(&self, count: u64, deadline: Instant) -> Result<bool, Fault> {
        let looked = Instant::now();
        let margin = Duration::from_secs(READ_MARGIN_SECONDS);
        let mut said = false;
        loop {
            let lag = self.settings.lag.lag().await.unwrap_or_default();
            let until = looked + margin + lag;
            if until > deadline {
                tracing::warn!(
                    documents = count,
                    lag_seconds = lag.as_secs(),
                    "documents differ, and their changes may still be on their way when the time is up"
                );
                return Ok(false);
            }
            if !said {
                let seconds = until.saturating_duration_since(Instant::now()).as_secs();
                tracing::info!(documents = count, seconds, "documents differ: waiting for changes on their way");
                said = true;
            }
            let left = until.saturating_duration_since(Instant::now());
            self.term().sleep(left.min(LAG_EVERY)).await?;
            if left <= LAG_EVERY {
                return Ok(true);
            }
        }
    }

    async fn look_again(&self, suspects: Suspects, since: Since, report: &mut Report) -> Result<Suspects, Fault> {
        let mut open = Suspects::new(&self.settings.folder);
        let mut reader = suspects.into_reader()?;
        loop {
            let batch = reader.next(AT_ONCE)?;
            if batch.is_empty() {
                return Ok(open);
            }
            let (mut changing, mut to_repair) = (Vec::new(), Vec::new());
            for sight in self.look().at(batch).await? {
                match (decide(&sight), since) {
                    (Decided::Gone, _) => note_gone(&sight.suspect, report),
                    (Decided::Open, _) => changing.push(sight.into_open()),
                    (Decided::Stays, Since::Moments) => open.push(&sight.suspect)?,
                    (Decided::Stays, Since::Margin) => match self.settings.repair {
                        Some(_) if sight.suspect.repairs < MOST_REPAIRS => to_repair.push(sight),
                        Some(_) => self.report_inconclusive(&sight.suspect, report)?,
                        None => self.report(&sight.suspect, sight.judged, sight.judged.verdict.reason(), report)?,
                    },
                }
            }
            for suspect in self.look_quickly(changing, report).await? {
                open.push(&suspect)?;
            }
            Box::pin(self.repair(to_repair, &mut open, report)).await?;
        }
    }

    /// Looks at documents that change, until each was equal once; gives those that never were.
    async fn look_quickly(&self, mut changing: Vec<Suspect>, report: &mut Report) -> Result<Vec<Suspect>, Fault> {
        for _ in 0..QUICK_LOOKS {
            if changing.is_empty() {
                break;
            }
            self.term().sleep(BETWEEN_QUICK_LOOKS).await?;
            let sights = self.look().at(std::mem::take(&mut changing)).await?;
            let (gone, differ): (Vec<Sight>, Vec<Sight>) = sights.into_iter().partition(|sight| sight.judged.is_fine());
            gone.iter().for_each(|sight| note_gone(&sight.suspect, report));
            changing = differ.into_iter().map(Sight::into_open).collect();
        }
        Ok(changing)
    }

    /// Writes what differs, and looks at it at once. Only that look says whether it is right now: a newer version may have
    /// been there, and the document comes again after the margin.
    async fn repair(&self, sights: Vec<Sight>, open: &mut Suspects, report: &mut Report) -> Result<(), Fault> {
        let Some(repair) = self.settings.repair.as_ref().filter(|_| !sights.is_empty()) else { return Ok(()) };
        let mut written = Vec::new();
        for sight in sights {
            match repairable(sight.seen.version(), sight.at) {
                Repairable::Now => written.push(sight.suspect),
                Repairable::Later => open.push(&sight.into_open())?,
                Repairable::Never => {
                    let reason = "its version is in the future: delete the document, then repair it";
                    self.report(&sight.suspect, sight.judged, reason, report)?;
                }
            }
        }
        self.settings.pace.spend(each(written.len())).await;
        repair.write(&written, &self.cancel).await?;
        let written = written.into_iter().map(|suspect| Suspect { repairs: suspect.repairs + 1, ..suspect }).collect();
        for sight in self.look().at(written).await? {
            let is_refused = sight.suspect.key.as_ref().is_some_and(|key| repair.has_refused(key));
            match (sight.judged.is_fine(), is_refused) {
                (true, _) => note_gone(&sight.suspect, report),
                // What OpenSearch refuses, or what cannot be mapped, is refused again.
                (false, true) => self.report(&sight.suspect, sight.judged, "the document is refused", report)?,
                (false, false) => open.push(&sight.into_open())?,
            }
        }
        Ok(())
    }

    /// There is no time left: what differs may be on its way, or not.
    fn give_up(&self, suspects: Suspects, report: &mut Report) -> Result<(), Fault> {
        let mut reader = suspects.into_reader()?;
        loop {
            let batch = reader.next(AT_ONCE)?;
            if batch.is_empty() {
                return Ok(());
            }
            for suspect in batch {
                self.report_inconclusive(&suspect, report)?;
            }
        }
    }

    fn report_inconclusive(&self, suspect: &Suspect, report: &mut Report) -> Result<(), Fault> {
        let judged = Judged { verdict: Verdict::Inconclusive, kind: None };
        self.report(suspect, judged, "it kept changing, or the changes on their way took too long", report)
    }
}

fn note_gone(suspect: &Suspect, report: &mut Report) {
    if suspect.repairs > 0 {
        report.repaired += 1;
    }
}

// === impl Sight ===

impl Sight {
    fn into_open(self) -> Suspect {
        Suspect { seen: Some(self.seen), ..self.suspect }
    }
}
