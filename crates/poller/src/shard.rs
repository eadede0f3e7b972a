//! One shard: read ahead by one page, write, checkpoint.
//!
//! Reading and writing are two halves of one task. The reader never asks for more than one page beyond
//! the one that is being written; the writer acknowledges page by page and checkpoints about once a
//! second, and always at the end.

mod activity;
mod budget;
mod ending;
mod job;
mod present_end;
mod read;
mod reader;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use streamdex_delivery::Bounds;
use streamdex_dynamodb::convert;
use streamdex_dynamodb::state::StateError;
use streamdex_dynamodb::stream::ShardId;
use streamdex_mapping::{ItemOrder, SequenceNumber, Trust};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

pub(crate) use self::activity::Activity;
pub(crate) use self::budget::Budget;
pub(crate) use self::job::{Job, ShardEnd, Shared};
use self::read::{Page, Read};
use self::reader::Reader;
use crate::delivery::Undecided;
use crate::gap::Gap;
use crate::graph::ReadFrom;
use crate::index_watch::Unconfirmed;
use crate::lease::Fenced;
use crate::state::Checkpoint;

const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const LAST_CHECKPOINT: Duration = Duration::from_secs(2);
const STATE_DEADLINE: Duration = Duration::from_secs(10);

/// Reads a shard until it ends or is stopped.
pub(crate) async fn follow_shard(job: Job, shared: Arc<Shared>) -> ShardEnd {
    shared.board.begin(&job.shard, job.parent.as_ref(), job.current_as_of);
    let _counted = CountedReader::new(&shared);
    until_its_end(&job, &shared).await
}

/// Counts a reader, however its task ends.
struct CountedReader<'a>(&'a Shared);

impl<'a> CountedReader<'a> {
    fn new(shared: &'a Shared) -> CountedReader<'a> {
        shared.readers.fetch_add(1, Ordering::Relaxed);
        CountedReader(shared)
    }
}

impl Drop for CountedReader<'_> {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn until_its_end(job: &Job, shared: &Shared) -> ShardEnd {
    tokio::select! {
        biased;
        // What is half done is left as it is: the next reader begins at the checkpoint.
        () = shared.tenure.over().cancelled() => ShardEnd::Dropped,
        () = job.kill.cancelled() => ShardEnd::Dropped,
        end = read_and_write(job, shared) => end,
    }
}

async fn read_and_write(job: &Job, shared: &Shared) -> ShardEnd {
    let mut writer = Writer::new(job, shared);
    let (pages, received) = mpsc::channel(1);
    // When the writer ends, for whatever reason, the reader has nothing left to do.
    let writer_done = shared.stop.child_token();
    let reader = Reader::new(job, shared, writer_done.clone());
    let write = async {
        let end = writer.run(received).await;
        writer_done.cancel();
        end
    };
    let ((), end) = Box::pin(async { tokio::join!(reader.run(pages), write) }).await;
    end
}

struct Writer<'a> {
    shared: &'a Shared,
    job: &'a Job,
    shard: &'a ShardId,
    /// The last record that is acknowledged and not checkpointed.
    pending: Option<Checkpoint>,
    /// The shard's item names this term and run.
    begun: bool,
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
    fn new(job: &'a Job, shared: &'a Shared) -> Writer<'a> {
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
            position,
            acknowledged: now,
            touched: BTreeSet::new(),
            next_checkpoint: now,
            waiting_since: now,
            order: ItemOrder::default(),
        }
    }

    async fn run(&mut self, mut pages: mpsc::Receiver<Read>) -> ShardEnd {
        let end = loop {
            let read = tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => None,
                read = pages.recv() => read,
                () = tokio::time::sleep_until(self.next_checkpoint), if self.pending.is_some() => {
                    match self.checkpoint().await {
                        Ok(()) => continue,
                        Err(end) => break end,
                    }
                }
            };
            let Some(read) = read else { break ShardEnd::Stopped };
            match self.take(read).await {
                Ok(()) => {}
                Err(end) => break end,
            }
        };
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

    async fn take(&mut self, read: Read) -> Result<(), ShardEnd> {
        match read {
            Read::Page(page) => {
                Box::pin(self.write(&page)).await?;
                page.is_acknowledged();
                self.shared.board.page_written(self.shard);
                if self.next_checkpoint <= Instant::now() {
                    self.checkpoint().await?;
                }
                Ok(())
            }
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

    /// Delivers a page until every record has an outcome.
    async fn write(&mut self, page: &Page) -> Result<(), ShardEnd> {
        self.waiting_since = Instant::now();
        self.begin().await?;
        self.shared.board.take_of(self.shard, page.records.len(), page.before_start);
        let bounds = Bounds { permit: Some(self.shared.tenure.clone()), ..Bounds::from(self.shared.abort.clone()) };
        let mut changes: Vec<_> =
            page.records.iter().map(|record| convert::change(record, self.shared.stream_arn.as_str())).collect();
        // Over the whole page: what is delivered again keeps the versions that it had.
        self.order.arrange(&mut changes);
        let mut rest = changes.as_slice();
        let mut wait = FIRST_WAIT;
        while !rest.is_empty() {
            let delivered = self.shared.deliver.deliver(rest, Trust::InOrder, &bounds).await;
            self.job.activity.note();
            let decided = delivered.decided().min(rest.len());
            self.touched.extend(delivered.indices);
            let outcomes = delivered.outcomes.iter().take(decided).filter_map(|outcome| *outcome);
            self.shared.board.count_of(self.shard, outcomes);
            let (done, left) = rest.split_at(decided);
            if let Some(last) = done.iter().rev().find_map(checkpoint_at) {
                self.acknowledge(last);
            }
            rest = left;
            if decided > 0 {
                wait = FIRST_WAIT;
                self.shared.contact.accepted();
            }
            if rest.is_empty() {
                break;
            }
            self.wait_after(delivered.fault, wait).await?;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        self.shared.board.pause(self.shard, None);
        if let Some(through) = &page.through {
            self.acknowledge(Checkpoint { position: through.clone(), created: page.newest });
        }
        self.note_lag(page);
        Ok(())
    }

    /// Records are undecided: waits before they are delivered again, or ends.
    async fn wait_after(&self, fault: Option<Undecided>, wait: Duration) -> Result<(), ShardEnd> {
        if self.shared.abort.is_cancelled() {
            return Err(ShardEnd::Stopped);
        }
        let (message, hint) = match fault {
            // Without a confirmed beat nothing is written; with the next one it goes on.
            Some(Undecided::Stopped) => return self.wait_for_the_tenure(wait).await,
            Some(Undecided::IndexVanished(vanished)) => return Err(ShardEnd::IndexLost(vec![vanished])),
            Some(Undecided::Later { message, hint }) => (message, hint),
            None => ("records are undecided".to_owned(), String::new()),
        };
        // For one-shot commands delivery has been patient already.
        if self.shared.patience.is_some() {
            return Err(ShardEnd::GaveUp { message, hint });
        }
        self.shared.board.error(self.shard, message.clone(), hint);
        self.shared.board.pause(self.shard, Some(message));
        self.pause(wait).await
    }

    async fn wait_for_the_tenure(&self, wait: Duration) -> Result<(), ShardEnd> {
        let reason = "the lease is not confirmed".to_owned();
        self.shared.board.pause(self.shard, Some(reason));
        tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => return Err(ShardEnd::Stopped),
            () = self.shared.tenure.granted() => {}
        }
        // It may have been granted again before this was asked: not at once again and again.
        self.pause(wait).await
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
                self.shared.board.pause(self.shard, None);
                self.shared.board.checkpointed();
                self.is_stored();
                self.touched.clear();
            }
            Ok(Fenced::Lost) => return Err(ShardEnd::LeaseLost),
            Err(message) => self.shared.board.pause(self.shard, Some(message)),
        }
        Ok(())
    }

    /// Whether the indices that were written to since the last checkpoint are the same as before.
    async fn is_confirmed(&self) -> Result<bool, ShardEnd> {
        match self.shared.indices.unchanged(&self.touched, self.acknowledged).await {
            Ok(()) => Ok(true),
            Err(Unconfirmed::Vanished(lost)) => Err(ShardEnd::IndexLost(lost)),
            Err(Unconfirmed::Later(message)) => {
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
                Ok(Fenced::Stored) => self.begun = true,
                Ok(Fenced::Lost) => return Err(ShardEnd::LeaseLost),
                Err(message) => {
                    self.pause_or_give_up(message, wait).await?;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
        Ok(())
    }

    /// Notes that the shard is read to its end: its children may be read from then on (rule L2).
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
            () = sleep(wait) => {
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
    let hint = "check that the state table and OpenSearch can be reached, and start again: nothing is lost";
    ShardEnd::GaveUp { message: message.to_owned(), hint: hint.to_owned() }
}

fn checkpoint_at(change: &Result<streamdex_mapping::Change<'_>, streamdex_mapping::RecordError>) -> Option<Checkpoint> {
    match change {
        Ok(change) => {
            let position = change.sequence.clone()?;
            Some(Checkpoint { position, created: change.created })
        }
        Err(error) => Some(Checkpoint { position: error.sequence.clone()?, created: None }),
    }
}
