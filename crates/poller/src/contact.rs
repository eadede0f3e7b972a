//! The time of the last answer of each service to a reader.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use streamdex_dynamodb::Fault;
use tokio::time::Instant;

use crate::lease::GiveUp;

/// The last contact with OpenSearch, from periodic probes. Cheap to clone; unknown at first.
#[derive(Debug, Clone, Default)]
pub struct SearchContact(Arc<Mutex<Option<Instant>>>);

/// When DynamoDB Streams and OpenSearch last answered, and since when records wait.
#[derive(Debug)]
pub(crate) struct Contact {
    search: SearchContact,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    /// The first unanswered call of DynamoDB Streams since the last answered one.
    asked: Option<Instant>,
    accepted: Instant,
    waiting_since: Option<Instant>,
    progress: bool,
    /// Records had their outcomes in this term.
    fruitful: bool,
}

/// Requests that were not answered, and when the last of them was counted.
#[derive(Debug)]
pub(crate) struct Unanswered(Mutex<(u64, Option<Instant>)>);

// === impl Unanswered ===

impl Unanswered {
    /// So many were counted before.
    pub(crate) fn counted(before: u64) -> Unanswered {
        Unanswered(Mutex::new((before, None)))
    }

    /// So many are counted by now.
    pub(crate) fn count(&self, now: u64) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now > seen.0 {
            *seen = (now, Some(Instant::now()));
        }
    }

    /// Whether there was one within this time, where so many are counted by now.
    pub(crate) fn within(&self, now: u64, time: Duration) -> bool {
        self.count(now);
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.1.is_some_and(|at| at.elapsed() < time)
    }
}

// === impl SearchContact ===

impl SearchContact {
    /// It has answered.
    pub fn answered(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether it has answered after this moment.
    pub(crate) fn has_answered_since(&self, since: Instant) -> bool {
        self.last().is_some_and(|answered| answered > since)
    }

    fn last(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Contact ===

impl Contact {
    /// A term begins.
    pub(crate) fn new(search: SearchContact) -> Contact {
        let now = Instant::now();
        let seen = Seen { asked: None, accepted: now, waiting_since: None, progress: false, fruitful: false };
        Contact { search, seen: Mutex::new(seen) }
    }

    /// DynamoDB Streams is asked for something.
    pub(crate) fn stream_asked(&self) {
        self.seen().asked.get_or_insert_with(Instant::now);
    }

    /// DynamoDB Streams has answered.
    pub(crate) fn stream_answered(&self) {
        let mut seen = self.seen();
        (seen.asked, seen.progress) = (None, true);
    }

    /// DynamoDB Streams has refused a call. A refusal is an answer too, unless it says that this worker may not ask.
    pub(crate) fn stream_refused(&self, fault: Fault) {
        if !matches!(fault, Fault::Transient | Fault::Credentials | Fault::Denied) {
            self.stream_answered();
        }
    }

    /// How long DynamoDB Streams has not answered; zero where it is not asked.
    pub(crate) fn stream_silence(&self) -> Duration {
        self.seen().asked.map_or(Duration::ZERO, |asked| asked.elapsed())
    }

    /// Records have their outcomes.
    pub(crate) fn accepted(&self) {
        let mut seen = self.seen();
        seen.accepted = Instant::now();
        (seen.progress, seen.fruitful) = (true, true);
    }

    /// The term came to a known end, without asking anybody.
    pub(crate) fn needs_nobody(&self) {
        self.seen().progress = true;
    }

    /// Whether records had their outcomes in this term.
    pub(crate) fn was_fruitful(&self) -> bool {
        self.seen().fruitful
    }

    /// Whether the term has led to anything: both services answered, as far as they were needed.
    pub(crate) fn has_progress(&self) -> bool {
        let seen = self.seen();
        seen.progress && seen.waiting_since.is_none_or(|since| seen.accepted > since)
    }

    /// This process stood still: the time in which it could not hear an answer says nothing.
    pub(crate) fn slept(&self) {
        let (now, mut seen) = (Instant::now(), self.seen());
        seen.asked = seen.asked.map(|_| now);
        seen.waiting_since = seen.waiting_since.map(|_| now);
        seen.accepted = now;
    }

    /// Whether the reader is to give its lease up, with so many records that wait to be written.
    pub(crate) fn judge(&self, undecided: u64, longest: Duration) -> Option<GiveUp> {
        let (now, stream) = (Instant::now(), self.stream_silence());
        let mut seen = self.seen();
        seen.waiting_since = (undecided > 0).then(|| seen.waiting_since.unwrap_or(now));
        let search = self.search.last().map_or(seen.accepted, |answered| answered.max(seen.accepted));
        let waiting = seen.waiting_since.map(|since| now.duration_since(since));
        GiveUp::judge(stream, now.duration_since(search), waiting, longest)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    async fn seconds(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn l6_who_gets_no_answer_gives_up_and_who_asks_for_nothing_does_not() {
        let contact = Contact::new(SearchContact::default());
        seconds(20).await;
        assert_eq!(contact.judge(0, TEN), None, "nothing is asked, as where a page waits to be written");
        contact.stream_asked();
        seconds(5).await;
        contact.stream_asked();
        seconds(4).await;
        assert_eq!((contact.judge(0, TEN), contact.stream_silence()), (None, Duration::from_secs(9)));
        seconds(1).await;
        assert_eq!(contact.judge(0, TEN), Some(GiveUp::NoStream));
        contact.stream_answered();
        assert_eq!((contact.judge(0, TEN), contact.stream_silence()), (None, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn l6_a_process_that_stood_still_does_not_blame_the_services() {
        let contact = Contact::new(SearchContact::default());
        contact.stream_asked();
        assert_eq!(contact.judge(5, TEN), None);
        seconds(60).await;
        contact.slept();
        assert_eq!((contact.judge(5, TEN), contact.stream_silence()), (None, Duration::ZERO));
        seconds(10).await;
        assert_eq!(contact.judge(5, TEN), Some(GiveUp::NoStream));
    }

    #[tokio::test(start_paused = true)]
    async fn l6_a_slow_answer_of_a_cluster_that_is_there_is_waited_for() {
        let search = SearchContact::default();
        let contact = Contact::new(search.clone());
        for _ in 0..6 {
            contact.stream_answered();
            search.answered();
            assert_eq!(contact.judge(5, TEN), None);
            assert!(!contact.has_progress(), "nothing was accepted yet");
            seconds(5).await;
        }
        contact.stream_answered();
        seconds(6).await;
        assert_eq!(contact.judge(5, TEN), Some(GiveUp::NoSearch));
        contact.accepted();
        assert_eq!(contact.judge(5, TEN), None);
        assert!(contact.has_progress());
    }
}
