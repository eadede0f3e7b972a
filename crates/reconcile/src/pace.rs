//! How fast a table is read, in read units or items a second.

use std::sync::{Mutex, PoisonError};

use tokio::time::{Duration, Instant, sleep_until};

/// Paces work: who spends units waits until they are due. Shared by all segments of a job.
#[derive(Debug)]
pub struct Pace {
    units_a_second: Option<f64>,
    /// When what was spent so far is due.
    due: Mutex<Option<Instant>>,
}

impl Pace {
    /// So many read units a second; without a number, as fast as the table answers.
    pub fn new(units_a_second: Option<f64>) -> Pace {
        Pace { units_a_second: units_a_second.filter(|units| *units > 0.0), due: Mutex::default() }
    }

    /// Half of what a table is provisioned with; none where reads are paid by request.
    pub fn half_of(provisioned: Option<u64>) -> Option<f64> {
        let units = provisioned.and_then(|units| u32::try_from(units).ok()).map(f64::from);
        units.map(|units| (units / 2.0).max(0.5))
    }

    /// Waits until `units` that were spent are due. What was spent before goes first.
    pub async fn spend(&self, units: f64) {
        let Some(rate) = self.units_a_second else { return };
        let until = {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            let from = due.unwrap_or_else(Instant::now).max(Instant::now());
            let until = from + Duration::try_from_secs_f64(units / rate).unwrap_or_default();
            *due = Some(until);
            until
        };
        sleep_until(until).await;
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
    async fn without_a_number_nothing_waits() {
        let begun = Instant::now();
        Pace::new(None).spend(1e9).await;
        assert_eq!(begun.elapsed().as_secs(), 0);
        assert_eq!((Pace::half_of(Some(40)), Pace::half_of(None)), (Some(20.0), None));
    }
}
