//! The records of one source, delivered by a writer that lives as long as the invocation.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use streamdex_delivery::page::Page;
use streamdex_delivery::{Bounds, Delivery, DeliveryFault, DeliveryProgress, PageOutcome};
use streamdex_mapping::{IndexName, Mapper, Outcome};
use streamdex_sink::retry::attempt_share;
use streamdex_sink::writer::{Fault, ShortStreak};
use streamdex_sink::{
    BulkWriter, ClientError, Indices, Learned, Patience, PauseReason, SetupError, WriterSettings, WriterStats,
};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::deadline::Allowance;
use crate::error::InvocationError;
use crate::event::Form;
use crate::sandbox::{Followed, Sandbox, Unprepared};
use crate::why::{LastWords, Preparation, Why};

/// What the deliveries of one invocation share.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) sandbox: &'a Sandbox,
    /// Whether the batch comes again by itself.
    pub(crate) form: Form,
    /// The stream that the records name.
    pub(crate) stream_arn: Option<&'a str>,
    pub(crate) allowance: Allowance,
    /// By then all is to be done but the answer.
    pub(crate) until: Instant,
    /// Cancelled when nothing is to be sent any more.
    pub(crate) cancel: &'a CancellationToken,
    /// Cancelled when no dead letter is to be stored any more.
    pub(crate) storing: &'a CancellationToken,
}

/// What became of one source's records.
pub(crate) struct Delivered {
    /// One for each record, in order; `None` is undecided.
    pub(crate) outcomes: Vec<Option<Outcome>>,
    /// What the writer counted; `None` where it was not started.
    pub(crate) stats: Option<WriterStats>,
    /// Why there are undecided ones.
    pub(crate) why: Option<Why>,
    /// Whether what is decided stays so when the batch comes again.
    pub(crate) again: Again,
}

/// What is done with decided records when their batch comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Nothing: they stay decided.
    Stay,
    /// The records are sent again: either an index has vanished, or an index refuses documents, and only an accepted
    /// one shows the cause.
    Send,
}

/// The longest wait between attempts: an invocation has no time for more.
const LONGEST_RETRY: Duration = Duration::from_secs(5);
/// An index that refuses documents and has accepted none is given the benefit of the doubt for so long, as by `run`; after
/// that a batch that holds nothing but bad records must not come again for ever.
const UNPROVEN: Duration = Duration::from_secs(60);
/// The brakes on record are waited for in this part of the time that is left, and no longer than that.
const RECALL_PART: u32 = 4;
const MOST_RECALL: Duration = Duration::from_secs(1);
/// An event that was sent by hand is not delivered again: a person watches, as with a command.
const BY_HAND: Duration = Duration::from_secs(1);
/// Documents that are held for sending. An event has 6 MB at most; what it is mapped to rarely has more.
const MEMORY: usize = 24 * 1024 * 1024;

/// Why nothing is written yet.
enum Unready {
    Client(ClientError),
    Why(Why),
    Vanished(Why),
}

// === impl Work ===

impl Work<'_> {
    /// Delivers one page. When this returns, its writer has ended.
    pub(crate) async fn deliver(self, place: usize, page: Page) -> Result<Delivered, InvocationError> {
        let Some(followed) = self.sandbox.source(place) else {
            return Ok(Delivered::nothing(page.len(), Why::late()));
        };
        let client = self.sandbox.client().await?.clone();
        client.work_until(Some(self.until));
        let settings = self.settings();
        let learned = self.sandbox.learned(&settings);
        let indices = match self.prepare(followed, &page, (&settings, &learned)).await {
            Ok(indices) => indices,
            Err(Unready::Client(error)) => return Err(error.into()),
            Err(Unready::Why(why)) => return Ok(Delivered::nothing(page.len(), why)),
            Err(Unready::Vanished(why)) => {
                return Ok(Delivered { again: Again::Send, ..Delivered::nothing(page.len(), why) });
            }
        };
        let stop = self.cancel.child_token();
        let writer = BulkWriter::start_with(client, indices.clone(), settings, learned.clone(), stop.clone());
        let delivery = self.delivery(followed, Arc::clone(&indices), writer.clone(), place);
        let outcome = self.deliver_page(&delivery, page).await;
        stop.cancel();
        writer.ended().await;
        let Some((outcome, words)) = outcome.filter(|_| !writer.is_broken()) else {
            return Err(InvocationError::Broken("the bulk writer"));
        };
        let words = words.ended(&writer);
        if let Some(memory) = &followed.memory {
            // Also where the time for sending is over: what is learned then matters most.
            self.in_time_of(self.storing, || memory.keep(self.stream_arn, &indices)).await;
            self.in_time_of(self.storing, || memory.keep_brakes(&learned)).await;
        }
        let written: BTreeSet<Arc<str>> = outcome
            .indices
            .iter()
            .filter_map(|index| indices.target(&IndexName::parse(index).ok()?))
            .map(|target| target.concrete.as_str().into())
            .collect();
        let again = Again::after(outcome.fault.as_ref(), &writer, &written);
        let why = outcome.fault.as_ref().map(|fault| Why::of(fault, &words));
        Ok(Delivered { outcomes: outcome.outcomes, stats: Some(writer.stats()), why, again })
    }

    /// Delivers with a writer that lives; `None` where it broke.
    async fn deliver_page(self, delivery: &Delivery, page: Page) -> Option<(PageOutcome, LastWords)> {
        let bounds =
            Bounds { storing: self.storing.clone(), until: Some(self.until), ..Bounds::from(self.cancel.clone()) };
        let mut words = LastWords::default();
        let delivered = Box::pin(delivery.deliver_page(page, &bounds));
        let outcome = tokio::select! {
            biased;
            () = delivery.writer.broken() => return None,
            never = words.follow(&delivery.writer, self.cancel) => match never {},
            outcome = delivered => outcome,
        };
        Some((outcome, words))
    }

    /// The occasional work: creating the indices, and checking that they are still the same.
    async fn prepare(
        self,
        followed: &Followed,
        page: &Page,
        (settings, learned): (&WriterSettings, &Learned),
    ) -> Result<Arc<Indices>, Unready> {
        let late = |preparation| Unready::Why(Why::unprepared(preparation));
        if let Some(memory) = followed.memory.as_ref().filter(|_| settings.brakes()) {
            let left = self.until.saturating_duration_since(Instant::now());
            let within = (left / RECALL_PART).min(MOST_RECALL);
            memory.recall_brakes(self.stream_arn, learned, within).await;
        }
        let indices = self.in_time(|| self.sandbox.indices(followed, page, self.stream_arn)).await;
        let indices = match indices.ok_or_else(|| late(Preparation::KnownIndices))? {
            Ok(indices) => indices,
            Err(Unprepared::Client(error)) => return Err(Unready::Client(error)),
            Err(Unprepared::State(error)) => return Err(Unready::Why(Why::unknown(&error))),
        };
        let vanished = self.in_time(|| followed.look(&indices)).await.ok_or_else(|| late(Preparation::Look))?;
        match vanished.first() {
            Some(vanished) => Err(Unready::Vanished(Why::vanished(vanished))),
            None => Ok(indices),
        }
    }

    /// Does something within the time for sending. Where it is not done in its share of the time, it is begun again:
    /// one request without an answer must not use up the invocation.
    async fn in_time<T, F: Future<Output = T>>(self, attempt: impl Fn() -> F) -> Option<T> {
        self.in_time_of(self.cancel, attempt).await
    }

    /// The same, until `over` is cancelled or no time is left. The one who cancels runs in the same task, so that this must
    /// not try again and again for no time at all.
    async fn in_time_of<T, F: Future<Output = T>>(
        self,
        over: &CancellationToken,
        attempt: impl Fn() -> F,
    ) -> Option<T> {
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            tokio::select! {
                biased;
                () = over.cancelled() => return None,
                done = timeout(attempt_share(left), attempt()) => if let Ok(done) = done {
                    return Some(done);
                },
            }
        }
    }

    /// The whole event is there, so nothing is waited for; and what fails is tried until the time is over.
    fn settings(self) -> WriterSettings {
        let mut settings = WriterSettings::new(&self.sandbox.config.opensearch, Patience::Endless);
        settings.linger = Duration::ZERO;
        settings.longest_retry = LONGEST_RETRY;
        settings.memory = MEMORY;
        settings.stop_grace = self.allowance.settling;
        settings.short_streak = match self.form {
            Form::SourceMapping => ShortStreak::GiveBack { unproven: UNPROVEN },
            Form::ByHand => ShortStreak::Refuse { proven: BY_HAND, unproven: BY_HAND },
        };
        settings
    }

    fn delivery(self, followed: &Followed, indices: Arc<Indices>, writer: BulkWriter, place: usize) -> Delivery {
        let nothing = || Arc::new(Mapper::new(Vec::new()));
        Delivery {
            table: followed.source.table.table_name().to_owned(),
            mapper: self.sandbox.capturer.mapper(place).cloned().unwrap_or_else(nothing),
            reader: Some(Arc::clone(&followed.reader)),
            indices,
            writer,
            letters: Arc::clone(&self.sandbox.letters),
            patience: Patience::Endless,
            progress: DeliveryProgress::under_way(),
            memory: self.sandbox.memory.clone(),
        }
    }
}

// === impl Delivered ===

impl Delivered {
    fn nothing(records: usize, why: Why) -> Delivered {
        Delivered { outcomes: vec![None; records], stats: None, why: Some(why), again: Again::Stay }
    }
}

// === impl Again ===

impl Again {
    /// `written` are the concrete indices that something was to be sent to.
    fn after(fault: Option<&DeliveryFault>, writer: &BulkWriter, written: &BTreeSet<Arc<str>>) -> Again {
        let is_in_doubt = match fault {
            Some(DeliveryFault::Writer(fault)) => {
                matches!(**fault, Fault::Undecided { .. } | Fault::IndexMissing { .. })
            }
            Some(DeliveryFault::Setup(SetupError::Vanished(_))) => true,
            _ => false,
        };
        let reasons = [PauseReason::RequestsRefused, PauseReason::DocumentsRefused, PauseReason::IndexMissing];
        let refused = reasons.map(PauseReason::name);
        let is_refused = writer.stats().paused.keys().any(|reason| refused.contains(reason));
        let is_braked = writer.braked().iter().any(|braked| written.contains(&braked.concrete));
        if is_in_doubt || is_refused || is_braked { Again::Send } else { Again::Stay }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use async_trait::async_trait;
    use streamdex_config::Config;
    use streamdex_mapping::{Trust, event::read_captured};
    use streamdex_sink::{Answer, BodyEncoding, BulkTransport};

    use super::*;

    struct Panics;

    #[async_trait]
    impl BulkTransport for Panics {
        async fn bulk(&self, _: bytes::Bytes, _: BodyEncoding) -> Result<Answer, ClientError> {
            panic!("as a defect would")
        }

        fn refresh_credentials(&self) {}
    }

    fn sandbox() -> Sandbox {
        let text = "source = { table = 'orders' }\nopensearch = { url = 'http://127.0.0.1:9' }\n\
            route = [{ index = 'orders' }]\nindex.orders = { manage = 'never' }\n\
            dead_letter = { kind = 'file', path = 'none' }";
        Sandbox::new(Config::parse(text, Path::new(""), &|_| None).unwrap().config)
    }

    /// Whoever cancels is a branch of the same task, and is polled only after this gives way.
    #[tokio::test(start_paused = true)]
    async fn what_does_not_answer_ends_with_the_time_whoever_cancels_or_not() {
        let (sandbox, form) = (sandbox(), Form::SourceMapping);
        let (cancel, storing) = (CancellationToken::new(), CancellationToken::new());
        let allowance = Allowance::of(Duration::from_secs(6), Duration::from_secs(2));
        let until = Instant::now() + allowance.whole();
        let work =
            Work { sandbox: &sandbox, form, stream_arn: None, allowance, until, cancel: &cancel, storing: &storing };
        assert_eq!(work.in_time_of(&storing, std::future::pending::<()>).await, None);
        assert!(Instant::now() >= until);
    }

    #[tokio::test]
    async fn a_writer_that_breaks_is_noticed_at_once() {
        let sandbox = sandbox();
        let (cancel, storing) = (CancellationToken::new(), CancellationToken::new());
        let allowance = Allowance::of(Duration::from_secs(60), Duration::from_secs(2));
        let until = Instant::now() + allowance.whole();
        let form = Form::SourceMapping;
        let work =
            Work { sandbox: &sandbox, form, stream_arn: None, allowance, until, cancel: &cancel, storing: &storing };
        let followed = sandbox.source(0).unwrap();
        let mut page = Page::default();
        let record = r#"[{"eventName":"INSERT","dynamodb":{"ApproximateCreationDateTime":1700000000,
            "Keys":{"pk":{"S":"a"}},"NewImage":{"pk":{"S":"a"}},"SequenceNumber":"7"}}]"#;
        let mapper = sandbox.capturer.mapper(0).unwrap();
        read_captured(record, |_, record| page.add(mapper, record, Trust::InOrder)).unwrap();
        let indices = sandbox.indices(followed, &page, None).await.unwrap();
        let stop = CancellationToken::new();
        let writer = BulkWriter::start_on(Arc::new(Panics), indices.clone(), work.settings(), stop.clone());
        let delivery = work.delivery(followed, indices, writer.clone(), 0);
        let began = Instant::now();
        assert!(work.deliver_page(&delivery, page).await.is_none());
        assert!(writer.is_broken() && began.elapsed() < Duration::from_secs(30));
    }
}
