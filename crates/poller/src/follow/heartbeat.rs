//! The reader's heartbeat: a separate task, so that nothing delays it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use streamdex_dynamodb::state::StateError;
use streamdex_sink::Permit;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::clock::{Clock, Moment};
use crate::lease::{BEAT, Fenced, Tenure};
use crate::shard::Shared;
use crate::state::{Beat, Progress};
use crate::status::StatusBoard;

/// The task's share of the work.
pub(super) struct Heartbeat {
    pub(super) progress: Progress,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) board: StatusBoard,
    pub(super) tenure: Arc<Tenure>,
    pub(super) shared: Arc<Shared>,
    pub(super) beats: Arc<Beats>,
    pub(super) seed: u64,
}

/// What beats say.
pub(super) struct Beats {
    number: AtomicU64,
    /// See [`crate::state::StoredLease::swept`].
    swept: Mutex<Option<u64>>,
    /// The UUID of the cluster, once it is known.
    cluster: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

/// Why there are no more beats.
#[derive(Debug)]
pub(super) enum HeartbeatEnd {
    /// The lease is another worker's.
    Lost,
    /// The state table cannot be used.
    Refused(StateError),
}

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(1);
/// A beat that takes longer is sent again; several must fit into a tenure.
const DEADLINE: Duration = Duration::from_millis(1_500);

// === impl Beats ===

impl Beats {
    /// Those after the beat `number`.
    pub(super) fn after(number: u64, cluster: Arc<dyn Fn() -> Option<String> + Send + Sync>) -> Beats {
        Beats { number: AtomicU64::new(number), swept: Mutex::new(None), cluster }
    }

    /// Every known open shard was read to an empty page up to then, in seconds since 1970.
    pub(super) fn swept(&self, up_to: u64) {
        *self.swept.lock().unwrap_or_else(PoisonError::into_inner) = Some(up_to);
    }

    pub(super) fn next(&self, shared: &Shared) -> Beat {
        Beat {
            number: self.number.fetch_add(1, Ordering::Relaxed) + 1,
            swept: *self.swept.lock().unwrap_or_else(PoisonError::into_inner),
            cluster: (self.cluster)(),
            fruitful: shared.contact.has_progress(),
            summary: shared.board.summary(shared.deliver.pauses().into_iter().next()),
        }
    }
}

// === impl Heartbeat ===

impl Heartbeat {
    /// Beats until the lease is lost.
    pub(super) async fn run(self) -> HeartbeatEnd {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut retry = FIRST_RETRY;
        let mut failing = false;
        let mut lapsed = false;
        loop {
            let turn = Instant::now();
            let sent = Moment::now(self.clock.as_ref());
            let reason = match timeout(DEADLINE, self.progress.beat(&self.beats.next(&self.shared))).await {
                Ok(Ok(Fenced::Stored)) => {
                    self.tenure.confirm(sent);
                    self.board.beat_confirmed(turn);
                    if std::mem::take(&mut failing) {
                        self.board.pause_all(None);
                    }
                    (retry, lapsed) = (FIRST_RETRY, false);
                    sleep_until(turn + BEAT.mul_f64(0.9 + 0.1 * random.f64())).await;
                    continue;
                }
                Ok(Ok(Fenced::Lost)) => return HeartbeatEnd::Lost,
                Ok(Err(error)) if error.aws().is_none() => return HeartbeatEnd::Refused(error),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the state table does not answer".to_owned(),
            };
            failing = true;
            self.board.pause_all(Some(format!("the heartbeat could not be confirmed: {reason}")));
            if !self.tenure.is_granted() && !std::mem::replace(&mut lapsed, true) {
                tracing::warn!("the heartbeat was not confirmed in time: writing stops until it is");
                self.board.tenure_lapsed();
            }
            sleep(retry.mul_f64(0.75 + 0.5 * random.f64())).await;
            retry = (retry * 2).min(LONGEST_RETRY);
        }
    }
}
