//! Reads the pages of one shard, at the pace of its writer.

mod closed;
mod failed;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use streamdex_config::StreamArn;
use streamdex_dynamodb::records::{Records, created, sequence};
use streamdex_dynamodb::stream::{Position, RecordsPage, ShardIterator};
use streamdex_dynamodb::{AwsError, Fault};
use streamdex_mapping::{CreationTime, SequenceNumber};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::gap::GapKind;
use crate::graph::ReadFrom;
use crate::pace::{Pace, Polled};
use crate::retention::Retained;
use crate::shard::budget::{Holds, Room};
use crate::shard::ending::{Answered, Ending, Step};
use crate::shard::present_end::PresentEnd;
use crate::shard::read::{Page, Read};
use crate::shard::{Job, Shared};
use crate::status::Call;

pub(super) struct Reader<'a> {
    job: &'a Job,
    shared: &'a Shared,
    stop: CancellationToken,
    pace: Pace,
    iterator: Option<Iterator>,
    last_read: Option<SequenceNumber>,
    newest: Option<CreationTime>,
    retained: Option<Retained>,
    throttled_since: Option<Instant>,
    /// Failures in a row that could mean that the shard is gone.
    not_found: u32,
    fresh_starts: u32,
    present_end: PresentEnd,
    /// Up to when the index was known to show everything, in seconds since 1970.
    read_up_to: Option<u64>,
    /// The service's time before the last call, in seconds since 1970, and when that was.
    time_seen: Option<(u64, Instant)>,
    ending: Ending,
    /// When an answer that says nothing was last warned of.
    warned: Option<Instant>,
    unacknowledged: Arc<AtomicUsize>,
    progress: Instant,
}

/// An iterator, and when it was given out.
struct Iterator {
    id: ShardIterator,
    issued: Instant,
}

/// What to do after a call.
enum Next {
    Poll(Polled),
    /// Two answers say that this is the end.
    CheckWhetherClosed,
    /// Where the shard is open, this is its present end.
    CheckWhetherOpen(Polled),
}

/// Iterators are good for 15 minutes. A writer that is held back can let one grow old.
const RENEW_ITERATOR: Duration = Duration::from_secs(12 * 60);
/// At most 5 calls a second are allowed on a shard.
const BETWEEN_CALLS: Duration = Duration::from_millis(200);
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);
/// One warning of a kind and a reminder each minute.
const REMINDER: Duration = Duration::from_secs(60);

/// Creation times are rounded down, by some engines to the minute.
const ROUNDING_SECONDS: u64 = 90;

/// A full page is followed at once where nobody limits the calls on a shard.
fn between_full_pages(stream: &StreamArn) -> Duration {
    if stream.table().is_emulator() { Duration::ZERO } else { BETWEEN_CALLS }
}

fn polled_as(empty: bool, is_full: bool) -> Polled {
    match (empty, is_full) {
        (_, true) => Polled::FullPage,
        (true, false) => Polled::Empty,
        (false, false) => Polled::Records,
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(super) fn new(job: &'a Job, shared: &'a Shared, stop: CancellationToken) -> Reader<'a> {
        // Shards of one process must not poll in step.
        let seed = job
            .shard
            .as_str()
            .bytes()
            .fold(shared.seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Reader {
            job,
            shared,
            stop,
            pace: Pace::new(seed, shared.freshness, between_full_pages(&shared.stream_arn)),
            iterator: None,
            last_read: None,
            newest: None,
            retained: job.retained,
            throttled_since: None,
            not_found: 0,
            fresh_starts: 0,
            present_end: PresentEnd::default(),
            read_up_to: job.current_as_of.map(|at| shared.progress.time().now().saturating_sub(at.elapsed().as_secs())),
            time_seen: None,
            ending: Ending::default(),
            warned: None,
            unacknowledged: Arc::default(),
            progress: Instant::now(),
        }
    }

    /// Reads until the shard ends or the writer has.
    pub(super) async fn run(mut self, pages: mpsc::Sender<Read>) {
        let stop = self.stop.clone();
        // Dropping a read half done loses nothing: the position moves only with a page handed over.
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.read_to_the_end(pages) => {}
        }
    }

    async fn read_to_the_end(&mut self, pages: mpsc::Sender<Read>) {
        let mut next_poll = Instant::now();
        let mut last_poll = next_poll;
        loop {
            // One page ahead of the writer, and no further.
            let Ok(slot) = pages.reserve().await else { return };
            self.wait_until(next_poll, last_poll).await;
            let Some(room) = self.room().await else { return };
            self.until_granted().await;
            self.note_sleep();
            if self.may_have_lost_the_beginning() {
                slot.send(Read::Gap(GapKind::Unread));
                return;
            }
            let started = Instant::now();
            last_poll = started;
            let polled = Box::pin(self.poll(room.limit)).await;
            self.job.activity.note();
            let came = polled.as_ref().map_or(0, |page| page.records.len());
            let next = match polled {
                Ok(page) => {
                    let (read, next) = self.take(page, started, room);
                    match read {
                        // It does not wait for what is asked next.
                        Some(page) => slot.send(Read::Page(page)),
                        None => drop(slot),
                    }
                    match next {
                        Next::Poll(polled) => ControlFlow::Continue(polled),
                        Next::CheckWhetherClosed => self.check_whether_closed(started).await,
                        Next::CheckWhetherOpen(polled) => self.end_if_open(polled).await,
                    }
                }
                Err(error) => {
                    drop(slot);
                    self.judge(&error)
                }
            };
            let polled = match next {
                ControlFlow::Continue(polled) => polled,
                ControlFlow::Break(end) => {
                    let _ = pages.send(end).await;
                    return;
                }
            };
            let was_idle = self.pace.is_idle();
            next_poll = started + self.pace.next(polled);
            self.job.activity.expect_calls(self.pace.calls_per_hour());
            if was_idle && came >= self.shared.burst_size() {
                self.shared.burst.notify_waiters();
            }
        }
    }

    /// A reader that may not write does not read either: a shard takes five calls a second, and the next reader needs them.
    /// And a machine that slept knows the time of the service with its next beat, which grants the tenure again.
    async fn until_granted(&self) {
        while timeout(SIGN_OF_LIFE, self.shared.tenure.granted()).await.is_err() {
            self.job.activity.note();
        }
    }

    /// A machine that is suspended moves no [`Instant`]: what was current before it slept is as old as the service's time says.
    fn note_sleep(&mut self) {
        let (now, at) = (self.shared.progress.time().now(), Instant::now());
        let Some((before, before_at)) = self.time_seen.replace((now, at)) else { return };
        let slept = now.saturating_sub(before).saturating_sub(at.duration_since(before_at).as_secs());
        if slept >= ROUNDING_SECONDS {
            self.present_end.revoke();
            self.shared.board.revoke_current(&self.job.shard, self.shared.progress.time().age(before));
        }
    }

    /// Waits for the next call, or for a burst on another shard: one seldom comes alone.
    async fn wait_until(&mut self, next_poll: Instant, last_poll: Instant) {
        let woken = tokio::select! {
            biased;
            () = sleep_until(next_poll) => false,
            () = self.shared.burst.notified(), if self.pace.is_idle() => true,
        };
        if woken {
            self.pace.wake();
            sleep_until(last_poll + BETWEEN_CALLS).await;
        }
    }

    async fn room(&self) -> Option<Room> {
        loop {
            let unacknowledged = self.unacknowledged.load(Ordering::SeqCst);
            let holds = if unacknowledged == 0 { Holds::Nothing } else { Holds::Pages };
            let room = timeout(SIGN_OF_LIFE, self.shared.budget.room(holds)).await;
            self.job.activity.note();
            if let Ok(room) = room {
                return room;
            }
        }
    }

    async fn poll(&mut self, limit: Option<i32>) -> Result<RecordsPage, AwsError> {
        self.shared.contact.stream_asked();
        let young = |iterator: &Iterator| iterator.issued.elapsed() < RENEW_ITERATOR;
        let iterator = match self.iterator.take().filter(young) {
            Some(iterator) => iterator,
            None => {
                let issued = Instant::now();
                let id = self.shared.source.iterator(&self.job.shard, &self.position()).await?;
                Iterator { id, issued }
            }
        };
        match self.shared.source.records(&iterator.id, limit).await {
            Ok(page) => Ok(page),
            Err(error) => {
                // Every other failure leaves the iterator good.
                if !matches!(error.fault(), Fault::ExpiredIterator | Fault::Trimmed | Fault::NotFound | Fault::Invalid)
                {
                    self.iterator = Some(iterator);
                }
                Err(error)
            }
        }
    }

    /// Where a new iterator begins: after the last record *read*, else after the checkpoint, else at the
    /// oldest. Never at LATEST.
    fn position(&self) -> Position {
        match (&self.last_read, &self.job.from) {
            (Some(last), _) => Position::After(last.clone()),
            (None, ReadFrom::After(position)) => Position::After(position.clone()),
            (None, ReadFrom::Oldest | ReadFrom::Beginning) => Position::TrimHorizon,
        }
    }

    /// Whether an iterator at the oldest record would pass over trimmed ones in silence.
    fn may_have_lost_the_beginning(&self) -> bool {
        let is_at_the_beginning = self.position() == Position::TrimHorizon;
        is_at_the_beginning && self.retained.is_some_and(|retained| retained.is_over(self.shared.progress.time()))
    }

    fn take(&mut self, page: RecordsPage, polled: Instant, mut room: Room) -> (Option<Page>, Next) {
        self.not_found = 0;
        self.throttled_since = None;
        self.progress = Instant::now();
        self.shared.contact.stream_answered();
        self.shared.board.polled(&self.job.shard);
        self.shared.board.called(if page.records.is_empty() { Call::Empty } else { Call::Records });
        room.take(page.records.bytes());
        if self.unacknowledged.load(Ordering::SeqCst) == 0 {
            self.shared.board.pause(&self.job.shard, None);
        }
        let is_full =
            page.is_full() || room.limit.is_some_and(|limit| usize::try_from(limit) == Ok(page.records.len()));
        let answered = Answered { empty: page.records.is_empty(), has_next: page.next.is_some() };
        let step = self.ending.see(answered, polled);
        self.iterator = page.next.map(|id| Iterator { id, issued: polled });
        let empty = answered.empty;
        self.revoke_the_end(&page.records);
        self.present_end.see(empty, is_full, polled);
        // Empty pages in the middle of a closed shard say nothing: it has an end that is to come, and perhaps children.
        let may_go_on = answered.has_next && !self.job.activity.is_closed();
        let at_present_end = self.present_end.is_reached() && may_go_on;
        if at_present_end {
            let now = self.shared.progress.time().now();
            self.read_up_to = Some(now);
            if empty {
                // It holds nothing that is older than now.
                self.retained = self.retained.and_then(|_| Retained::since(now, &self.shared.stream_arn));
            }
        }
        let past_end = self.is_past_the_end(&page.records);
        let read = (!empty).then(|| self.hand_over(page.records, polled, is_full, room));
        if empty && at_present_end && self.unacknowledged.load(Ordering::SeqCst) == 0 {
            self.shared.board.current(&self.job.shard, polled);
        }
        // Without a next iterator it may be closed: that is asked first.
        let at_end = self.job.end.is_some() && self.present_end.is_reached() && empty && answered.has_next;
        let reached = past_end || at_end;
        let next = match step {
            Step::CheckClosed => Next::CheckWhetherClosed,
            // A listing has shown meanwhile that it is closed.
            Step::Wait if self.job.activity.is_closed() => Next::CheckWhetherClosed,
            // A closed shard ends where nothing more comes, and nowhere else.
            _ if reached && !self.job.activity.is_closed() => Next::CheckWhetherOpen(polled_as(empty, is_full)),
            Step::AskAgain => Next::Poll(Polled::FullPage),
            _ if empty && self.job.activity.is_closed() => Next::Poll(Polled::Draining),
            _ => Next::Poll(polled_as(empty, is_full)),
        };
        (read, next)
    }

    /// Empty pages were taken for the present end, and a record that is older than that comes.
    fn revoke_the_end(&mut self, records: &Records) {
        let Some(read_up_to) = self.read_up_to else { return };
        let oldest = records.as_slice().iter().filter_map(created).min();
        let Some(oldest) = oldest.filter(|oldest| u64::from(oldest.seconds()) + ROUNDING_SECONDS < read_up_to) else {
            return;
        };
        self.present_end.revoke();
        self.read_up_to = None;
        let age = self.shared.progress.time().age(u64::from(oldest.seconds()));
        self.shared.board.revoke_current(&self.job.shard, age);
    }

    /// An answer with status 200 says nothing. The shard is read on.
    fn note_empty_words(&mut self, answer: &str) {
        self.shared.board.incomplete_answer();
        if self.warned.is_none_or(|warned| warned.elapsed() >= REMINDER) {
            self.warned = Some(Instant::now());
            let hint = "nothing is lost; check the emulator or proxy behind the endpoint";
            tracing::warn!(shard = %self.job.shard, answer, hint, "GetRecords answers without content; reading continues");
        }
    }

    fn is_past_the_end(&self, records: &Records) -> bool {
        self.job.end.is_some_and(|end| records.as_slice().iter().filter_map(created).any(|created| created > end))
    }

    fn hand_over(&mut self, mut records: Records, polled: Instant, is_full: bool, room: Room) -> Page {
        let through = records.as_slice().iter().rev().find_map(sequence).cloned();
        let newest = records.as_slice().iter().rev().find_map(created);
        self.last_read = through.clone().or_else(|| self.last_read.take());
        self.note_order(&records);
        let all = records.len();
        if let Some(floor) = self.job.floor {
            records.retain_from(floor);
        }
        self.unacknowledged.fetch_add(1, Ordering::SeqCst);
        self.shared.board.page_came(&self.job.shard);
        Page {
            before_start: all - records.len(),
            records,
            through,
            newest,
            polled,
            is_full,
            // Behind the last page of a closed shard come its children, whose records may be older than this moment.
            at_present_end: self.present_end.is_reached() && self.iterator.is_some() && !self.job.activity.is_closed(),
            unacknowledged: Arc::clone(&self.unacknowledged),
            _memory: Some(room),
        }
    }

    /// Versions rest on creation times that never decrease for an item; a shard's do not either, as far as known.
    fn note_order(&mut self, records: &Records) {
        for created in records.as_slice().iter().filter_map(created) {
            if self.newest.is_some_and(|newest| created < newest) {
                self.shared.board.backwards(&self.job.shard);
            }
            self.newest = self.newest.max(Some(created));
        }
    }
}
