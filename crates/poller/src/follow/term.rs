//! One term: from taking the lease until it is lost, given up or released.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, SetOnce};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::error::FollowError;
use super::heartbeat::{Beats, Heartbeat, HeartbeatEnd};
use super::prepare::{Insist, Prepared, prepare};
use super::settings::{FollowEnd, Parts, Settings};
use super::standby::{Lead, OTHER_ROUTES};
use super::supervisor::{Supervised, Supervisor};
use crate::beside::{Beside, Held};
use crate::contact::{Contact, Unanswered};
use crate::index_watch::IndexCheck;
use crate::lease::{Fenced, GiveUp, Lease, Tenure, longest_without_progress};
use crate::shard::{Budget, Shared};
use crate::state::{Progress, StoredLease};
use crate::status::{Following, LeaseChange, Role, StatusBoard};

/// A term that has not begun.
pub(super) struct Term<'a> {
    parts: &'a Parts,
    settings: &'a Settings,
    board: &'a StatusBoard,
    progress: &'a Progress,
    lead: Lead,
}

/// How a term ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TermEnd {
    /// The work is over.
    Over(FollowEnd),
    /// The lease is another worker's.
    Lost,
    /// A service does not answer this worker, though it may have done so before in this term.
    GivenUp(GiveUp, Before),
    /// Shards were read in this term or later ones, as after a restored backup of the state table.
    OutgrownBy(u64),
}

/// What a term that was given up had led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    Progress,
    Nothing,
}

/// A release that takes longer is left: the lease expires.
const RELEASE_WITHIN: Duration = Duration::from_secs(1);
/// The age at which an unanswered request is no longer carried out, and its deletes were repeated, as far as is known.
const CARRIED_OUT_LATE: Duration = Duration::from_secs(11 * 60);
/// Requests that were given up end so soon, or may still be carried out.
const REQUESTS_END_WITHIN: Duration = Duration::from_millis(500);
/// The work beside reading is stopped together with it.
const BESIDE_ENDS_WITHIN: Duration = Duration::from_secs(1);
const CHECK_THE_CLUSTER: Duration = Duration::from_millis(100);
const JUDGE_EVERY: Duration = Duration::from_secs(1);
/// A process that does not come to judge for so long was frozen, or has no processor.
const STOOD_STILL: Duration = Duration::from_secs(4);

/// What is done beside reading, in a task that ends with this.
struct BesideReading {
    task: JoinSet<()>,
    stop: CancellationToken,
}

impl BesideReading {
    fn begin(beside: Option<Arc<dyn Beside>>, shared: &Shared, stop: &CancellationToken) -> BesideReading {
        let (mut task, stop) = (JoinSet::new(), stop.child_token());
        let held = Held { permit: shared.tenure.clone(), board: shared.board.clone(), stop: stop.clone() };
        if let Some(beside) = beside {
            task.spawn(async move {
                // In an inner task, so that a failure is reported.
                let mut work = JoinSet::new();
                work.spawn(async move { beside.work(held).await });
                if let Some(Err(_)) = work.join_next().await {
                    tracing::error!(
                        "the task that fills the index failed; reading continues, and the next term starts the task again"
                    );
                }
            });
        }
        BesideReading { task, stop }
    }

    /// Gives it a second to store how far it is.
    async fn end(mut self) {
        self.stop.cancel();
        let _ = timeout(BESIDE_ENDS_WITHIN, self.task.join_next()).await;
    }
}

/// Counts a lease while it is this process's.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<'a> Term<'a> {
    pub(super) fn new(
        parts: &'a Parts,
        settings: &'a Settings,
        board: &'a StatusBoard,
        progress: &'a Progress,
        lead: Lead,
    ) -> Term<'a> {
        Term { parts, settings, board, progress, lead }
    }

    pub(super) async fn run(self, stop: &CancellationToken) -> Result<TermEnd, FollowError> {
        self.settings.leases.fetch_add(1, Ordering::Relaxed);
        let _counted = Counted(Arc::clone(&self.settings.leases));
        self.show(&self.lead.taken.lease);
        let shared = Arc::new(self.shared());
        let beats = Arc::new(Beats::after(self.lead.taken.beat, self.cluster_to_note()));
        let heartbeat = Heartbeat {
            progress: self.progress.clone(),
            clock: Arc::clone(&self.parts.clock),
            board: self.board.clone(),
            tenure: Arc::clone(&shared.tenure),
            shared: Arc::clone(&shared),
            beats: Arc::clone(&beats),
            seed: self.settings.seed,
        };
        // Dropping the term stops the beats: a worker that beats keeps its lease.
        let mut heart = JoinSet::new();
        heart.spawn(Box::pin(heartbeat.run()));
        self.doubt_the_reader_before();
        let ended = tokio::select! {
            biased;
            beaten = heart.join_next() => match beaten {
                Some(Ok(HeartbeatEnd::Lost)) => Ok(TermEnd::Lost),
                Some(Ok(HeartbeatEnd::Refused(error))) => Err(FollowError::State(error)),
                Some(Err(_)) | None => Err(FollowError::Broken),
            },
            error = self.other_cluster(&shared) => Err(error),
            ended = Box::pin(self.read(&shared, &beats, stop)) => ended,
        };
        heart.shutdown().await;
        if !matches!(ended, Ok(TermEnd::Lost | TermEnd::OutgrownBy(_))) {
            self.release(&shared, &beats).await;
        }
        shared.tenure.end();
        ended
    }

    /// Prepares and reads, until the work is over or a service does not answer.
    async fn read(
        &self,
        shared: &Arc<Shared>,
        beats: &Arc<Beats>,
        stop: &CancellationToken,
    ) -> Result<TermEnd, FollowError> {
        let preparing = self.prepare(shared);
        let prepared = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(TermEnd::Over(FollowEnd::Stopped)),
            why = self.no_answers(shared) => return Ok(TermEnd::GivenUp(why, Before::Nothing)),
            prepared = Box::pin(preparing) => prepared?,
        };
        let ready = match prepared {
            Prepared::Ready(ready) => *ready,
            Prepared::OnlyGaps => {
                // What is recorded is no trouble of this host's.
                shared.contact.needs_nobody();
                return Ok(TermEnd::Over(FollowEnd::OnlyGaps));
            }
            Prepared::Lost => return Ok(TermEnd::Lost),
            Prepared::OutgrownBy(term) => return Ok(TermEnd::OutgrownBy(term)),
        };
        let give_up = CancellationToken::new();
        let beside = BesideReading::begin(self.parts.beside.clone(), shared, stop);
        let supervisor =
            Supervisor::new(self.settings.clone(), Arc::clone(shared), Arc::clone(beats), self.swept(), ready);
        let supervised = Box::pin(supervisor.run(stop, &give_up));
        let judged = async {
            let why = self.no_answers(shared).await;
            give_up.cancel();
            why
        };
        tokio::pin!(supervised, judged);
        let supervised = tokio::select! {
            biased;
            supervised = &mut supervised => {
                beside.end().await;
                supervised?
            }
            why = &mut judged => {
                // What is in hand is left: it could not be written anyway.
                supervised.await?;
                let before = if shared.contact.was_fruitful() { Before::Progress } else { Before::Nothing };
                return Ok(TermEnd::GivenUp(why, before));
            }
        };
        Ok(match supervised {
            Supervised::Over(end) => TermEnd::Over(end),
            Supervised::Lost => TermEnd::Lost,
        })
    }

    /// Loads what is stored, and sees to it that this term is the largest there is.
    async fn prepare(&self, shared: &Shared) -> Result<Prepared, FollowError> {
        let insist = Insist::new(self.board, self.settings);
        let loaded = insist.on(|| async { Ok(self.progress.load().await?) }).await?;
        let largest = loaded.shards.iter().filter_map(|shard| shard.term).max();
        if let Some(term) = largest.filter(|largest| *largest >= self.lead.taken.lease.term) {
            tracing::warn!(term, "shards have later terms than the lease, as after restoring a backup");
            return Ok(Prepared::OutgrownBy(term));
        }
        self.warn_of_other_routes();
        prepare(self.parts, self.settings, shared, loaded).await
    }

    /// Returns when OpenSearch, which may not have answered when the lease was taken, says that it is another cluster.
    async fn other_cluster(&self, shared: &Shared) -> FollowError {
        loop {
            if let Some((stored, configured)) = (shared.other_cluster)() {
                return FollowError::OtherCluster { stored, configured };
            }
            sleep(CHECK_THE_CLUSTER).await;
        }
    }

    /// What beats say of the cluster: nothing, where the lease names one.
    fn cluster_to_note(&self) -> Arc<dyn Fn() -> Option<String> + Send + Sync> {
        match &self.lead.taken.before {
            Some(StoredLease { cluster: Some(_), .. }) => Arc::new(|| None),
            _ => Arc::clone(&self.parts.cluster),
        }
    }

    /// Returns when a service has not answered for so long that another worker is to try.
    async fn no_answers(&self, shared: &Shared) -> GiveUp {
        if self.settings.patience.is_some() {
            // One-shot commands have their own patience.
            return std::future::pending().await;
        }
        let mut fruitless = self.lead.taken.before.as_ref().map_or(0, |before| before.fruitless);
        let mut ticks = interval(JUDGE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticked = Instant::now();
        loop {
            ticks.tick().await;
            if std::mem::replace(&mut ticked, Instant::now()).elapsed() >= STOOD_STILL {
                shared.contact.slept();
            }
            shared.unanswered.count(self.parts.deliver.unanswered());
            if shared.contact.has_progress() {
                fruitless = 0;
            }
            let longest = longest_without_progress(fruitless);
            if let Some(why) = shared.contact.judge(self.board.undecided(), longest) {
                return why;
            }
        }
    }

    /// Gives the lease back. Where a request may still be under way the beats just stop, and the lease expires.
    async fn release(&self, shared: &Shared, beats: &Beats) {
        if timeout(REQUESTS_END_WITHIN, self.no_requests()).await.is_err() {
            tracing::warn!("requests are still in flight: the lease is not released, and will expire");
            return;
        }
        let inherited = self.lead.taken.before.as_ref().is_some_and(|before| before.unclean);
        let is_doubted = inherited && shared.began.elapsed() < CARRIED_OUT_LATE;
        let is_clean = !is_doubted && !shared.unanswered.within(self.parts.deliver.unanswered(), CARRIED_OUT_LATE);
        let last = beats.next(shared);
        match timeout(RELEASE_WITHIN, self.progress.release(&last, is_clean)).await {
            Ok(Ok(Fenced::Stored)) => self.board.lease_changed(LeaseChange::Released),
            Ok(Ok(Fenced::Lost)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the lease could not be released"),
            Err(_) => tracing::debug!("the lease could not be released within a second"),
        }
    }

    async fn no_requests(&self) {
        while self.parts.deliver.in_flight() > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Requests of a reader that did not give its lease back in good order may still be carried out (rule L5).
    fn doubt_the_reader_before(&self) {
        if self.lead.taken.before.as_ref().is_some_and(|before| before.unclean) {
            self.parts.deliver.doubt_earlier_requests();
        }
    }

    fn warn_of_other_routes(&self) {
        let before = self.lead.taken.before.as_ref().and_then(|before| before.routes.as_ref());
        if before.is_some_and(|routes| *routes != self.settings.routes) {
            tracing::warn!("the last reader of the table used other routes: {OTHER_ROUTES}");
        }
    }

    fn swept(&self) -> Option<u64> {
        self.lead.taken.before.as_ref().and_then(|before| before.swept)
    }

    fn show(&self, lease: &Lease) {
        let worker = lease.owner.to_string();
        tracing::info!(term = lease.term, table = self.settings.stream_arn.table_name(), "reading the table");
        self.board.role(Role { reader: Some(worker.clone()), worker, term: Some(lease.term) });
        self.board.follows(Following {
            table: self.settings.stream_arn.table_name().to_owned(),
            stream: self.settings.stream_arn.label().to_owned(),
            freshness: self.settings.freshness,
        });
    }

    fn shared(&self) -> Shared {
        let (cluster, before) = (Arc::clone(&self.parts.cluster), self.lead.taken.before.as_ref());
        let stored = before.and_then(|before| before.cluster.clone());
        let other_cluster = move || {
            let (stored, configured) = (stored.clone()?, cluster()?);
            (stored != configured).then_some((stored, configured))
        };
        Shared {
            other_cluster: Box::new(other_cluster),
            source: Arc::clone(&self.parts.source),
            deliver: Arc::clone(&self.parts.deliver),
            progress: self.progress.clone(),
            tenure: Arc::new(Tenure::new(Arc::clone(&self.parts.clock), self.lead.sent)),
            indices: IndexCheck::new(Arc::clone(&self.parts.indices), self.progress.clone()),
            board: self.board.clone(),
            contact: Contact::new(self.parts.search.clone()),
            stream_arn: self.settings.stream_arn.clone(),
            budget: Budget::default(),
            describe_turn: self.parts.describe_turn.clone(),
            wants_listing: Notify::new(),
            listed: SetOnce::new(),
            freshness: self.settings.freshness,
            burst: Notify::new(),
            readers: AtomicUsize::new(0),
            unstored: AtomicUsize::new(0),
            unanswered: Unanswered::counted(self.parts.deliver.unanswered()),
            began: Instant::now(),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            patience: self.settings.patience,
            seed: self.settings.seed,
        }
    }
}
