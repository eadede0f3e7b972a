//! The records of one source, delivered by a writer that lives as long as the invocation.

use std::sync::Arc;
use std::time::Duration;

use streamdex_delivery::page::Page;
use streamdex_delivery::{Bounds, Delivery, DeliveryFault, DeliveryProgress};
use streamdex_dynamodb::state::StateError;
use streamdex_mapping::{Mapper, Outcome};
use streamdex_sink::writer::Fault;
use streamdex_sink::{
    BulkWriter, Indices, Patience, PauseReason, SetupError, ShortStreak, VanishedIndex, WriterSettings, WriterStats,
};
use tokio_util::sync::CancellationToken;

use crate::deadline::Allowance;
use crate::error::InvocationError;
use crate::sandbox::{Followed, Sandbox, Unprepared};

/// What the deliveries of one invocation share.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) sandbox: &'a Sandbox,
    /// The stream that the records name.
    pub(crate) stream_arn: Option<&'a str>,
    pub(crate) allowance: Allowance,
    /// Cancelled when nothing is to be sent any more.
    pub(crate) cancel: &'a CancellationToken,
}

/// What became of one source's records.
pub(crate) struct Delivered {
    /// One for each record, in order; `None` is undecided.
    pub(crate) outcomes: Vec<Option<Outcome>>,
    /// What the writer counted; `None` where it was not started.
    pub(crate) stats: Option<WriterStats>,
    /// Why there are undecided ones.
    pub(crate) why: Option<Why>,
}

/// Why records are undecided, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Why {
    /// A word for metrics.
    pub(crate) kind: &'static str,
    pub(crate) reason: String,
    pub(crate) hint: String,
}

/// The longest wait between attempts: an invocation has no time for more.
const LONGEST_RETRY: Duration = Duration::from_secs(5);
/// What refused documents come to when nothing else of the event can show whose fault it is: an invocation cannot wait
/// as long as `run`, and a batch that holds nothing but one bad record must not come again for ever. The sandbox goes on
/// counting, so the brake still trips.
const SHORT_STREAK: ShortStreak =
    ShortStreak::Refuse { proven: Duration::from_millis(500), unproven: Duration::from_secs(2) };
/// Documents that are held for sending. An event has 6 MB at most; what it is mapped to rarely has more.
const MEMORY: usize = 24 * 1024 * 1024;

// === impl Work ===

impl Work<'_> {
    /// Delivers one page. When this returns, its writer has ended.
    pub(crate) async fn deliver(self, place: usize, page: Page) -> Result<Delivered, InvocationError> {
        let Some(followed) = self.sandbox.source(place) else {
            return Ok(Delivered::nothing(page.len(), Why::late()));
        };
        let prepared = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Ok(Delivered::nothing(page.len(), Why::late())),
            prepared = self.prepare(followed, &page) => prepared,
        };
        let (indices, vanished) = match prepared {
            Ok(prepared) => prepared,
            Err(Unprepared::Client(error)) => return Err(error.into()),
            Err(Unprepared::State(error)) => return Ok(Delivered::nothing(page.len(), Why::unknown(&error))),
        };
        if let Some(vanished) = vanished.first() {
            return Ok(Delivered::nothing(page.len(), Why::vanished(vanished)));
        }
        let stop = self.cancel.child_token();
        let client = self.sandbox.client().await?.clone();
        let settings = self.settings();
        let learned = self.sandbox.learned(&settings);
        let writer = BulkWriter::start_with(client, indices.clone(), settings, learned, stop.clone());
        let delivery = self.delivery(followed, Arc::clone(&indices), writer.clone(), place);
        let outcome = Box::pin(delivery.deliver_page(page, &Bounds::from(self.cancel.clone()))).await;
        let why = outcome.fault.as_ref().map(|fault| Why::of(fault, &writer));
        stop.cancel();
        writer.ended().await;
        if writer.is_broken() {
            return Err(InvocationError::Broken);
        }
        if let Some(memory) = &followed.memory {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => {}
                () = memory.keep(self.stream_arn, &indices) => {}
            }
        }
        Ok(Delivered { outcomes: outcome.outcomes, stats: Some(writer.stats()), why })
    }

    /// What is made or asked once in a while: the indices, and whether they are still the same.
    async fn prepare(self, followed: &Followed, page: &Page) -> Result<(Arc<Indices>, Vec<VanishedIndex>), Unprepared> {
        let indices = self.sandbox.indices(followed, page, self.stream_arn).await?;
        let vanished = followed.look(&indices).await;
        Ok((indices, vanished))
    }

    /// The whole event is there, so nothing is waited for; and what fails is tried until the time is over.
    fn settings(self) -> WriterSettings {
        let mut settings = WriterSettings::new(&self.sandbox.config.opensearch, Patience::Endless);
        settings.linger = Duration::ZERO;
        settings.longest_retry = LONGEST_RETRY;
        settings.memory = MEMORY;
        settings.stop_grace = self.allowance.settling;
        settings.short_streak = SHORT_STREAK;
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
        Delivered { outcomes: vec![None; records], stats: None, why: Some(why) }
    }
}

// === impl Why ===

impl Why {
    /// Nothing was heard before the time was over.
    fn late() -> Why {
        Why {
            kind: "no_time",
            reason: "the time of the invocation was over".to_owned(),
            hint: "look at the health and load of the cluster, or give the function more time".to_owned(),
        }
    }

    fn vanished(vanished: &VanishedIndex) -> Why {
        let error = SetupError::Vanished(vanished.clone());
        Why { kind: PauseReason::IndexMissing.name(), reason: error.to_string(), hint: error.hint().to_owned() }
    }

    /// Whether an index has vanished cannot be told.
    fn unknown(error: &StateError) -> Why {
        Why { kind: "state_table", reason: error.to_string(), hint: error.hint() }
    }

    fn of(fault: &DeliveryFault, writer: &BulkWriter) -> Why {
        let (is_late, last) = match fault {
            DeliveryFault::Cancelled(last) => (true, last.clone()),
            DeliveryFault::Writer(fault) => (matches!(**fault, Fault::Cancelled), None),
            _ => (false, None),
        };
        if !is_late {
            let kind = match fault {
                DeliveryFault::Setup(_) => "index_setup",
                DeliveryFault::Read(_) => "item_read",
                DeliveryFault::Letters(_) => "dead_letter",
                _ => "fault",
            };
            return Why { kind, reason: fault.to_string(), hint: fault.hint() };
        }
        let late = Why::late();
        if let Some(pause) = writer.pauses().first() {
            let reason = format!("{}: paused, {pause}", late.reason);
            return Why { kind: pause.reason.name(), reason, hint: pause.hint().to_owned() };
        }
        match last.or(writer.stats().last_error) {
            Some(error) => Why { reason: format!("{}, after: {error}", late.reason), ..late },
            None => late,
        }
    }
}
