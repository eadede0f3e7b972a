//! A worker's signs of life, and its view of the others: a separate task, so that nothing delays it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use streamdex_dynamodb::state::StateError;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::clock::{Clock, Moment, seconds};
use crate::follow::StatusBoard;
use crate::lease::{BEAT, TENURE, Tenure};
use crate::state::{Beat, Loaded, ProgressStore};

/// What a refresh showed.
#[derive(Debug)]
pub(super) struct Pulse {
    /// When the beat before it was sent. It was confirmed.
    pub(super) confirmed: Moment,
    /// When the refresh was asked for: what was written later may be missing.
    pub(super) began: Duration,
    /// When it was answered: what it shows may have been written until then.
    pub(super) answered: Duration,
    pub(super) loaded: Loaded,
}

/// The task's share of the work.
pub(super) struct Heartbeat {
    pub(super) store: Arc<dyn ProgressStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) board: StatusBoard,
    pub(super) tenure: TenureSlot,
    /// Asks for a refresh before its time.
    pub(super) hurry: Arc<Notify>,
    pub(super) seed: u64,
}

/// The tenure that beats prolong. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct TenureSlot(Arc<Mutex<Option<Arc<Tenure>>>>);

/// What the task has to report.
/// An error is one that does not pass.
pub(super) type Told = Option<Result<Arc<Pulse>, Arc<StateError>>>;

/// However often a refresh is asked for.
const BETWEEN_BEATS: Duration = Duration::from_millis(200);
const RETRY: Duration = Duration::from_millis(250);
/// A beat that takes longer is sent again; several must fit into a tenure.
const BEAT_DEADLINE: Duration = Duration::from_millis(1_500);
/// The next beat waits for it, and must come well within the tenure.
const REFRESH_DEADLINE: Duration = Duration::from_secs(2);

// === impl TenureSlot ===

impl TenureSlot {
    pub(super) fn set(&self, tenure: Option<Arc<Tenure>>) {
        *self.slot() = tenure;
    }

    fn confirm(&self, sent: Moment) {
        if let Some(tenure) = self.slot().as_ref() {
            tenure.confirm(sent);
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Tenure>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Heartbeat ===

impl Heartbeat {
    /// Beats until it is dropped.
    pub(super) async fn run(self, tell: watch::Sender<Told>) {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let started = seconds(self.clock.as_ref());
        let mut failing = false;
        let mut refreshed = Instant::now();
        for number in 1.. {
            let turn = Instant::now();
            // A worker that seems alive and cannot see what there is to do would be given shards that nobody reads.
            let sees = if refreshed.elapsed() > TENURE { self.refresh().await.map(drop) } else { Ok(()) };
            let told = match sees {
                Ok(()) => self.beat(number, started).await,
                Err(told) => told,
            };
            if matches!(told, Some(Ok(_))) {
                refreshed = Instant::now();
            }
            let Some(told) = told else {
                failing = true;
                sleep(RETRY).await;
                continue;
            };
            if std::mem::take(&mut failing) {
                self.board.pause_all(None);
            }
            tell.send_replace(Some(told));
            // Workers that started together drift apart.
            let next = turn + BEAT.mul_f64(0.9 + 0.1 * random.f64());
            tokio::select! {
                biased;
                () = sleep_until(next) => {}
                () = self.hurry.notified() => sleep_until(turn + BETWEEN_BEATS).await,
            }
        }
    }

    /// One beat and one refresh. `None` where one of them failed and may pass.
    async fn beat(&self, number: u64, started: u64) -> Told {
        let sent = Moment::now(self.clock.as_ref());
        let begun = Instant::now();
        let beat = Beat { number, started, at: seconds(self.clock.as_ref()), summary: self.board.summary() };
        if let Err(told) = self.settle(timeout(BEAT_DEADLINE, self.store.beat(&beat)).await) {
            return told;
        }
        self.tenure.confirm(sent);
        self.board.beat_confirmed(begun);
        let began = self.clock.monotonic();
        match self.refresh().await {
            Ok(loaded) => {
                let answered = self.clock.monotonic();
                Some(Ok(Arc::new(Pulse { confirmed: sent, began, answered, loaded })))
            }
            Err(told) => told,
        }
    }

    async fn refresh(&self) -> Result<Loaded, Told> {
        self.settle(timeout(REFRESH_DEADLINE, self.store.refresh()).await)
    }

    fn settle<T, E>(&self, answer: Result<Result<T, StateError>, E>) -> Result<T, Told> {
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.aws().is_some() => {
                self.board.pause_all(Some(format!("the heartbeat is not confirmed: {error}")));
                Err(None)
            }
            Ok(Err(error)) => Err(Some(Err(Arc::new(error)))),
            Err(_) => {
                self.board
                    .pause_all(Some("the heartbeat is not confirmed: the state table does not answer".to_owned()));
                Err(None)
            }
        }
    }
}
