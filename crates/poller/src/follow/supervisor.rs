//! Decides on events, one by one.

mod held;
mod pulse;
mod shards;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use streamdex_config::StartPosition;
use streamdex_dynamodb::stream::{ShardId, StreamStatus};
use streamdex_mapping::CreationTime;
use streamdex_sink::Permit;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use self::held::Held;
use super::confirm::Confirm;
use super::discovery::{Discovered, Discovery};
use super::heartbeat::{Heartbeat, TenureSlot, Told};
use super::leases::{LeaseWrites, Settled};
use super::prepare::Ready;
use super::status::{Following, StatusBoard};
use super::{FollowEnd, FollowError, Follower, Settings};
use crate::gap::{Gap, GapKind};
use crate::graph::{Command, Progress, ShardGraph, Until, seek_delay};
use crate::lease::{Membership, Tenure, Written};
use crate::shard::{Budget, ShardEnd, Shared};
use crate::state::StreamStart;

pub(super) struct Supervisor {
    shared: Arc<Shared>,
    settings: Settings,
    start: StreamStart,
    graph: ShardGraph,
    tasks: JoinSet<(ShardId, u64, ShardEnd)>,
    held: BTreeMap<ShardId, Held>,
    /// Leases that a write is under way for that makes them this worker's.
    claiming: BTreeSet<ShardId>,
    /// When leases were given up here: a view from before says nothing about them.
    given_up: BTreeMap<ShardId, Duration>,
    writes: LeaseWrites,
    discovery: Discovery,
    membership: Membership,
    tenure: Option<Arc<Tenure>>,
    slot: TenureSlot,
    hurry: Arc<Notify>,
    pulses: watch::Receiver<Told>,
    heartbeat: JoinHandle<()>,
    /// When the last view of the state table was asked for, on the monotonic clock. Older ones are passed over.
    viewed: Duration,
    tenure_began: Instant,
    began: Instant,
    /// When the state table was last seen.
    pulsed: Instant,
    /// It is this worker's turn to list the stream now and then.
    lists: bool,
    /// This worker needs a listing, whoever's turn it is.
    needs_listing: bool,
    next_listing: Instant,
    /// Listings in a row that left a doubt.
    doubts: u32,
    random: fastrand::Rng,
    end: Option<CreationTime>,
    board: StatusBoard,
}

/// Nothing can go on.
struct AllLost;

/// A running page gets so long after a stop was asked for; the rest of 10 s is for checkpoints.
const FINISH_PAGE: Duration = Duration::from_secs(6);
const STOP_WITHIN: Duration = Duration::from_millis(9_500);
const LEAVE_WITHIN: Duration = Duration::from_secs(1);
const TURN: Duration = Duration::from_secs(10);
const BETWEEN_LISTINGS: Duration = Duration::from_secs(60);
const LIST_AGAIN: Duration = Duration::from_secs(1);
const LIST_LATEST: Duration = Duration::from_secs(8);

impl Supervisor {
    pub(super) fn new(follower: Follower, ready: Ready) -> Supervisor {
        let Ready { loaded, start, graph, now } = ready;
        let Follower { parts, settings, board } = follower;
        board.follows(Following {
            table: settings.stream_arn.table_name().to_owned(),
            stream: settings.stream_arn.label().to_owned(),
            freshness: settings.freshness,
        });
        let confirm = Confirm::new(parts.indices, Arc::clone(&parts.store), &loaded.indices);
        let discovery = Discovery::new(
            Arc::clone(&parts.source),
            Arc::clone(&parts.store),
            board.clone(),
            Arc::clone(&parts.clock),
            settings.patience,
        );
        let (slot, hurry) = (TenureSlot::default(), Arc::new(Notify::new()));
        let heartbeat = Heartbeat {
            store: Arc::clone(&parts.store),
            clock: Arc::clone(&parts.clock),
            board: board.clone(),
            tenure: slot.clone(),
            hurry: Arc::clone(&hurry),
            seed: settings.seed,
        };
        let (tell, pulses) = watch::channel(None);
        let now = CreationTime::from_seconds(u32::try_from(now).unwrap_or(u32::MAX));
        let end = (settings.until == Until::PresentEnd).then_some(now);
        let shared = Shared {
            source: parts.source,
            deliver: parts.deliver,
            store: Arc::clone(&parts.store),
            confirm,
            board: board.clone(),
            clock: parts.clock,
            stream_arn: settings.stream_arn.clone(),
            budget: Budget::default(),
            describe_turn: discovery.turn(),
            freshness: settings.freshness,
            burst: Notify::new(),
            readers: AtomicUsize::new(0),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            patience: settings.patience,
            seed: settings.seed,
        };
        Supervisor {
            shared: Arc::new(shared),
            start,
            graph,
            tasks: JoinSet::new(),
            held: BTreeMap::new(),
            claiming: BTreeSet::new(),
            given_up: BTreeMap::new(),
            writes: LeaseWrites::new(parts.store, board.clone()),
            discovery,
            membership: Membership::default(),
            tenure: None,
            slot,
            hurry,
            pulses,
            heartbeat: tokio::spawn(Box::pin(heartbeat.run(tell))),
            viewed: Duration::ZERO,
            tenure_began: Instant::now(),
            began: Instant::now(),
            pulsed: Instant::now(),
            lists: false,
            needs_listing: false,
            next_listing: Instant::now(),
            doubts: 0,
            random: fastrand::Rng::with_seed(settings.seed),
            end,
            settings,
            board,
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<FollowEnd, FollowError> {
        let end = self.follow(&stop).await;
        self.wind_down().await;
        end
    }

    async fn follow(&mut self, stop: &CancellationToken) -> Result<FollowEnd, FollowError> {
        loop {
            self.board.turned();
            self.check_patience()?;
            let listing_due = (self.lists || self.needs_listing) && !self.discovery.is_listing();
            let over = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(FollowEnd::Stopped),
                changed = self.pulses.changed() => {
                    changed.map_err(|_| FollowError::Broken)?;
                    self.on_pulse()?
                }
                () = end_of(self.tenure.clone()), if self.tenure.is_some() => {
                    self.lapse();
                    None
                }
                Some(ended) = self.tasks.join_next() => {
                    let (shard, fence, end) = ended.map_err(|_| FollowError::Broken)?;
                    self.shard_ended(shard, fence, end)?
                }
                Some(settled) = self.writes.next() => self.settled(settled?),
                Some(discovered) = self.discovery.next() => self.discovered(discovered?)?,
                // The loop shows that it turns, whatever else stands still.
                () = sleep(TURN) => None,
                () = sleep_until(self.next_listing), if listing_due => {
                    // Workers that take turns must not all do it in the same second.
                    self.next_listing = Instant::now() + BETWEEN_LISTINGS.mul_f64(0.75 + 0.5 * self.random.f64());
                    self.needs_listing = false;
                    self.discovery.list();
                    None
                }
            };
            if over.is_some() {
                return Ok(FollowEnd::OnlyGaps);
            }
            match self.graph.progress() {
                Progress::Going => {}
                Progress::Complete => return Ok(FollowEnd::PresentEnd),
                // Shards that were found by name alone may still be on their way.
                Progress::OnlyGaps if self.tasks.is_empty() => return Ok(FollowEnd::OnlyGaps),
                Progress::OnlyGaps => {}
                Progress::Unlisted => self.list_within(LIST_AGAIN),
            }
        }
    }

    /// One-shot commands give up where the state table does not answer any more.
    fn check_patience(&self) -> Result<(), FollowError> {
        match self.settings.patience {
            Some(patience) if self.pulsed.elapsed() >= patience => Err(FollowError::GaveUp {
                message: format!("the state table did not answer for {} s", patience.as_secs()),
                hint: "check that it can be reached, and start again: nothing is lost".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn settled(&mut self, settled: Settled) -> Option<AllLost> {
        match settled {
            Settled::Offered => self.hurry.notify_one(),
            Settled::Claimed { shard, stored, tenure } => {
                self.claiming.remove(&shard);
                if let Some(stored) = stored.filter(|_| self.is_current(&tenure)) {
                    self.claimed(*stored, tenure);
                }
            }
            Settled::Finished { lease, written } => self.written(&lease, written),
            Settled::Succeeded { lease, children, written, tenure } => {
                for child in &children {
                    self.claiming.remove(child);
                }
                if let Some(written) = written.filter(|_| self.is_current(&tenure)) {
                    self.written(&lease, written);
                    if written == Written::Stored {
                        self.succeeded(&lease, children, &tenure);
                    }
                }
            }
            Settled::Dropped => {}
        }
        None
    }

    /// Whether what was begun in `tenure` still counts. What was not is found by the next refresh, and begun again.
    fn is_current(&self, tenure: &Arc<Tenure>) -> bool {
        self.tenure.as_ref().is_some_and(|current| Arc::ptr_eq(current, tenure))
    }

    fn discovered(&mut self, discovered: Discovered) -> Result<Option<AllLost>, FollowError> {
        match discovered {
            Discovered::Shards { shards, status, known, asked } => {
                self.viewed = self.viewed.max(asked);
                self.graph.absorb(&super::prepare::known(&known, &self.settings, self.shared.clock.as_ref()));
                let commands = self.graph.listed(&shards);
                self.doubts = if commands.contains(&Command::ListAgain) { self.doubts + 1 } else { 0 };
                self.obey(commands);
                if status == StreamStatus::Disabled && self.graph.is_drained() {
                    self.discovery.ask_for_the_current_stream();
                }
            }
            Discovered::StreamGone => {
                let gap = Gap::new(GapKind::StreamVanished, self.settings.stream_arn.as_str());
                self.record(gap);
                return Ok(Some(AllLost));
            }
            Discovered::Children { parent, children } => {
                let commands = self.graph.children(&parent, &children);
                self.obey(commands);
            }
            Discovered::CurrentStream(Some(current)) if current != self.settings.stream_arn.as_str() => {
                let gap = Gap::new(GapKind::StreamReplaced, self.settings.stream_arn.as_str())
                    .with_detail(format!("now {current}"));
                self.record(gap);
                return Ok(Some(AllLost));
            }
            Discovered::CurrentStream(_) => {
                self.board.pause_all(Some("the stream is switched off and read to its end".to_owned()));
            }
            Discovered::Recorded => {}
            Discovered::GaveUp(error) => return Err(FollowError::Aws(error)),
        }
        Ok(None)
    }

    fn obey(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Offer { shard, parent } => self.writes.offer(shard, parent),
                Command::SeekChildren { parent, attempt } => self.discovery.seek(parent, seek_delay(attempt)),
                Command::Finish { shard } => {
                    if let Some((lease, tenure)) = self.lease_of(&shard) {
                        self.writes.finish(lease, tenure);
                    }
                }
                Command::Succeed { parent, children } => {
                    if let Some((lease, tenure)) = self.lease_of(&parent) {
                        // A refresh may show them in this worker's name before the answer is here.
                        self.claiming.extend(children.iter().cloned());
                        let keep = self.graph.keep_done(&parent);
                        self.writes.succeed(lease, children, keep, tenure);
                    }
                }
                Command::Gap { shard, kind } => self.record(Gap::new(kind, shard.as_str())),
                Command::ListAgain => {
                    let doublings = self.doubts.saturating_sub(1);
                    self.list_within(LIST_AGAIN.saturating_mul(2_u32.saturating_pow(doublings)).min(LIST_LATEST));
                }
            }
        }
    }

    fn list_within(&mut self, wait: Duration) {
        if !self.discovery.is_listing() {
            self.needs_listing = true;
            self.next_listing = self.next_listing.min(Instant::now() + wait);
        }
    }

    /// Under `latest`, shards are read from their oldest record, and what was created before the start is
    /// passed over.
    fn floor(&self) -> Option<CreationTime> {
        let seconds = u32::try_from(self.start.at.saturating_sub(LATEST_MARGIN_SECONDS)).ok()?;
        (self.start.position == StartPosition::Latest).then(|| CreationTime::from_seconds(seconds))
    }

    fn record(&mut self, gap: Gap) {
        tracing::error!(gap = gap.kind.name(), hint = gap.kind.hint(), "{gap}");
        self.board.gap(&gap);
        self.discovery.record(gap);
    }

    /// Stops every task: the page in hand may end, then checkpoints are written and leases given back.
    async fn wind_down(&mut self) {
        let asked = Instant::now();
        self.shared.stop.cancel();
        self.writes.stop().await;
        let abort = self.shared.abort.clone();
        let drain = async {
            while self.tasks.join_next().await.is_some() {}
            self.discovery.finish_records().await;
        };
        let finish = async {
            sleep_until(asked + FINISH_PAGE).await;
            abort.cancel();
            sleep_until(asked + STOP_WITHIN - LEAVE_WITHIN).await;
        };
        tokio::select! {
            biased;
            () = drain => {}
            () = finish => tracing::warn!("tasks were left behind; the work goes on from the last checkpoint"),
        }
        if let Some(tenure) = self.tenure.take() {
            tenure.end();
        }
        self.heartbeat.abort();
        // Without its item the worker is gone at once; with it, in a few seconds.
        if !matches!(timeout(LEAVE_WITHIN, self.shared.store.leave()).await, Ok(Ok(()))) {
            tracing::debug!("the worker's item could not be deleted");
        }
        let _ = timeout_at(asked + STOP_WITHIN, self.tasks.shutdown()).await;
    }
}

async fn end_of(tenure: Option<Arc<Tenure>>) {
    if let Some(tenure) = tenure {
        tenure.revoked().await;
    }
}

/// However a supervisor ends, its heartbeat must: a worker that is seen alive keeps its leases.
impl Drop for Supervisor {
    fn drop(&mut self) {
        self.heartbeat.abort();
        if let Some(tenure) = &self.tenure {
            tenure.end();
        }
    }
}

/// `latest` begins this much earlier, because creation times are rounded down, by some engines to the
/// minute: what is written after the start must never look older than it.
const LATEST_MARGIN_SECONDS: u64 = 90;
