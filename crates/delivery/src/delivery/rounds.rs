//! Rounds of reading and writing, until no answer asks for another one.

use streamdex_sink::retry::Jitter;
use tokio::time::Instant;

use super::slices::Writes;
use super::{Delivery, LetterSender};
use crate::attempt::schedule;
use crate::bounds::Bounds;
use crate::fault::DeliveryFault;
use crate::page::Page;

impl Delivery {
    /// Reads and writes in rounds, until no answer asks for another one. Operations that wait for one index do not
    /// delay reads for another.
    pub(super) async fn write_all(
        &self,
        page: &mut Page,
        letters: LetterSender,
        bounds: &Bounds,
    ) -> Result<(), DeliveryFault> {
        let (schedule, mut jitter) = (schedule(), Jitter::default());
        let (mut open, mut progressed_at) = (usize::MAX, Instant::now());
        let mut writes = Writes::default();
        for round in 0.. {
            if !writes.has_fault()
                && let Err(fault) = self.pass(page, &letters, &mut writes, bounds).await
            {
                writes.note(fault);
            }
            let to_read_again = writes.ended_or_read_again(page).await;
            if to_read_again == 0 {
                break;
            }
            if to_read_again < open {
                (open, progressed_at) = (to_read_again, Instant::now());
            } else if progressed_at.elapsed() >= self.attempts().limit() {
                writes.note(DeliveryFault::NoProgress(progressed_at.elapsed()));
                continue;
            }
            let wait = bounds.working().sleep(schedule.delay(round, None, &mut jitter));
            if let Err(fault) = writes.beside(wait).await {
                writes.note(fault);
            }
        }
        writes.into_result()
    }
}
