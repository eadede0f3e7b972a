//! Delivers the pages of one shard in order, and checkpoints.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use streamdex_dynamodb::state::StateError;
use streamdex_dynamodb::stream::ShardId;
use streamdex_mapping::{ItemOrder, SequenceNumber};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::in_hand::{InHand, PageInHand};
use super::job::{Job, ShardEnd, Shared};
use super::read::{Page, Read};
use crate::gap::Gap;
use crate::graph::ReadFrom;
use crate::index_watch::Unconfirmed;
use crate::lease::Fenced;
use crate::state::Checkpoint;

const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const LAST_CHECKPOINT: Duration = Duration::from_secs(2);
/// How often it is looked at whether reading may go on past what is held back.
const CHECK_AGAIN: Duration = Duration::from_millis(500);
const STATE_DEADLINE: Duration = Duration::from_secs(10);

/// The writing half of a shard's task.
pub(super) struct Writer<'a> {
    shared: &'a Shared,
    job: &'a Job,
    shard: &'a ShardId,
    /// The last record that is acknowledged and not checkpointed.
    pending: Option<Checkpoint>,
    /// The shard's item names this term and run.
    begun: bool,
    /// The last checkpoint could not be stored, and that was said.
    checkpoint_failed: bool,
    /// The last record that is acknowledged.
    position: Option<SequenceNumber>,
    /// When `pending` was acknowledged.
    acknowledged: Instant,
    /// Indices written to since the last checkpoint.
    touched: BTreeSet<String>,
    next_checkpoint: Instant,
    /// When the page in hand was taken up.
    waiting_since: Instant,
    /// Creation times that go back: what earlier pages say of the items of the next.
    order: ItemOrder,
}

impl<'a> Writer<'a> {
    pub(super) fn new(job: &'a Job, shared: &'a Shared) -> Writer<'a> {
        let position = match &job.from {
            ReadFrom::After(position) => Some(position.clone()),
            ReadFrom::Oldest | ReadFrom::Beginning => None,
        };
        let now = Instant::now();
        Writer {
            shared,
            job,
            shard: &job.shard,
            pending: None,
            begun: false,
            checkpoint_failed: false,
            position,
            acknowledged: now,
            touched: BTreeSet::new(),
            next_checkpoint: now,
            waiting_since: now,
            order: ItemOrder::default(),
        }
    }

    /// Writes what the reader hands over, until the shard ends or is stopped.
    pub(super) async fn run(&mut self, mut pages: mpsc::Receiver<Read>) -> ShardEnd {
        let mut in_hand = InHand::default();
        let end = loop {
            match self.turn(&mut in_hand, &mut pages).await {
                Ok(()) => {}
                Err(end) => break end,
            }
        };
        self.acknowledge_decided(&in_hand);
        match end {
            // What is not stored now is repeated by the next reader.
            ShardEnd::Stopped | ShardEnd::GaveUp { .. } | ShardEnd::Gap(_) => {
                match timeout(LAST_CHECKPOINT, self.checkpoint()).await {
                    Ok(Err(lost @ ShardEnd::IndexLost(_))) => lost,
                    _ => end,
                }
            }
            _ => end,
        }
    }

    /// Waits for one thing, and does what follows from it.
    async fn turn(&mut self, in_hand: &mut InHand<'a>, pages: &mut mpsc::Receiver<Read>) -> Result<(), ShardEnd> {
        let stopping = self.shared.stop.is_cancelled();
        if in_hand.is_empty() {
            if let Some(last) = in_hand.last.take() {
                return self.end(last).await;
            }
            if stopping {
                return Err(ShardEnd::Stopped);
            }
        }
        let takes_more = !stopping && in_hand.last.is_none() && in_hand.has_room(self.shared.deliver.as_ref());
        tokio::select! {
            biased;
            Some((page, end)) = in_hand.next() => {
                self.acknowledge_all_of(&page);
                end?;
                if self.next_checkpoint <= Instant::now() {
                    self.checkpoint().await?;
                }
            }
            () = sleep_until(self.next_checkpoint), if self.pending.is_some() || in_hand.has_decided() => {
                self.acknowledge_decided(in_hand);
                self.checkpoint().await?;
            }
            read = pages.recv(), if takes_more => match read {
                Some(Read::Page(page)) => self.take_up(page, in_hand).await?,
                Some(last) => in_hand.last = Some(last),
                None => in_hand.last = Some(Read::Stopped),
            },
            () = self.shared.stop.cancelled(), if !stopping => {}
            // Whether something is held back, and for how long, is looked at again.
            () = sleep(CHECK_AGAIN), if !in_hand.is_empty() && !takes_more => {
                self.say_what_fills_the_memory(in_hand);
            }
        }
        Ok(())
    }

    /// Begins to deliver a page.
    async fn take_up(&mut self, page: Page, in_hand: &mut InHand<'a>) -> Result<(), ShardEnd> {
        self.waiting_since = Instant::now();
        self.begin().await?;
        self.shared.board.take_of(self.shard, page.records.len(), page.before_start);
        in_hand.push(page, self.job, self.shared, &mut self.order).await;
        Ok(())
    }

    /// What is decided at the front of the oldest page is acknowledged.
    fn acknowledge_decided(&mut self, in_hand: &InHand<'a>) {
        if let Some(decided) = in_hand.take_decided() {
            self.touched.extend(decided.indices);
            if let Some(checkpoint) = decided.up_to {
                self.acknowledge(checkpoint);
            }
        }
    }

    /// A page is over: all of its records are decided, or its delivery ended.
    fn acknowledge_all_of(&mut self, page: &PageInHand) {
        let decided = page.take_decided();
        self.touched.extend(decided.indices);
        if let Some(checkpoint) = decided.up_to {
            self.acknowledge(checkpoint);
        }
        if decided.all {
            if let Some(through) = &page.page.through {
                self.acknowledge(Checkpoint { position: through.clone(), created: page.page.newest });
            }
            self.shared.board.pause(self.shard, None);
            self.note_lag(&page.page);
            page.page.is_acknowledged();
            self.shared.board.page_written(self.shard);
        }
    }

    /// Reading goes on past what waits for a paused index, up to a bound.
    fn say_what_fills_the_memory(&self, in_hand: &InHand<'a>) {
        if in_hand.is_full() {
            let reason = "the memory is full of records for a paused index: reading waits".to_owned();
            self.shared.board.pause(self.shard, Some(reason));
        }
    }

    /// Nothing more comes, and everything is acknowledged.
    async fn end(&mut self, last: Read) -> Result<(), ShardEnd> {
        match last {
            Read::Page(_) | Read::Stopped => Err(ShardEnd::Stopped),
            Read::Drained => {
                self.flush().await?;
                self.note_drained().await?;
                Err(ShardEnd::Drained)
            }
            Read::AtEnd => {
                self.flush().await?;
                Err(ShardEnd::AtEnd)
            }
            Read::Gap(kind) => {
                let position = self.position.as_ref().map(ToString::to_string);
                Err(ShardEnd::Gap(Gap::new(kind, self.shard.as_str()).after(position)))
            }
            Read::GaveUp { message, hint } => Err(ShardEnd::GaveUp { message, hint }),
        }
    }

    fn acknowledge(&mut self, checkpoint: Checkpoint) {
        self.acknowledged = Instant::now();
        self.position = Some(checkpoint.position.clone());
        if self.pending.replace(checkpoint).is_none() {
            self.shared.unstored.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_stored(&mut self) {
        if let Some(checkpoint) = self.pending.take() {
            self.shared.unstored.fetch_sub(1, Ordering::Relaxed);
            self.job.activity.checkpointed(checkpoint);
        }
    }

    fn note_lag(&self, page: &Page) {
        let board = &self.shared.board;
        if page.is_full {
            board.behind(self.shard);
        }
        match (page.at_present_end, page.newest) {
            (true, _) => board.current(self.shard, page.polled),
            (false, Some(newest)) => {
                let age = self.shared.progress.time().age(u64::from(newest.seconds()));
                board.acknowledged(self.shard, age);
            }
            (false, None) => {}
        }
    }

    /// Stores what is acknowledged, once the indices were seen unchanged. What fails is tried again later.
    async fn checkpoint(&mut self) -> Result<(), ShardEnd> {
        let Some(checkpoint) = self.pending.clone() else { return Ok(()) };
        self.next_checkpoint = Instant::now() + self.shared.between_checkpoints();
        if !self.is_confirmed().await? {
            return Ok(());
        }
        let stored = within(self.shared.progress.checkpoint(self.shard, self.job.run, &checkpoint)).await;
        self.job.activity.note();
        match stored {
            Ok(Fenced::Stored) => {
                if std::mem::take(&mut self.checkpoint_failed) {
                    self.shared.board.pause(self.shard, None);
                }
                self.shared.board.checkpointed();
                self.is_stored();
                self.touched.clear();
            }
            Ok(Fenced::Lost) => return Err(ShardEnd::LeaseLost),
            Err(message) => {
                self.checkpoint_failed = true;
                self.shared.board.pause(self.shard, Some(message));
            }
        }
        Ok(())
    }

    /// Whether the indices that were written to since the last checkpoint are the same as before.
    async fn is_confirmed(&mut self) -> Result<bool, ShardEnd> {
        if (self.shared.other_cluster)().is_some() {
            // What was written went to the wrong place, and the term ends.
            return Ok(false);
        }
        match self.shared.indices.unchanged(&self.touched, self.acknowledged).await {
            Ok(()) => Ok(true),
            Err(Unconfirmed::Vanished(lost)) => Err(ShardEnd::IndexLost(lost)),
            Err(Unconfirmed::Later(message)) => {
                self.checkpoint_failed = true;
                self.shared.board.pause(self.shard, Some(message));
                Ok(false)
            }
        }
    }

    /// Names this term in the shard's item, before anything of it is sent: checkpoints that an earlier term has on their
    /// way are refused from then on (rule L1).
    async fn begin(&mut self) -> Result<(), ShardEnd> {
        let mut wait = FIRST_WAIT;
        while !self.begun {
            match within(self.shared.progress.begin(self.shard, &self.job.from, self.job.run)).await {
                Ok(Fenced::Stored) => {
                    self.begun = true;
                    self.job.activity.begin();
                }
                Ok(Fenced::Lost) => return Err(ShardEnd::LeaseLost),
                Err(message) => {
                    self.pause_or_give_up(message, wait).await?;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
        Ok(())
    }

    /// Notes that the read the shard to its end: its children may be read from then on (rule L2).
    async fn note_drained(&mut self) -> Result<(), ShardEnd> {
        self.begin().await?;
        let mut wait = FIRST_WAIT;
        loop {
            match within(self.shared.progress.drained(self.shard, self.job.run)).await {
                Ok(Fenced::Stored) => return Ok(()),
                Ok(Fenced::Lost) => return Err(ShardEnd::LeaseLost),
                Err(message) => {
                    self.pause_or_give_up(message, wait).await?;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// A write to the state table failed.
    async fn pause_or_give_up(&self, message: String, wait: Duration) -> Result<(), ShardEnd> {
        if self.shared.patience.is_some_and(|patience| self.waiting_since.elapsed() >= patience) {
            return Err(gave_up(&message));
        }
        self.shared.board.pause(self.shard, Some(message));
        self.pause(wait).await
    }

    /// Checkpoints until nothing is pending.
    async fn flush(&mut self) -> Result<(), ShardEnd> {
        let started = Instant::now();
        let mut wait = FIRST_WAIT;
        loop {
            self.checkpoint().await?;
            if self.pending.is_none() {
                return Ok(());
            }
            if self.shared.patience.is_some_and(|patience| started.elapsed() >= patience) {
                return Err(gave_up("the checkpoint could not be stored"));
            }
            self.pause(wait).await?;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn pause(&self, wait: Duration) -> Result<(), ShardEnd> {
        tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => Err(ShardEnd::Stopped),
            () = sleep(wait.mul_f64(0.75 + 0.5 * fastrand::f64())) => {
                self.job.activity.note();
                Ok(())
            }
        }
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if self.pending.is_some() {
            self.shared.unstored.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

async fn within<T>(call: impl Future<Output = Result<T, StateError>>) -> Result<T, String> {
    match timeout(STATE_DEADLINE, call).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("the state table did not answer within 10 s".to_owned()),
    }
}

fn gave_up(message: &str) -> ShardEnd {
    let hint = "check that the state table and OpenSearch can be reached, and start it again: nothing is lost";
    ShardEnd::GaveUp { message: message.to_owned(), hint: hint.to_owned() }
}
