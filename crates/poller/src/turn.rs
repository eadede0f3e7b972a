//! Calls of DescribeStream, one after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

/// DescribeStream takes 10 calls a second, and others may call it too. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct DescribeTurn(Arc<Semaphore>);

const BETWEEN_CALLS: Duration = Duration::from_millis(150);

impl Default for DescribeTurn {
    fn default() -> DescribeTurn {
        DescribeTurn(Arc::new(Semaphore::new(1)))
    }
}

impl DescribeTurn {
    /// Waits until one more call may be made.
    pub(crate) async fn wait(&self) {
        let turn = self.0.acquire().await;
        sleep(BETWEEN_CALLS).await;
        drop(turn);
    }
}
