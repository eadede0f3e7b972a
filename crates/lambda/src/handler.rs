//! Handles one invocation: delivers its records, counts them, and answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lambda_events::streams::DynamoDbEventResponse;
use bytes::Bytes;
use futures::future::join_all;
use streamdex_config::Config;
use streamdex_delivery::capture::Capture;
use streamdex_delivery::page::Page;
use streamdex_mapping::{Outcome, SequenceNumber, Tally};
use streamdex_sink::WriterStats;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::answer::{self, Record, Report};
use crate::deadline::{Allowance, left_until};
use crate::decided::Identity;
use crate::delivery::{Again, Delivered, Work};
use crate::error::{InvocationError, MORE_PROCESSOR};
use crate::event::{self, Form};
use crate::intake::Intake;
use crate::metrics::{self, Counts, Labels};
use crate::sandbox::Sandbox;
use crate::why::Why;

/// Handles the invocations of one sandbox, one after the other.
pub struct Handler {
    sandbox: Sandbox,
    function: String,
    metrics: MetricsOutput,
}

/// Where the line of metrics of each invocation goes.
pub type MetricsOutput = Box<dyn Fn(&str) + Send + Sync>;

/// One invocation, apart from its event.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// Its id.
    pub request_id: &'a str,
    /// When Lambda ends it, in milliseconds since 1970.
    pub deadline: u64,
}

/// What came of the reading of an event.
enum Read {
    Event(Box<event::Event>),
    /// It takes too long; all is to come again from this record on.
    Late(SequenceNumber),
}

// === impl Handler ===

impl Handler {
    /// For the function of this name. No request is made.
    pub fn new(config: Config, function: impl Into<String>, metrics: MetricsOutput) -> Handler {
        Handler { sandbox: Sandbox::new(config), function: function.into(), metrics }
    }

    /// Connects to OpenSearch, before Lambda is asked for the first invocation. An error is none: the invocation tries
    /// again.
    pub async fn connect(&self) {
        self.sandbox.connect().await;
    }

    /// Delivers the records of an event. When this returns, nothing of the invocation runs any more.
    ///
    /// # Errors
    /// See [`InvocationError`]; a source mapping delivers the batch again.
    pub async fn handle(
        &self,
        event: Bytes,
        invocation: Invocation<'_>,
    ) -> Result<DynamoDbEventResponse, InvocationError> {
        let answered = self.answer(event, invocation).await;
        if let Err(error) = &answered {
            tracing::error!(kind = error.name(), hint = error.hint(), "the invocation failed: {error}");
        }
        answered
    }

    async fn answer(&self, event: Bytes, invocation: Invocation<'_>) -> Result<DynamoDbEventResponse, InvocationError> {
        let began = Instant::now();
        let left = left_until(invocation.deadline, SystemTime::now());
        let allowance = Allowance::of(left, self.sandbox.config.lambda.deadline_margin);
        let event::Event { form, capture, postponed } = match self.read(event, allowance).await? {
            Read::Event(event) => *event,
            Read::Late(from) => {
                tracing::warn!(%from, hint = MORE_PROCESSOR, "asking Lambda for the records again: they could not be mapped in time");
                return Ok(answer::response(Some(&from)));
            }
        };
        if capture.order.is_empty() {
            tracing::debug!("the event has no records");
            return Ok(answer::response(None));
        }
        let identities = in_order(&capture.order, &capture.pages, |page| {
            page.records().map(|meta| Some(Identity::from(meta))).collect()
        });
        let newest = capture.pages.values().filter_map(Page::newest).max();
        let steps_back = capture.pages.values().map(Page::steps_back).sum();
        let (table, order) = (self.table(&capture), capture.order.clone());
        let stream = capture.origin.sole_stream().map(str::to_owned);
        let until = began + allowance.whole();
        let delivered = self.deliver(form, capture, allowance.after(began.elapsed()), until).await?;
        let outcomes = in_order(&order, &delivered, |delivered| delivered.outcomes.clone());
        let counts = Counts { steps_back, ..count(&outcomes, &delivered, newest.map(age_of)) };
        let labels = Labels {
            function: &self.function,
            table: &table,
            request_id: invocation.request_id,
            at: milliseconds_now(),
        };
        (self.metrics)(&metrics::line(&labels, &counts));
        tracing::debug!(
            records = counts.records,
            undecided = counts.undecided,
            milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "delivered"
        );
        if let (Form::SourceMapping, Some(stream)) = (form, stream) {
            self.remember(&stream, identities.iter().flatten().zip(outcomes.iter().copied()), &delivered);
        }
        let records: Vec<Record> = identities
            .into_iter()
            .zip(&outcomes)
            .map(|(identity, outcome)| Record {
                sequence: identity.and_then(|identity| identity.sequence),
                decided: outcome.is_some(),
            })
            .collect();
        let why = delivered.into_values().find_map(|delivered| delivered.why);
        conclude(form, &records, why.or_else(|| (postponed > 0).then(|| Why::unmapped(postponed))))
    }

    /// Reads and maps the event's records on a separate thread, so that this one can answer in time however long
    /// that takes.
    async fn read(&self, event: Bytes, allowance: Allowance) -> Result<Read, InvocationError> {
        let until = Instant::now() + allowance.sending + allowance.settling;
        let intake = Intake::until(std::time::Instant::now() + allowance.mapping(), Arc::clone(&self.sandbox.decided));
        let start = intake.start();
        let (capturer, mapping) = (Arc::clone(&self.sandbox.capturer), Arc::clone(&self.sandbox.mapping));
        let Ok(Ok(turn)) = timeout_at(until, mapping.acquire_owned()).await else {
            return Err(InvocationError::Slow);
        };
        let span = tracing::Span::current();
        let task = tokio::task::spawn_blocking(move || {
            // The text of a large event is half of what an invocation holds; it goes when it is mapped.
            let read = span.in_scope(|| event::read_bytes(&capturer, &intake, &event));
            drop(turn);
            read
        });
        match timeout_at(until, task).await {
            Ok(Ok(read)) => Ok(Read::Event(Box::new(read?))),
            Ok(Err(_)) => Err(InvocationError::Broken("the mapping of the records")),
            Err(_) => start.first().map(Read::Late).ok_or(InvocationError::Slow),
        }
    }

    /// Keeps what is decided of records that come again.
    fn remember<'r>(
        &self,
        stream: &str,
        records: impl Iterator<Item = (&'r Identity, Option<Outcome>)>,
        delivered: &BTreeMap<usize, Delivered>,
    ) {
        if delivered.values().any(|delivered| delivered.again == Again::Send) {
            self.sandbox.decided.clear();
        } else {
            self.sandbox.decided.note(stream, records);
        }
    }

    /// Delivers the page of each source, with time for the answer.
    async fn deliver(
        &self,
        form: Form,
        capture: Capture,
        allowance: Allowance,
        until: Instant,
    ) -> Result<BTreeMap<usize, Delivered>, InvocationError> {
        let (cancel, storing) = (CancellationToken::new(), CancellationToken::new());
        let stream = capture.origin.sole_stream().map(str::to_owned);
        let work = Work {
            sandbox: &self.sandbox,
            form,
            stream_arn: stream.as_deref(),
            allowance,
            until,
            cancel: &cancel,
            storing: &storing,
        };
        let deliveries = capture
            .pages
            .into_iter()
            .map(|(place, page)| async move { Ok((place, Box::pin(work.deliver(place, page)).await?)) });
        let mut deliveries = Box::pin(join_all(deliveries));
        for (at, over) in [(Instant::now() + allowance.sending, &cancel), (until, &storing)] {
            tokio::select! {
                biased;
                delivered = &mut deliveries => return delivered.into_iter().collect(),
                () = sleep_until(at) => over.cancel(),
            }
        }
        deliveries.await.into_iter().collect()
    }

    /// The table of the event; all of them where someone has mixed records by hand.
    fn table(&self, capture: &Capture) -> String {
        let sources = capture.pages.keys().filter_map(|place| self.sandbox.config.sources.get(*place));
        sources.map(|source| source.table.table_name()).collect::<Vec<_>>().join(",")
    }
}

/// What the caller gets as its answer.
fn conclude(form: Form, records: &[Record], why: Option<Why>) -> Result<DynamoDbEventResponse, InvocationError> {
    let undecided = records.iter().filter(|record| !record.decided).count();
    let Why { reason, hint, .. } = why.unwrap_or_else(|| Why {
        kind: "fault",
        reason: "unknown".to_owned(),
        hint: "this is a bug in streamdex: please report it".to_owned(),
    });
    let records_in_all = records.len();
    match (form, answer::report(records)) {
        (_, Report::Done) => Ok(answer::response(None)),
        (Form::ByHand, _) => Err(InvocationError::Undecided { undecided, records: records_in_all, reason, hint }),
        (Form::SourceMapping, Report::Unnamed) => {
            Err(InvocationError::Unnamed { undecided, records: records_in_all, reason, hint })
        }
        (Form::SourceMapping, Report::From(from)) => {
            tracing::warn!(undecided, records = records_in_all, %from, hint, "asking Lambda for the records again: {reason}");
            Ok(answer::response(Some(from)))
        }
    }
}

/// What was made of each source's records, in the order of the event.
fn in_order<P, T>(order: &[usize], pages: &BTreeMap<usize, P>, of: impl Fn(&P) -> Vec<Option<T>>) -> Vec<Option<T>> {
    let mut rest: BTreeMap<usize, _> = pages.iter().map(|(place, page)| (*place, of(page).into_iter())).collect();
    order.iter().map(|place| rest.get_mut(place).and_then(Iterator::next).flatten()).collect()
}

fn count(outcomes: &[Option<Outcome>], delivered: &BTreeMap<usize, Delivered>, lag: Option<Duration>) -> Counts {
    let mut tally = Tally::default();
    outcomes.iter().flatten().for_each(|outcome| tally.add(*outcome));
    let records = u64::try_from(outcomes.len()).unwrap_or(u64::MAX);
    let mut counts =
        Counts { records, outcomes: tally, undecided: records - tally.records(), lag, ..Counts::default() };
    for delivered in delivered.values() {
        let nothing = WriterStats::default();
        let stats = delivered.stats.as_ref().unwrap_or(&nothing);
        counts.bytes += stats.bytes;
        counts.bulk += stats.took;
        counts.retries += stats.retried;
        for (reason, times) in &stats.paused {
            *counts.pauses.entry(reason).or_default() += times;
        }
        // What holds records back is a pause, whoever meets it.
        if let (Some(why), true) = (&delivered.why, stats.paused.is_empty()) {
            *counts.pauses.entry(why.kind).or_default() += 1;
        }
    }
    counts
}

fn age_of(seconds: u32) -> Duration {
    let then = UNIX_EPOCH + Duration::from_secs(seconds.into());
    SystemTime::now().duration_since(then).unwrap_or_default()
}

fn milliseconds_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_come_back_in_the_order_of_the_event() {
        let pages = BTreeMap::from([(0, vec![Some('a'), None]), (1, vec![Some('x'), Some('y'), Some('z')])]);
        let found = in_order(&[1, 0, 1, 0, 1], &pages, Vec::clone);
        assert_eq!(found, [Some('x'), Some('a'), Some('y'), None, Some('z')]);
        // What is missing is undecided, never decided by accident.
        assert_eq!(in_order(&[0, 0, 0, 2], &pages, Vec::clone), [Some('a'), None, None, None]);
    }

    #[test]
    fn nobody_reads_a_list_of_what_was_made_by_hand() {
        let records = [Record { sequence: None, decided: true }, Record { sequence: None, decided: false }];
        let done = &records[..1];
        let why = || Some(Why { kind: "no_time", reason: "busy".into(), hint: "wait".into() });
        assert!(conclude(Form::ByHand, done, None).unwrap().batch_item_failures.is_empty());
        let error = conclude(Form::ByHand, &records, why()).unwrap_err();
        assert_eq!(error.to_string(), "1 of 2 records have no outcome: busy");
        assert!(matches!(
            conclude(Form::SourceMapping, &records, why()),
            Err(InvocationError::Unnamed { undecided: 1, records: 2, .. })
        ));
    }
}
