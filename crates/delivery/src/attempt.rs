//! Repeats a call until it succeeds, until a retry is useless, or until the time is up.

use std::future::Future;
use std::time::Duration;

use streamdex_sink::retry::{Jitter, RetrySchedule, attempt_share};
use streamdex_sink::writer::Patience;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fault::DeliveryFault;
use crate::progress::DeliveryProgress;

/// What may be tried again.
#[derive(Clone, Copy)]
pub struct Attempts<'d> {
    /// How long something that fails is tried again.
    pub patience: Patience,
    /// How it has gone so far.
    pub progress: &'d DeliveryProgress,
}

/// The time that there is for something.
#[derive(Clone, Copy)]
pub struct Term<'b> {
    /// Nothing is tried any more when this is cancelled.
    pub cancel: &'b CancellationToken,
    /// The deadline of the whole work. One attempt gets a share of the time that is left.
    pub until: Option<Instant>,
}

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// One line per change, and a reminder each minute.
const REMINDER: Duration = Duration::from_secs(60);

/// The waits between attempts.
pub(crate) fn schedule() -> RetrySchedule {
    RetrySchedule::new(FIRST_WAIT, LONGEST_WAIT)
}

// === impl Attempts ===

impl Attempts<'_> {
    /// Tries until it succeeds, until trying again is of no use, or until patience or time is over.
    ///
    /// # Errors
    /// The last one.
    pub async fn make<T, E, F>(
        self,
        term: Term<'_>,
        what: &'static str,
        attempt: impl FnMut() -> F,
    ) -> Result<T, DeliveryFault>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<DeliveryFault>,
    {
        self.make_for(self.limit(), term, what, attempt).await
    }

    /// The same, where `limit` is how long it may fail.
    pub(crate) async fn make_for<T, E, F>(
        self,
        limit: Duration,
        term: Term<'_>,
        what: &'static str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, DeliveryFault>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<DeliveryFault>,
    {
        let (schedule, mut jitter) = (schedule(), Jitter::default());
        let begun = Instant::now();
        let mut said: Option<(String, Instant)> = None;
        let mut failing = None;
        for round in 0.. {
            let outcome = tokio::select! {
                biased;
                () = term.cancel.cancelled() => return Err(DeliveryFault::Cancelled(said.map(|(error, _)| error))),
                outcome = term.share(what, attempt()) => outcome,
            };
            let error = match outcome {
                Ok(value) => {
                    self.progress.note_success();
                    return Ok(value);
                }
                Err(error) => error,
            };
            if begun.elapsed() >= limit || error.is_final(self.patience) {
                return Err(error);
            }
            failing.get_or_insert_with(|| self.progress.failing());
            let text = error.to_string();
            let again = |(last, at): &(String, Instant)| *last != text || at.elapsed() >= REMINDER;
            if said.as_ref().is_none_or(again) {
                tracing::warn!(error = text, hint = error.hint(), "cannot {what}, trying again");
                said = Some((text, Instant::now()));
            }
            // A cancellation is noticed at the next attempt.
            let _ = term.sleep(schedule.delay(round, None, &mut jitter)).await;
        }
        Err(DeliveryFault::Cancelled(None))
    }

    /// How long one thing may fail.
    pub(crate) fn limit(self) -> Duration {
        match self.patience {
            Patience::Endless => Duration::MAX,
            Patience::OneShot { later, .. } if self.progress.is_made() => later,
            Patience::OneShot { at_start, .. } => at_start,
        }
    }
}

// === impl Term ===

impl Term<'_> {
    /// One attempt, within its share of the time.
    async fn share<T, E: Into<DeliveryFault>>(
        self,
        what: &'static str,
        attempt: impl Future<Output = Result<T, E>>,
    ) -> Result<T, DeliveryFault> {
        let Some(until) = self.until else { return attempt.await.map_err(Into::into) };
        let share = attempt_share(until.saturating_duration_since(Instant::now()));
        match tokio::time::timeout(share, attempt).await {
            Ok(outcome) => outcome.map_err(Into::into),
            Err(_) => Err(DeliveryFault::Unanswered { what, after: share }),
        }
    }

    /// Waits, unless it is cancelled meanwhile.
    ///
    /// # Errors
    /// It was cancelled.
    pub async fn sleep(self, time: Duration) -> Result<(), DeliveryFault> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(DeliveryFault::Cancelled(None)),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use streamdex_dynamodb::AwsError;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_call_without_an_answer_leaves_time_for_another() {
        let (cancel, progress) = (CancellationToken::new(), DeliveryProgress::under_way());
        let attempts = Attempts { patience: Patience::Endless, progress: &progress };
        let begun = Instant::now();
        let term = Term { cancel: &cancel, until: Some(begun + Duration::from_secs(30)) };
        let calls = Cell::new(0);
        let call = || async {
            calls.set(calls.get() + 1);
            match calls.get() {
                1 => std::future::pending().await,
                _ => Ok::<_, AwsError>(7),
            }
        };
        assert_eq!(attempts.make(term, "read items", call).await.unwrap(), 7);
        assert!((10..11).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
        cancel.cancel();
        let stopped = attempts.make(term, "read items", call).await.unwrap_err();
        assert!(matches!(stopped, DeliveryFault::Cancelled(None)), "{stopped}");
    }
}
