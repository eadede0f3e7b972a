//! What is done about each answer: decisions, what is sent again, and what the gates, caps and pauses learn.

use std::sync::Arc;
use std::time::Duration;

use streamdex_mapping::{IndexName, Outcome};
use tokio::time::Instant;

use super::Patience;
use super::answer::{ItemAnswer, WholeAnswer};
use super::decision::{Decision, Fault, Refusal};
use super::dispatch::{Dispatcher, When};
use super::request::{Finished, Reply, Sent};
use super::stats::Counters;
use super::submission::{Op, Suspect, Suspicion};
use crate::classify::{Class, PauseReason, TooMuch, Trouble, Verb, classify, classify_request};
use crate::client::{BodyEncoding, ClientError};
use crate::limit::Concurrency;
use crate::pause::{Change, Scope};
use crate::scrub::Scrubbed;
use streamdex_config::Compression;

/// An operation that meets the same trouble this often pauses its index.
const LASTING: u32 = 5;
/// As `LASTING`, for an overload, which a cluster works off.
const LASTING_OVERLOAD: u32 = 10;
/// Requests refused whole with one operation, in a row, before it is not the operations' fault.
const LONE_REFUSALS: u32 = 3;

/// What the items of one request say of one index.
struct News {
    index: IndexName,
    epoch: u64,
    accepted: bool,
    pause: Option<(PauseReason, Option<String>)>,
}

/// How often in a row something must happen before it is reported as a pause.
#[derive(Clone, Copy)]
struct Patch(u32);

const AT_ONCE: Patch = Patch(1);
const SECOND_TIME: Patch = Patch(2);
const THIRD_TIME: Patch = Patch(3);
const TENTH_TIME: Patch = Patch(10);

impl Dispatcher {
    pub(super) fn settle(&mut self, finished: Finished, now: Instant) {
        let Finished { mut sent, took, reply } = finished;
        let ops = std::mem::take(&mut sent.ops);
        if Concurrency::is_slow(took, self.settings.request_timeout) {
            self.concurrency.overloaded(sent.round);
        }
        match reply {
            Reply::Items(items) => self.settle_items(&sent, ops, items, now),
            Reply::Whole(answer, retry_after) => self.settle_whole(&sent, ops, &answer, retry_after, now),
            Reply::Unreadable(reason) => {
                self.counters.note_error(reason.clone());
                self.hold_cluster(&sent, PauseReason::NotOpenSearch, Some(reason), THIRD_TIME, now);
                self.again(ops, When::Now);
            }
            Reply::Nothing(error) => self.settle_nothing(&sent, ops, &error, now),
            // Those whose permit is gone are given up when they come up again.
            Reply::Withdrawn => self.again(ops, When::Now),
        }
        if let Some(index) = &sent.probes {
            self.queue.gate(index).end_probe(now);
        }
        if sent.probes_all {
            self.cluster.end_probe(now);
            self.credentials.end_probe(now);
        }
    }

    // --- answers to items ---

    fn settle_items(&mut self, sent: &Sent, ops: Vec<Op>, items: Vec<ItemAnswer>, now: Instant) {
        self.accepted(sent, &ops, now);
        let mut news: Vec<News> = Vec::new();
        let mut retry = Vec::new();
        let mut back = Vec::new();
        let mut too_large = Vec::new();
        let mut overloaded = false;
        for (op, item) in ops.into_iter().zip(items) {
            let error_type = item.error.as_ref().map(|error| error.error_type.as_str());
            let class = classify(Verb::of(&op.operation.action), op.operation.origin, item.status, error_type);
            if let Some(error) = &item.error
                && !matches!(class, Class::Done(_))
            {
                self.counters.note_error(error.to_string());
            }
            let class = lasting(class, op.attempts);
            note(&mut news, &op, class, item.error.as_deref());
            match class {
                Class::Done(outcome) => self.decide(op, Decision::Done(outcome)),
                Class::Refuse => self.refuse(op, item.status, item.error.as_deref()),
                Class::Retry(trouble) => {
                    overloaded |= self.note_trouble(trouble, sent);
                    retry.push(op);
                }
                Class::Pause(_) => back.push(op),
                Class::Split(_) => too_large.push(op),
                Class::IndexMissing => self.index_missing(op, now),
            }
        }
        if !overloaded && sent.at_limit {
            self.concurrency.succeeded();
        }
        if !overloaded {
            self.cap.succeeded();
        }
        self.again(back, When::Now);
        self.split(sent, too_large, TooMuch::Bytes, None);
        self.retry_later(retry, now);
        for item in news {
            self.learn(item, now);
        }
    }

    /// A list of items came back: cluster and credentials are good, and so is the encoding.
    fn accepted(&mut self, sent: &Sent, ops: &[Op], now: Instant) {
        self.lone_refusals = 0;
        if self.cluster.succeed(sent.cluster_epoch) {
            self.resumed(&Scope::Cluster, now);
        }
        if self.credentials.succeed(sent.credentials_epoch) {
            self.resumed(&Scope::Credentials, now);
        }
        let only_encoding = ops.iter().all(|op| op.suspicion.of == Suspect::Encoding);
        if only_encoding && self.compression == Compression::Gzip {
            self.compression = Compression::None;
            tracing::warn!(
                hint = "OpenSearch 2.17.0 does this; upgrade it, or set opensearch.compression = \"none\"",
                "requests are refused with compression and taken without: going on without"
            );
        }
    }

    fn refuse(&mut self, op: Op, status: u16, error: Option<&Scrubbed>) {
        let unknown = Scrubbed { error_type: "unknown_error".to_owned(), detail: None };
        let error = error.unwrap_or(&unknown);
        if error.concerns_all() && self.alerted.insert((op.operation.address.index.clone(), error.to_string())) {
            let index = &op.operation.address.index;
            tracing::error!(%index, %error, hint = error.hint(), "documents are refused, and the next ones will be too");
        }
        self.decide(op, Decision::Refused(Refusal::answered(status, error)));
    }

    fn index_missing(&mut self, op: Op, now: Instant) {
        let index = op.operation.address.index.clone();
        self.enter(Scope::Index(index.clone()), PauseReason::IndexMissing, None, now);
        let fault = Fault::IndexMissing { index, concrete: Arc::clone(&op.concrete) };
        self.decide(op, Decision::Stopped(Arc::new(fault)));
    }

    fn retry_later(&mut self, mut ops: Vec<Op>, now: Instant) {
        let Some(attempts) = ops.iter().map(|op| op.attempts).max() else { return };
        for op in &mut ops {
            op.attempts += 1;
        }
        let until = now + self.schedule.delay(attempts, None, &mut self.jitter);
        self.again(ops, When::At(until));
    }

    /// Lets concurrency and sizes learn; says whether the server has too much to do.
    fn note_trouble(&mut self, trouble: Trouble, sent: &Sent) -> bool {
        match trouble {
            Trouble::Unavailable | Trouble::ServerError => return false,
            Trouble::Breaker => self.cap.broke(),
            Trouble::Overloaded => {}
        }
        Counters::add(&self.counters.overloaded, 1);
        self.concurrency.overloaded(sent.round);
        true
    }

    /// Lets the gate of an index learn: a pause weighs more than what was accepted beside it.
    fn learn(&mut self, news: News, now: Instant) {
        let scope = Scope::Index(news.index.clone());
        let gate = self.queue.gate(&news.index);
        if let Some((reason, detail)) = news.pause {
            if gate.fail(news.epoch) {
                let attempt = gate.failures() - 1;
                let until = now + self.schedule.delay(attempt, None, &mut self.jitter);
                gate.close(until);
                self.enter(scope, reason, detail, now);
            }
        } else if news.accepted {
            let opened = gate.succeed(news.epoch);
            // A missing index has a pause without a closed gate.
            if opened || self.pauses.get(&scope).is_some_and(|pause| pause.reason == PauseReason::IndexMissing) {
                self.resumed(&scope, now);
            }
        }
    }

    // --- answers to whole requests ---

    fn settle_whole(
        &mut self,
        sent: &Sent,
        ops: Vec<Op>,
        answer: &WholeAnswer,
        retry_after: Option<Duration>,
        now: Instant,
    ) {
        let detail = answer.error.to_string();
        self.counters.note_error(detail.clone());
        match classify_request(answer.status, answer.error_type.as_deref()) {
            Class::Split(why) => {
                if why == TooMuch::Bytes {
                    self.cap.too_large(sent.bytes);
                }
                self.split(sent, ops, why, Some((answer, now)));
            }
            Class::IndexMissing if ops.len() == 1 => ops.into_iter().for_each(|op| self.index_missing(op, now)),
            Class::IndexMissing => self.split(sent, ops, TooMuch::Malformed, None),
            Class::Pause(PauseReason::CredentialsRefused) => {
                self.again(ops, When::Now);
                self.hold_credentials(sent, PauseReason::CredentialsRefused, detail, now);
            }
            Class::Pause(reason) => {
                self.hold_cluster(sent, reason, Some(detail), AT_ONCE, now);
                self.again(ops, When::Now);
            }
            Class::Retry(trouble) => {
                let overloaded = self.note_trouble(trouble, sent);
                let patch = if overloaded { TENTH_TIME } else { THIRD_TIME };
                self.hold_cluster_for(sent, (trouble.lasting(), Some(detail), patch), retry_after, now);
                self.again(ops, When::Now);
            }
            // A whole request is never answered so.
            Class::Done(_) | Class::Refuse => self.again(ops, When::Now),
        }
    }

    /// Sends operations again in requests half as large. One alone is refused.
    fn split(&mut self, sent: &Sent, mut ops: Vec<Op>, why: TooMuch, whole: Option<(&WholeAnswer, Instant)>) {
        if ops.is_empty() {
            return;
        }
        let compressed = sent.encoding == BodyEncoding::Gzip;
        let suspicion = match why {
            TooMuch::Malformed if compressed => Suspicion { company: ops.len(), of: Suspect::Encoding },
            TooMuch::Malformed => Suspicion { company: ops.len().div_ceil(2), of: Suspect::Operation },
            TooMuch::Bytes => Suspicion { company: ops.len().div_ceil(2), of: Suspect::Nothing },
        };
        if suspicion.of != Suspect::Encoding && ops.len() == 1 {
            ops.into_iter().for_each(|op| self.refuse_alone(sent, op, why, whole));
            return;
        }
        Counters::add(&self.counters.split, 1);
        // OpenSearch answers, and what is sent next is smaller: that is no reason to give up.
        self.note_progress();
        for op in &mut ops {
            op.suspicion.company = suspicion.company;
            if suspicion.of != Suspect::Nothing {
                op.suspicion.of = suspicion.of;
            }
        }
        self.again(ops, When::Now);
    }

    fn refuse_alone(&mut self, sent: &Sent, op: Op, why: TooMuch, whole: Option<(&WholeAnswer, Instant)>) {
        let Some((answer, now)) = whole.filter(|_| why == TooMuch::Malformed) else {
            let refusal = Refusal::too_large(op.bytes);
            self.decide(op, Decision::Refused(refusal));
            return;
        };
        self.lone_refusals += 1;
        if self.lone_refusals > LONE_REFUSALS {
            self.hold_cluster(sent, PauseReason::RequestsRefused, Some(answer.error.to_string()), AT_ONCE, now);
            self.again(vec![op], When::Now);
        } else {
            self.refuse(op, answer.status, Some(&answer.error));
        }
    }

    // --- no answer ---

    fn settle_nothing(&mut self, sent: &Sent, ops: Vec<Op>, error: &ClientError, now: Instant) {
        let detail = error.to_string();
        self.counters.note_error(detail.clone());
        self.again(ops, When::Now);
        match error {
            ClientError::Auth(_) => self.hold_credentials(sent, PauseReason::CredentialsMissing, detail, now),
            ClientError::Tls { .. } => self.hold_cluster(sent, PauseReason::Tls, Some(detail), AT_ONCE, now),
            ClientError::Unreachable { .. } => {
                self.hold_cluster(sent, PauseReason::Unreachable, Some(detail), SECOND_TIME, now);
            }
            _ => {
                self.concurrency.overloaded(sent.round);
                self.hold_cluster(sent, PauseReason::NoAnswer, Some(detail), THIRD_TIME, now);
            }
        }
    }

    // --- pauses ---

    fn hold_cluster(&mut self, sent: &Sent, reason: PauseReason, detail: Option<String>, patch: Patch, now: Instant) {
        self.hold_cluster_for(sent, (reason, detail, patch), None, now);
    }

    fn hold_cluster_for(
        &mut self,
        sent: &Sent,
        (reason, detail, patch): (PauseReason, Option<String>, Patch),
        retry_after: Option<Duration>,
        now: Instant,
    ) {
        if !self.cluster.fail(sent.cluster_epoch) {
            return;
        }
        let failures = self.cluster.failures();
        let delay = self.schedule.delay(failures - 1, retry_after, &mut self.jitter);
        self.cluster.close(now + delay);
        if failures >= patch.0 {
            self.enter(Scope::Cluster, reason, detail, now);
        }
    }

    /// The first refusal is met by fresh credentials alone; the second one is a pause, or an error.
    fn hold_credentials(&mut self, sent: &Sent, reason: PauseReason, detail: String, now: Instant) {
        if !self.credentials.fail(sent.credentials_epoch) {
            return;
        }
        let failures = self.credentials.failures();
        let delay = self.schedule.delay(failures - 1, None, &mut self.jitter);
        self.credentials.close(now + delay);
        if failures < SECOND_TIME.0 {
            return;
        }
        self.enter(Scope::Credentials, reason, Some(detail), now);
        self.stop_one_shot_for_credentials();
    }

    fn stop_one_shot_for_credentials(&mut self) {
        if self.settings.patience == Patience::Endless {
            return;
        }
        if let Some(pause) = self.pauses.get(&Scope::Credentials).cloned() {
            self.give_up(Fault::Paused(pause));
        }
    }

    fn enter(&mut self, scope: Scope, reason: PauseReason, detail: Option<String>, now: Instant) {
        let shown = detail.clone();
        if self.pauses.enter(scope.clone(), reason, detail, now) == Change::New {
            self.counters.note_pause(reason.name());
            tracing::warn!(%scope, reason = reason.name(), detail = shown, hint = reason.hint(), "paused: {reason}");
        }
    }

    fn resumed(&mut self, scope: &Scope, now: Instant) {
        if let Some(pause) = self.pauses.leave(scope) {
            let seconds = now.duration_since(pause.since).as_secs();
            tracing::info!(%scope, reason = pause.reason.name(), seconds, "going on");
        }
    }
}

/// A trouble that an operation met too often is a pause of its index.
fn lasting(class: Class, attempts: u32) -> Class {
    let Class::Retry(trouble) = class else { return class };
    let most = match trouble {
        Trouble::Overloaded | Trouble::Breaker => LASTING_OVERLOAD,
        Trouble::Unavailable | Trouble::ServerError => LASTING,
    };
    if attempts < most { class } else { Class::Pause(trouble.lasting()) }
}

fn note(news: &mut Vec<News>, op: &Op, class: Class, error: Option<&Scrubbed>) {
    let index = &op.operation.address.index;
    let known = news.iter().position(|news| news.index == *index);
    let accepted =
        matches!(class, Class::Refuse | Class::Done(Outcome::Applied | Outcome::Superseded | Outcome::Absent));
    let pause = match class {
        Class::Pause(reason) => Some((reason, error.map(ToString::to_string))),
        _ => None,
    };
    match known.and_then(|position| news.get_mut(position)) {
        Some(known) => {
            known.accepted |= accepted;
            known.pause = known.pause.take().or(pause);
        }
        None => news.push(News { index: index.clone(), epoch: op.epoch, accepted, pause }),
    }
}
