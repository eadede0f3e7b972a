//! The lag and rate of the last hour, for the charts of the page.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::status::Status;

/// Lag and rate, sampled at even steps; the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// The step between samples.
    pub every_seconds: u64,
    /// The lag, in seconds; `None` where nothing was read.
    pub lag_seconds: VecDeque<Option<f64>>,
    /// Records decided per second.
    pub rate: VecDeque<f64>,
}

pub(super) const EVERY: Duration = Duration::from_secs(10);
/// An hour.
const SAMPLES: usize = 360;

// === impl History ===

impl History {
    /// Adds what is true now; what is older than an hour is forgotten.
    pub(super) fn add(&mut self, status: &Status) {
        self.every_seconds = EVERY.as_secs();
        self.lag_seconds.push_back(status.lag().map(|lag| thousandths(lag.as_secs_f64())));
        self.rate.push_back(thousandths(status.rate));
        while self.rate.len() > SAMPLES {
            self.lag_seconds.pop_front();
            self.rate.pop_front();
        }
    }

    /// Whether nothing was sampled yet.
    pub fn is_empty(&self) -> bool {
        self.rate.is_empty()
    }
}

pub(super) fn thousandths(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_kept() {
        let mut history = History::default();
        assert!(history.is_empty());
        for sample in 0..SAMPLES + 5 {
            let rate = f64::from(u32::try_from(sample).unwrap());
            history.add(&Status { rate: rate + 0.000_4, ..Status::default() });
        }
        assert_eq!((history.rate.len(), history.lag_seconds.len()), (SAMPLES, SAMPLES));
        assert_eq!((history.rate.front(), history.lag_seconds.back()), (Some(&5.0), Some(&None)));
    }
}
