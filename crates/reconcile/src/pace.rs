//! The read rate of a table, in read units or items per second.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::{Duration, Instant, sleep_until};

/// Paces work: who spends units waits until they are due. Shared by all segments of a job.
#[derive(Debug)]
pub struct Pace {
    units_a_second: Option<f64>,
    /// When what was spent so far is due.
    due: Mutex<Option<Instant>>,
    /// Whose turn it is.
    turn: tokio::sync::Mutex<()>,
}

/// Permission to read one page, whose read units are not known beforehand.
#[derive(Debug)]
#[must_use]
pub struct Turn<'p> {
    pace: &'p Pace,
    /// When it began: what the page takes is due from then on.
    at: Instant,
    _alone: Option<tokio::sync::MutexGuard<'p, ()>>,
}

// === impl Pace ===

impl Pace {
    /// So many read units a second; without a number, as fast as the table answers.
    pub fn new(units_a_second: Option<f64>) -> Pace {
        let units_a_second = units_a_second.filter(|units| *units > 0.0);
        Pace { units_a_second, due: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// Half of what a table is provisioned with; none where reads are paid by request.
    pub fn half_of(provisioned: Option<u64>) -> Option<f64> {
        let units = provisioned.and_then(|units| u32::try_from(units).ok()).map(f64::from);
        units.map(|units| (units / 2.0).max(0.5))
    }

    /// Waits until all that was spent before is due. One page is read at a time then: the first pages of all segments at
    /// once would be a burst of thousands of units.
    pub async fn turn(&self) -> Turn<'_> {
        if self.units_a_second.is_none() {
            return Turn { pace: self, at: Instant::now(), _alone: None };
        }
        let alone = self.turn.lock().await;
        let due = *self.due();
        if let Some(due) = due {
            sleep_until(due).await;
        }
        Turn { pace: self, at: Instant::now(), _alone: Some(alone) }
    }

    /// Waits until `units` that were spent are due. What was spent before goes first.
    pub async fn spend(&self, units: f64) {
        if let Some(due) = self.owe(units, Instant::now()) {
            sleep_until(due).await;
        }
    }

    /// When `units` that are spent from `at` on are due; none where nothing is counted.
    fn owe(&self, units: f64, at: Instant) -> Option<Instant> {
        let rate = self.units_a_second?;
        let mut due = self.due();
        let from = due.map_or(at, |due| due.max(at));
        *due = Some(from + Duration::try_from_secs_f64(units / rate).unwrap_or_default());
        *due
    }

    fn due(&self) -> MutexGuard<'_, Option<Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Turn ===

impl Turn<'_> {
    /// Reports the units of the page; the next turn waits for them.
    pub fn spend(self, units: f64) {
        self.pace.owe(units, self.at);
    }
}

/// What it takes to read so many items by their keys: at least a unit each.
pub(crate) fn each(items: usize) -> f64 {
    u32::try_from(items).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_spent_is_spread_over_time() {
        let (pace, begun) = (Pace::new(Some(10.0)), Instant::now());
        tokio::join!(pace.spend(20.0), pace.spend(10.0), pace.spend(10.0));
        assert_eq!(begun.elapsed().as_secs(), 4);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        pace.spend(10.0).await;
        assert_eq!(begun.elapsed().as_secs(), 1, "time that passed unused is not saved up");
    }

    #[tokio::test(start_paused = true)]
    async fn one_page_is_read_at_a_time_and_the_next_waits_for_its_units() {
        let (pace, begun) = (Pace::new(Some(10.0)), Instant::now());
        let page = async || {
            let turn = pace.turn().await;
            let at = begun.elapsed().as_secs();
            tokio::time::sleep(Duration::from_secs(1)).await;
            turn.spend(50.0);
            at
        };
        assert_eq!(tokio::join!(page(), page(), page()), (0, 5, 10), "the time that a page takes counts");
        drop(pace.turn().await);
        assert_eq!(begun.elapsed().as_secs(), 15, "a page that was not read costs nothing");
        pace.turn().await.spend(0.0);
        assert_eq!(begun.elapsed().as_secs(), 15);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_number_nothing_waits() {
        let begun = Instant::now();
        let pace = Pace::new(None);
        pace.spend(1e9).await;
        let (one, other) = (pace.turn().await, pace.turn().await);
        one.spend(1e9);
        other.spend(1e9);
        assert_eq!(begun.elapsed().as_secs(), 0);
        assert_eq!((Pace::half_of(Some(40)), Pace::half_of(None)), (Some(20.0), None));
    }
}
