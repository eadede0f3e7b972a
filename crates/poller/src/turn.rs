//! Calls of DescribeStream, paced.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// DescribeStream takes 10 calls a second of an account, and others may call it too: a few at once, then less than 7 a
/// second. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DescribeTurn(Arc<Mutex<Instant>>);

const BETWEEN_CALLS: Duration = Duration::from_millis(150);
/// So many calls may be made at once after a pause.
const AT_ONCE: u32 = 3;

impl Default for DescribeTurn {
    fn default() -> DescribeTurn {
        DescribeTurn(Arc::new(Mutex::new(Instant::now())))
    }
}

impl DescribeTurn {
    /// Waits until one more call may be made.
    pub(crate) async fn wait(&self) {
        // When all earlier calls would be over, were they made one after the other.
        let mut paid = self.0.lock().await;
        let now = Instant::now();
        let call = (*paid).max(now) + BETWEEN_CALLS;
        sleep_until(call.checked_sub(BETWEEN_CALLS * AT_ONCE).unwrap_or(now)).await;
        *paid = call;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_calls_at_once_and_never_ten_a_second() {
        let (turn, began) = (DescribeTurn::default(), Instant::now());
        let mut calls = Vec::new();
        for _ in 0..60 {
            turn.wait().await;
            calls.push(began.elapsed());
        }
        assert_eq!(calls[2], Duration::ZERO);
        let second = Duration::from_secs(1);
        let most =
            calls.iter().map(|from| calls.iter().filter(|at| **at >= *from && **at < *from + second).count()).max();
        assert!(most <= Some(9), "{most:?}");
    }
}
