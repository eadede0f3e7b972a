//! The segment job: a bounded part of a scan, from one position to the next.
//!
//! Its only state is its position. The caller decides the length of a part, stores the position, and continues from
//! there: in this process, in the next one, or in another invocation.

use async_trait::async_trait;
use streamdex_delivery::{Attempts, Term};
use streamdex_dynamodb::scan::{ScanPage, ScanPosition, ScanSource, Segment};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fault::Fault;
use crate::pace::Pace;

/// Where a segment goes on. It can be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentJob {
    /// The segment.
    pub segment: Segment,
    /// After which item; `None` at its beginning.
    pub position: Option<ScanPosition>,
}

/// How much one piece of work may take. The page in hand is always finished.
#[derive(Debug, Clone, Copy, Default)]
pub struct Budget {
    /// No page is begun after this.
    pub until: Option<Instant>,
    /// The number of items after which no new page is begun; no page has more.
    pub items: Option<u32>,
    /// The bytes of items, as text, after which no new page is begun.
    pub bytes: Option<usize>,
}

/// What a segment is read with.
#[derive(Clone, Copy)]
pub struct Reading<'r> {
    /// The table.
    pub source: &'r dyn ScanSource,
    /// How long what fails is tried again.
    pub attempts: Attempts<'r>,
    /// When it stops.
    pub term: Term<'r>,
    /// How fast it reads.
    pub pace: &'r Pace,
    /// No page is begun after this is cancelled.
    pub stop: &'r CancellationToken,
}

/// Takes the pages of a segment.
#[async_trait]
pub trait PageVisitor: Send + Sync {
    /// Deals with a page. When it returns, everything of the page is done: the job's position passes it then.
    async fn visit(&self, page: ScanPage) -> Result<(), Fault>;
}

// === impl SegmentJob ===

impl SegmentJob {
    /// The beginning of a segment.
    pub fn at_start(segment: Segment) -> SegmentJob {
        SegmentJob { segment, position: None }
    }

    /// Does one part of the work. Returns the next position; `None` at the end of the segment.
    ///
    /// # Errors
    /// A page could not be read or dealt with. The job as it was before can be done again.
    pub async fn work(
        mut self,
        reading: Reading<'_>,
        budget: Budget,
        visitor: &dyn PageVisitor,
    ) -> Result<Option<SegmentJob>, Fault> {
        let (mut items, mut bytes) = (0_usize, 0_usize);
        loop {
            let turn = tokio::select! {
                biased;
                () = reading.stop.cancelled() => return Ok(Some(self)),
                turn = reading.pace.turn() => turn,
            };
            let page = self.read(reading, budget.items).await?;
            let page_bytes = page.items.iter().map(|item| item.len()).sum::<usize>();
            turn.spend(page.read_units.unwrap_or_else(|| units_of(page_bytes)));
            let next = page.next.clone();
            bytes += page_bytes;
            items += page.items.len();
            visitor.visit(page).await?;
            let Some(next) = next else { return Ok(None) };
            self.position = Some(next);
            let is_spent = budget.until.is_some_and(|until| Instant::now() >= until)
                || budget.items.is_some_and(|most| usize::try_from(most).is_ok_and(|most| items >= most))
                || budget.bytes.is_some_and(|most| bytes >= most);
            if is_spent {
                return Ok(Some(self));
            }
        }
    }

    async fn read(&self, reading: Reading<'_>, limit: Option<u32>) -> Result<ScanPage, Fault> {
        let read = || reading.source.page(self.segment, self.position.as_ref(), limit);
        Ok(reading.attempts.make(reading.term, "scan the table", read).await?)
    }
}

/// About how many read units a page took, where the service does not say: a strongly consistent read takes one for 4 KB,
/// and the text of an item is no shorter than the item.
fn units_of(bytes: usize) -> f64 {
    u32::try_from(bytes.div_ceil(4096)).map_or(f64::MAX, f64::from).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_do_not_tell_their_units_are_paced_by_their_text() {
        assert_eq!([0, 1, 4096, 4097].map(units_of), [1.0, 1.0, 1.0, 2.0]);
    }
}
