//! Handles the events of one term, one by one.

mod closed;
mod readers;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use streamdex_dynamodb::stream::{ShardId, StreamStatus};
use streamdex_sink::index::VanishedIndex;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use self::closed::Closed;
use self::readers::{Readers, ToRead};
use super::discovery::{Discovered, Discovery};
use super::error::FollowError;
use super::heartbeat::Beats;
use super::prepare::{Ready, known};
use super::settings::{FollowEnd, Settings};
use crate::gap::{Gap, GapKind};
use crate::graph::{Command, Remaining, ShardGraph, seek_delay};
use crate::lease::Fenced;
use crate::shard::{ShardEnd, Shared};
use crate::status::Phase;

pub(super) struct Supervisor {
    shared: Arc<Shared>,
    settings: Settings,
    beats: Arc<Beats>,
    graph: ShardGraph,
    readers: Readers,
    writes: JoinSet<Settled>,
    discovery: Discovery,
    next_listing: Instant,
    /// When the last complete one was begun.
    last_listing: Option<Instant>,
    /// Until the finished shards are known, a listing does not show what must be read.
    knows_done: bool,
    /// A listing is wanted that begins after the one that is under way.
    wants_listing: bool,
    /// Listings in a row that left a doubt.
    doubts: u32,
    random: fastrand::Rng,
}

/// How the supervising ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Supervised {
    Over(FollowEnd),
    /// The lease is another worker's.
    Lost,
}

/// What a write to the state table came to.
enum Settled {
    Found(Vec<ShardId>, Fenced),
    Done(ShardId, Fenced),
}

/// What an event means for the term.
type Outcome = Option<Supervised>;

const ONLY_GAPS: Outcome = Some(Supervised::Over(FollowEnd::OnlyGaps));
/// A running page gets so long after a stop was asked for; the rest of 10 s is for checkpoints.
const FINISH_PAGE: Duration = Duration::from_secs(6);
const STOP_WITHIN: Duration = Duration::from_millis(8_000);
const TICK: Duration = Duration::from_secs(1);
const BETWEEN_LISTINGS: Duration = Duration::from_secs(60);
/// There may be shards that an older listing does not show.
const LISTING_IS_OLD: Duration = Duration::from_secs(5 * 60);
/// What several listings agree on is believed (see [`crate::graph`]). They are at least this far apart, however many tasks
/// ask for one, so that five take a quarter of a minute.
const LIST_AGAIN: Duration = Duration::from_secs(4);
const LIST_LATEST: Duration = Duration::from_secs(8);

impl Supervisor {
    pub(super) fn new(
        settings: Settings,
        shared: Arc<Shared>,
        beats: Arc<Beats>,
        swept: Option<u64>,
        ready: Ready,
    ) -> Supervisor {
        let readers = Readers::new(settings.clone(), Arc::clone(&shared), swept, &ready);
        Supervisor {
            discovery: Discovery::new(Arc::clone(&shared)),
            random: fastrand::Rng::with_seed(settings.seed),
            shared,
            settings,
            beats,
            graph: ready.graph,
            readers,
            writes: JoinSet::new(),
            next_listing: Instant::now(),
            last_listing: None,
            knows_done: false,
            wants_listing: false,
            doubts: 0,
        }
    }

    /// Reads until the work is over. `give_up` ends it at once, whatever is in hand.
    pub(super) async fn run(
        mut self,
        stop: &CancellationToken,
        give_up: &CancellationToken,
    ) -> Result<Supervised, FollowError> {
        let commands = self.graph.start();
        self.obey(commands);
        self.readers.show_what_stands_still();
        self.discovery.load_done();
        let end = self.supervise(stop, give_up).await;
        match end {
            Ok(Supervised::Lost) => {
                self.shared.tenure.end();
                self.readers.shutdown().await;
                return end;
            }
            _ => self.wind_down(give_up).await?,
        }
        if end.as_ref().ok().copied() == ONLY_GAPS {
            return self.ended_by_gaps(stop).await;
        }
        end
    }

    /// A gap that ends the work is recorded first, however long that takes: else nobody would know why.
    async fn ended_by_gaps(&mut self, stop: &CancellationToken) -> Result<Supervised, FollowError> {
        tokio::select! {
            biased;
            recorded = self.discovery.finish_records() => Ok(match recorded? {
                Fenced::Stored => Supervised::Over(FollowEnd::OnlyGaps),
                Fenced::Lost => Supervised::Lost,
            }),
            () = stop.cancelled() => Ok(Supervised::Over(FollowEnd::Stopped)),
        }
    }

    async fn supervise(
        &mut self,
        stop: &CancellationToken,
        give_up: &CancellationToken,
    ) -> Result<Supervised, FollowError> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.shared.board.turned();
            let is_listing = self.discovery.is_listing();
            let outcome = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Supervised::Over(FollowEnd::Stopped)),
                () = give_up.cancelled() => return Ok(Supervised::Over(FollowEnd::Stopped)),
                Some((shard, end)) = self.readers.next() => self.shard_ended(shard, end)?,
                Some(settled) = self.writes.join_next() => self.settled(settled.map_err(|_| FollowError::Broken)?),
                Some(discovered) = self.discovery.next() => self.discovered(discovered?)?,
                _ = ticks.tick() => self.tick()?,
                () = self.shared.wants_listing.notified() => {
                    self.list_after(LIST_AGAIN);
                    self.wants_listing |= is_listing;
                    None
                }
                () = sleep_until(self.next_listing), if self.knows_done && !is_listing => {
                    self.next_listing = Instant::now() + BETWEEN_LISTINGS.mul_f64(0.75 + 0.5 * self.random.f64());
                    self.discovery.list();
                    None
                }
            };
            if let Some(end) = outcome {
                return Ok(end);
            }
            // While a shard is read the work is not over, however many others there are.
            if !self.readers.is_empty() {
                continue;
            }
            match self.graph.remaining() {
                Remaining::Some => {}
                Remaining::Nothing => return Ok(Supervised::Over(FollowEnd::PresentEnd)),
                Remaining::OnlyGaps => return Ok(Supervised::Over(FollowEnd::OnlyGaps)),
                Remaining::Unlisted => self.list_after(LIST_AGAIN),
            }
        }
    }

    fn tick(&mut self) -> Result<Outcome, FollowError> {
        self.check_patience()?;
        self.readers.restart_what_hangs();
        let board = &self.shared.board;
        board.projected_calls(self.readers.calls_per_hour());
        board.prefetched(self.shared.budget.bytes_in_use());
        board.stream_silence(self.shared.contact.stream_silence());
        let knows_all = self.last_listing.is_some_and(|began| began.elapsed() < LISTING_IS_OLD);
        if knows_all && !self.graph.has_unread_shards() && board.is_caught_up() {
            // Each shard was polled within the freshness and some time for the call.
            let margin = self.settings.freshness.as_secs() + self.settings.freshness.as_secs() / 10 + 4;
            self.beats.swept(self.shared.progress.time().now().saturating_sub(margin));
        }
        Ok(None)
    }

    /// One-shot commands give up where the state table does not answer any more.
    fn check_patience(&self) -> Result<(), FollowError> {
        let Some(patience) = self.settings.patience else { return Ok(()) };
        match self.shared.board.beat_age() {
            Some(age) if age >= patience => Err(FollowError::GaveUp {
                message: format!("the state table did not answer for {} s", patience.as_secs()),
                hint: "check that it can be reached, and start again: nothing is lost".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn shard_ended(&mut self, shard: ShardId, end: ShardEnd) -> Result<Outcome, FollowError> {
        match end {
            ShardEnd::GaveUp { message, hint } => return Err(FollowError::GaveUp { message, hint }),
            ShardEnd::Gap(gap) => {
                self.stand_still(&shard);
                let of_stream = gap.kind.concerns_the_stream();
                self.record(gap);
                return Ok(if of_stream { ONLY_GAPS } else { None });
            }
            ShardEnd::IndexLost(lost) => {
                self.stand_still(&shard);
                return Ok(self.indices_lost(&lost));
            }
            ShardEnd::Drained => {
                tracing::debug!(%shard, "read the shard to its end");
                let commands = self.graph.drained(&shard);
                self.obey(commands);
            }
            ShardEnd::AtEnd => {
                self.shared.board.end(&shard);
                self.graph.at_end(&shard);
            }
            ShardEnd::LeaseLost => return Ok(Some(Supervised::Lost)),
            // Those are started again.
            ShardEnd::Dropped | ShardEnd::Stopped => {}
        }
        Ok(None)
    }

    fn stand_still(&mut self, shard: &ShardId) {
        self.graph.gapped(shard);
        self.shared.board.phase(shard, Phase::Gapped);
    }

    fn indices_lost(&mut self, lost: &[VanishedIndex]) -> Outcome {
        for vanished in lost {
            let detail = match &vanished.found_uuid {
                Some(found) => format!(
                    "its UUID was {}; the index with the same name and the UUID {found} is not touched",
                    vanished.expected_uuid
                ),
                None => format!("its UUID was {}", vanished.expected_uuid),
            };
            self.record(Gap::new(GapKind::IndexVanished, &vanished.concrete).with_detail(detail));
        }
        let sole = self.settings.sole_index.as_deref();
        if lost.iter().any(|vanished| sole == Some(vanished.index.as_str())) { ONLY_GAPS } else { None }
    }

    fn settled(&mut self, settled: Settled) -> Outcome {
        match settled {
            Settled::Found(_, Fenced::Lost) | Settled::Done(_, Fenced::Lost) => return Some(Supervised::Lost),
            Settled::Found(shards, Fenced::Stored) => {
                for shard in shards {
                    let commands = self.graph.stored(&shard);
                    self.obey(commands);
                }
            }
            Settled::Done(shard, Fenced::Stored) => {
                tracing::debug!(%shard, "shard is done");
                self.graph.done(&shard);
                self.shared.board.end(&shard);
            }
        }
        None
    }

    fn discovered(&mut self, discovered: Discovered) -> Result<Outcome, FollowError> {
        match discovered {
            Discovered::Done(done) => {
                self.knows_done = true;
                let commands = self.graph.know_done(&known(&done, &self.settings, &self.shared));
                self.obey(commands);
            }
            Discovered::Shards { shards, status, began } => {
                self.readers.note_closed(Closed::of(&shards, status, began, &self.settings));
                self.shared.board.forget_what_ended_long_ago();
                self.last_listing = Some(began);
                // It may be set already.
                let _ = self.shared.listed.set(());
                if std::mem::take(&mut self.wants_listing) {
                    self.list_after(LIST_AGAIN);
                }
                let commands = self.graph.listed(&shards);
                self.doubts = if commands.contains(&Command::ListAgain) { self.doubts + 1 } else { 0 };
                self.obey(commands);
                if status == StreamStatus::Disabled && self.graph.is_drained() {
                    self.discovery.ask_for_the_current_stream();
                }
            }
            Discovered::StreamGone => {
                self.record(Gap::new(GapKind::StreamVanished, self.settings.stream_arn.as_str()));
                return Ok(ONLY_GAPS);
            }
            Discovered::Children { parent, children } => {
                let commands = self.graph.children(&parent, &children);
                self.obey(commands);
            }
            Discovered::CurrentStream(Some(current)) if current != self.settings.stream_arn.as_str() => {
                let gap = Gap::new(GapKind::StreamReplaced, self.settings.stream_arn.as_str())
                    .with_detail(format!("now {current}"));
                self.record(gap);
                return Ok(ONLY_GAPS);
            }
            Discovered::CurrentStream(_) => {
                self.shared.board.pause_all(Some("the stream is turned off, and was read to its end".to_owned()));
            }
            Discovered::Recorded(Fenced::Stored) => {}
            Discovered::Recorded(Fenced::Lost) => return Ok(Some(Supervised::Lost)),
            Discovered::GaveUp(error) => return Err(FollowError::Aws(error)),
            Discovered::Refused(error) => return Err(FollowError::State(error)),
        }
        Ok(None)
    }

    fn obey(&mut self, commands: Vec<Command>) {
        let mut found = Vec::new();
        for command in commands {
            match command {
                Command::Store { shard, parent } => found.push((shard, parent)),
                Command::Read { shard, parent, position } => {
                    let (is_root, has_children) = (self.graph.is_root(&shard), self.graph.has_children(&shard));
                    self.readers.read(ToRead { shard, parent, position, is_root, has_children });
                }
                Command::SeekChildren { parent, attempt } => {
                    self.shared.board.phase(&parent, Phase::SearchingChildren);
                    self.discovery.seek(parent, seek_delay(attempt));
                }
                Command::Done { shard, children } => self.write_done(shard, children),
                Command::Gap { shard, kind } => {
                    self.shared.board.phase(&shard, Phase::Gapped);
                    self.record(Gap::new(kind, shard.as_str()));
                }
                Command::ListAgain => {
                    let doublings = self.doubts.saturating_sub(1);
                    self.list_after(LIST_AGAIN.saturating_mul(2_u32.saturating_pow(doublings)).min(LIST_LATEST));
                }
            }
        }
        if !found.is_empty() {
            self.write_found(&found);
        }
    }

    /// Lists the shards again so long after the last listing began: at once, where that is over.
    fn list_after(&mut self, wait: Duration) {
        if !self.discovery.is_listing() {
            let now = Instant::now();
            let due = self.last_listing.map_or(now, |began| (began + wait).max(now));
            self.next_listing = self.next_listing.min(due);
        }
    }

    fn record(&mut self, gap: Gap) {
        tracing::error!(gap = gap.kind.name(), hint = gap.kind.hint(), "{gap}");
        self.shared.board.gap(&gap);
        self.discovery.record(gap);
    }

    /// Stops every task: the page in hand may end, then checkpoints are written. Where a service does not answer, the page
    /// is left.
    async fn wind_down(&mut self, give_up: &CancellationToken) -> Result<(), FollowError> {
        let asked = Instant::now();
        self.shared.stop.cancel();
        self.writes.shutdown().await;
        if give_up.is_cancelled() {
            // What is in hand could not be written anyway.
            self.shared.abort.cancel();
            self.readers.shutdown().await;
        }
        let abort = self.shared.abort.clone();
        let drain = async {
            self.readers.drain().await;
            self.discovery.finish_records().await.map(drop)
        };
        let finish = async {
            sleep_until(asked + FINISH_PAGE).await;
            abort.cancel();
            sleep_until(asked + STOP_WITHIN).await;
        };
        let drained = tokio::select! {
            biased;
            drained = drain => drained,
            () = finish => {
                tracing::warn!("some tasks did not stop in time; the work continues from the last checkpoint");
                Ok(())
            }
        };
        let _ = timeout_at(asked + STOP_WITHIN, self.readers.shutdown()).await;
        drained
    }
}
