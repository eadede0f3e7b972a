//! The pages of a shard that are being delivered, in their order.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt};
use futures::{FutureExt, poll};
use streamdex_delivery::Bounds;
use streamdex_mapping::{Change, ItemOrder, RecordError, Trust};
use tokio::time::{Instant, sleep};

use super::job::{Job, ShardEnd, Shared};
use super::read::{Page, Read};
use crate::delivery::{Deliver, Undecided};
use crate::gap::{Gap, GapKind};
use crate::state::Checkpoint;

/// Pages whose delivery has begun. Those behind the first one were taken up because an index is held back: their records
/// of other indices need not wait.
#[derive(Default)]
pub(super) struct InHand<'a> {
    deliveries: FuturesOrdered<BoxFuture<'a, Over>>,
    pages: Vec<Arc<PageInHand>>,
    /// What comes after the last page.
    pub(super) last: Option<Read>,
}

/// A page whose delivery is over, and how it ended.
type Over = (Arc<PageInHand>, Result<(), ShardEnd>);

/// One page, and how far it is decided.
pub(super) struct PageInHand {
    pub(super) page: Page,
    since: Instant,
    decided: Mutex<Decided>,
    /// Later pages were taken up.
    followed: AtomicBool,
}

/// What is decided of a page.
#[derive(Debug, Clone, Default)]
pub(super) struct Decided {
    /// The last record of those at the front that are decided.
    pub(super) up_to: Option<Checkpoint>,
    /// Logical indices that something was sent to.
    pub(super) indices: BTreeSet<String>,
    /// Every record is.
    pub(super) all: bool,
}

const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A page that takes longer, while an index is held back, may wait for it.
const HELD_BACK_AFTER: Duration = Duration::from_secs(1);
/// Pages of one shard at a time; what they hold together is bounded by the memory of all shards.
const MOST: usize = 32;

// === impl InHand ===

impl<'a> InHand<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.pages.len() >= MOST
    }

    /// Whether another page may be taken up now.
    pub(super) fn has_room(&self, deliver: &dyn Deliver) -> bool {
        let Some(newest) = self.pages.last() else { return true };
        !self.is_full() && newest.since.elapsed() >= HELD_BACK_AFTER && deliver.holds_back_an_index()
    }

    /// Whether records of the oldest page are decided.
    pub(super) fn has_decided(&self) -> bool {
        self.pages.first().is_some_and(|page| page.state().up_to.is_some())
    }

    /// What is decided of the oldest page, and was not taken yet. No checkpoint passes it.
    pub(super) fn take_decided(&self) -> Option<Decided> {
        self.pages.first().map(|page| page.take_decided())
    }

    /// Begins with a page: it is mapped at once, since what is known of its items' order comes from the pages before.
    pub(super) async fn push(&mut self, mut page: Page, job: &'a Job, shared: &'a Shared, order: &mut ItemOrder) {
        // Over the whole page: what is delivered again keeps the versions that it had.
        page.records.arrange(order);
        for earlier in &self.pages {
            earlier.followed.store(true, Ordering::Relaxed);
        }
        let page = Arc::new(PageInHand {
            page,
            since: Instant::now(),
            decided: Mutex::default(),
            followed: AtomicBool::new(false),
        });
        self.pages.push(Arc::clone(&page));
        let mut delivery = async move {
            let end = page.deliver(job, shared).await;
            (page, end)
        }
        .boxed();
        let delivery = match poll!(&mut delivery) {
            std::task::Poll::Ready(over) => futures::future::ready(over).boxed(),
            std::task::Poll::Pending => delivery,
        };
        self.deliveries.push_back(delivery);
    }

    /// The oldest page, when its delivery is over.
    pub(super) async fn next(&mut self) -> Option<Over> {
        let over = self.deliveries.next().await?;
        match &over.1 {
            Ok(()) => self.pages.retain(|page| !Arc::ptr_eq(page, &over.0)),
            // What comes behind a page that is not decided must not be acknowledged.
            Err(_) => self.pages.clear(),
        }
        Some(over)
    }
}

// === impl PageInHand ===

impl PageInHand {
    /// What is decided, and was not taken yet.
    pub(super) fn take_decided(&self) -> Decided {
        let mut state = self.state();
        let all = state.all;
        Decided { all, ..std::mem::take(&mut *state) }
    }

    /// Delivers the page until every record has an outcome.
    async fn deliver(&self, job: &Job, shared: &Shared) -> Result<(), ShardEnd> {
        let bounds = Bounds { permit: Some(shared.tenure.clone()), ..Bounds::from(shared.abort.clone()) };
        let mut rest = self.page.records.as_slice();
        let mut wait = FIRST_WAIT;
        while !rest.is_empty() {
            let delivered = shared.deliver.deliver(rest, Trust::InOrder, &bounds).await;
            job.activity.note();
            let decided = delivered.decided().min(rest.len());
            let outcomes = delivered.outcomes.iter().take(decided).filter_map(|outcome| *outcome);
            shared.board.count_of(&job.shard, outcomes);
            let (done, left) = rest.split_at(decided);
            self.note(done.iter().rev().find_map(checkpoint_at), delivered.indices);
            rest = left;
            if decided > 0 {
                wait = FIRST_WAIT;
                shared.contact.accepted();
            }
            if rest.is_empty() {
                break;
            }
            self.wait_after(delivered.fault, wait, (job, shared)).await?;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        self.state().all = true;
        Ok(())
    }

    /// Records are undecided: waits before they are delivered again, or ends.
    async fn wait_after(
        &self,
        fault: Option<Undecided>,
        wait: Duration,
        (job, shared): (&Job, &Shared),
    ) -> Result<(), ShardEnd> {
        if shared.abort.is_cancelled() {
            return Err(ShardEnd::Stopped);
        }
        let fault = match fault {
            Some(Undecided::IndexVanished(vanished)) => return Err(ShardEnd::IndexLost(vec![vanished])),
            Some(Undecided::StateLost { message }) => {
                let gap = Gap::new(GapKind::StateLost, shared.stream_arn.as_str()).with_detail(message);
                return Err(ShardEnd::Gap(gap));
            }
            fault => fault,
        };
        // Later pages may hold later changes of the same items, which are sent already: all are read again, in order.
        if self.followed.load(Ordering::Relaxed) {
            return Err(ShardEnd::Dropped);
        }
        let (message, hint) = match fault {
            // Without a confirmed beat nothing is written; with the next one it goes on.
            Some(Undecided::Stopped) => return wait_for_the_tenure(wait, job, shared).await,
            Some(Undecided::Later { message, hint }) => (message, hint),
            _ => ("records are undecided".to_owned(), String::new()),
        };
        // For one-shot commands delivery has been patient already.
        if shared.patience.is_some() {
            return Err(ShardEnd::GaveUp { message, hint });
        }
        shared.board.error(&job.shard, message.clone(), hint);
        shared.board.pause(&job.shard, Some(message));
        pause(wait, job, shared).await
    }

    fn note(&self, up_to: Option<Checkpoint>, indices: BTreeSet<String>) {
        let mut state = self.state();
        state.indices.extend(indices);
        if up_to.is_some() {
            state.up_to = up_to;
        }
    }

    fn state(&self) -> MutexGuard<'_, Decided> {
        self.decided.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wait_for_the_tenure(wait: Duration, job: &Job, shared: &Shared) -> Result<(), ShardEnd> {
    shared.board.pause(&job.shard, Some("the lease is not confirmed".to_owned()));
    tokio::select! {
        biased;
        () = shared.stop.cancelled() => return Err(ShardEnd::Stopped),
        () = shared.tenure.granted() => {}
    }
    // It may have been granted again before this was asked: not at once again and again.
    pause(wait, job, shared).await
}

async fn pause(wait: Duration, job: &Job, shared: &Shared) -> Result<(), ShardEnd> {
    tokio::select! {
        biased;
        () = shared.stop.cancelled() => Err(ShardEnd::Stopped),
        () = sleep(wait.mul_f64(0.75 + 0.5 * fastrand::f64())) => {
            job.activity.note();
            Ok(())
        }
    }
}

fn checkpoint_at(change: &Result<Change<'_>, RecordError>) -> Option<Checkpoint> {
    match change {
        Ok(change) => {
            let position = change.sequence.clone()?;
            Some(Checkpoint { position, created: change.created })
        }
        Err(error) => Some(Checkpoint { position: error.sequence.clone()?, created: None }),
    }
}
