//! Waits for the lease of the table.

use std::sync::atomic::Ordering;
use std::time::Duration;

use streamdex_dynamodb::state::StateError;
use tokio::time::{Instant, sleep, timeout};

use super::error::FollowError;
use super::settings::{Parts, Settings};
use crate::clock::Moment;
use crate::graph::Until;
use crate::lease::{EXPIRY, GiveUp, LeaseWatch, Verdict};
use crate::state::writes::Claimant;
use crate::state::{Progress, StoredLease, Taken};
use crate::status::{Role, StatusBoard};

/// A lease that was taken, and when that was asked for.
pub(super) struct Lead {
    pub(super) taken: Taken,
    pub(super) sent: Moment,
}

/// A worker without the lease.
pub(super) struct Standby<'a> {
    parts: &'a Parts,
    settings: &'a Settings,
    board: &'a StatusBoard,
    progress: &'a Progress,
    watch: LeaseWatch,
    /// Who was said to read.
    said: Option<String>,
    /// Since when OpenSearch did not answer, where the lease was given up for that.
    waits_for_search: Option<Instant>,
    /// The next term is larger than this one.
    outgrow: u64,
    random: fastrand::Rng,
}

/// What to do where replicas have different routes.
pub(super) const OTHER_ROUTES: &str = "documents keep their form until their items change; if replicas differ for long, give each configuration its own state.group";
/// A look that takes longer shows nothing.
const DEADLINE: Duration = Duration::from_secs(3);
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The time that `--until-end` waits for another reader to end: a killed reader counts as gone by then.
const PATIENCE_WITH_OTHERS: Duration = Duration::from_secs(15);
/// A process that has leases of other tables waits a part of this, so that the tables spread.
const LET_OTHERS_GO_FIRST: Duration = Duration::from_secs(1);

impl<'a> Standby<'a> {
    pub(super) fn new(
        parts: &'a Parts,
        settings: &'a Settings,
        board: &'a StatusBoard,
        progress: &'a Progress,
    ) -> Standby<'a> {
        // A one-shot command has nobody to let go first.
        let watch = match settings.until {
            Until::Stopped => LeaseWatch::new(settings.worker.clone()),
            Until::PresentEnd => LeaseWatch::impatient(settings.worker.clone()),
        };
        let random = fastrand::Rng::with_seed(settings.seed);
        Standby { parts, settings, board, progress, watch, said: None, waits_for_search: None, outgrow: 0, random }
    }

    /// Shards know of this term, whatever the lease says: the next one is larger.
    pub(super) fn outgrow(&mut self, term: u64) {
        self.outgrow = self.outgrow.max(term);
    }

    /// This worker had to give the lease of this term up: others go first for so long, or until what did not answer does.
    pub(super) fn gave_up(&mut self, term: u64, why: GiveUp) -> Duration {
        self.waits_for_search = (why == GiveUp::NoSearch).then(Instant::now);
        self.watch.gave_up(term, self.parts.clock.monotonic())
    }

    /// This worker's term ended otherwise.
    pub(super) fn got_on(&mut self) {
        self.watch.got_on();
    }

    /// Looks at the lease until it is this worker's.
    pub(super) async fn wait_for_the_lease(&mut self) -> Result<Lead, FollowError> {
        let started = Instant::now();
        let mut wait = FIRST_WAIT;
        loop {
            self.board.turned();
            let wait_for = match self.read_lease().await {
                Ok(LeaseRead::Taken(lead)) => {
                    self.board.pause_all(None);
                    return Ok(*lead);
                }
                Ok(LeaseRead::OfAnother { by, read_again }) => {
                    self.board.pause_all(None);
                    let others = by.filter(|_| self.settings.until == Until::PresentEnd);
                    if let Some(reader) = others.filter(|_| started.elapsed() >= PATIENCE_WITH_OTHERS) {
                        return Err(FollowError::OthersAtWork(reader));
                    }
                    wait = FIRST_WAIT;
                    read_again
                }
                Err(error) => {
                    self.give_up_on(&error, started)?;
                    self.board.pause_all(Some(format!("the lease could not be read: {error}")));
                    let jittered = wait.mul_f64(0.75 + 0.5 * self.random.f64());
                    wait = (wait * 2).min(LONGEST_WAIT);
                    jittered
                }
            };
            sleep(wait_for).await;
        }
    }

    async fn read_lease(&mut self) -> Result<LeaseRead, ReadError> {
        let began = self.parts.clock.monotonic();
        let lease = timeout(DEADLINE, self.progress.lease()).await.map_err(|_| ReadError::Overdue)??;
        self.board.lease_seen();
        self.check(lease.as_ref())?;
        let reader = lease.as_ref().and_then(|lease| lease.owner.as_ref()).map(ToString::to_string);
        self.say(reader.as_deref(), lease.as_ref());
        self.board.role(Role { worker: self.settings.worker.to_string(), reader: reader.clone(), term: None });
        // A lease that is this worker's own, from a term that had to end at once.
        if self.outgrow > 0 && lease.as_ref().is_some_and(|lease| lease.owner.as_ref() == Some(&self.settings.worker)) {
            return self.take(lease).await;
        }
        if self.waits_for_search.is_some_and(|since| self.parts.search.has_answered_since(since)) {
            self.waits_for_search = None;
            self.watch.got_on();
        }
        match self.watch.observe(lease.as_ref(), began, self.parts.clock.monotonic()) {
            Verdict::Wait(read_again) => Ok(LeaseRead::OfAnother { by: reader, read_again }),
            Verdict::Free => self.take(lease).await,
        }
    }

    /// A line for each reader that this one stands by for; two, where that one has other routes (rule L7).
    fn say(&mut self, reader: Option<&str>, lease: Option<&StoredLease>) {
        let Some(reader) = reader.filter(|reader| *reader != self.settings.worker.as_str()) else { return };
        if self.said.as_deref() == Some(reader) {
            return;
        }
        self.said = Some(reader.to_owned());
        tracing::info!(table = self.settings.stream_arn.table_name(), reader, "standing by");
        let routes = lease.and_then(|lease| lease.routes.as_deref());
        if routes.is_some_and(|routes| routes != self.settings.routes) {
            tracing::warn!(reader, "the reader of the table uses other routes than this replica: {OTHER_ROUTES}");
        }
    }

    async fn take(&mut self, lease: Option<StoredLease>) -> Result<LeaseRead, ReadError> {
        if lease.is_none() {
            self.stop_earlier_workers().await?;
        }
        if self.settings.leases.load(Ordering::Relaxed) > 0 {
            sleep(LET_OTHERS_GO_FIRST.mul_f64(self.random.f64())).await;
        }
        let sent = Moment::now(self.parts.clock.as_ref());
        let claimant = Claimant { cluster: (self.parts.cluster)(), routes: self.settings.routes.clone() };
        let taken = self.progress.take(lease, self.outgrow, &claimant);
        let taken = timeout(DEADLINE, taken).await.map_err(|_| ReadError::Overdue)??;
        Ok(match taken {
            Some(taken) => {
                self.outgrow = 0;
                LeaseRead::Taken(Box::new(Lead { taken, sent }))
            }
            // Somebody was first; who it is shows at the next look.
            None => LeaseRead::OfAnother { by: None, read_again: FIRST_WAIT },
        })
    }

    /// Workers of the earlier design shared the shards of a table. They stop at an item of a newer format, which each of
    /// them reads before it beats, and have leases for an expiry after their last beat.
    async fn stop_earlier_workers(&self) -> Result<(), ReadError> {
        self.progress.stop_earlier_workers().await?;
        let earlier = self.progress.load().await?.earlier_workers;
        if !earlier.is_empty() {
            tracing::warn!(workers = earlier.join(", "), "waiting for workers of an earlier version to stop");
            sleep(EXPIRY).await;
        }
        Ok(())
    }

    /// Another cluster must not go on where this one was: its index lacks what was written before.
    fn check(&self, lease: Option<&StoredLease>) -> Result<(), ReadError> {
        let Some(lease) = lease else { return Ok(()) };
        if let (Some(stored), Some(configured)) = (&lease.cluster, (self.parts.cluster)())
            && *stored != configured
        {
            let stored = stored.clone();
            return Err(ReadError::Refused(FollowError::OtherCluster { stored, configured }));
        }
        Ok(())
    }

    fn give_up_on(&self, error: &ReadError, started: Instant) -> Result<(), FollowError> {
        match error {
            ReadError::Refused(FollowError::OtherCluster { stored, configured }) => {
                Err(FollowError::OtherCluster { stored: stored.clone(), configured: configured.clone() })
            }
            ReadError::State(state) if !passes(state) => Err(FollowError::State(state.clone())),
            _ if self.settings.patience.is_some_and(|patience| started.elapsed() >= patience) => {
                Err(FollowError::GaveUp {
                    message: error.to_string(),
                    hint: "check that the state table can be reached, and start again: nothing is lost".to_owned(),
                })
            }
            _ => Ok(()),
        }
    }
}

fn passes(error: &StateError) -> bool {
    error.aws().is_some()
}

/// What a look came to.
enum LeaseRead {
    Taken(Box<Lead>),
    OfAnother { by: Option<String>, read_again: Duration },
}

/// Why a look shows nothing.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("the state table does not answer")]
    Overdue,
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Refused(FollowError),
}
