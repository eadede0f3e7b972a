//! What is done about each answer: it is judged, and the verdicts are applied to the scheduler's state.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Scheduler, When};
use crate::classify::{Class, Trouble};
use crate::pause::{Change, Pause, Scope};
use crate::scrub::Scrubbed;
use crate::writer::answer::ItemAnswer;
use crate::writer::decision::{Decision, Fault, Refusal};
use crate::writer::gates::{Failed, FailedGate, Failure, IndexAnswer};
use crate::writer::op::Op;
use crate::writer::refusals::Blame;
use crate::writer::request::{Finished, Reply, Sent};
use crate::writer::stats::Counters;
use crate::writer::suspicion::{Division, Suspect, divide};
use crate::writer::verdict::{
    Load, Refused, RequestVerdict, Verdict, all_requests_refused, by_index, judge_item, judge_no_answer,
    judge_unreadable, judge_whole,
};

impl Scheduler {
    /// Applies the answer to a request.
    pub(in crate::writer) fn settle(&mut self, finished: Finished, now: Instant) {
        let Finished { mut sent, took, reply } = finished;
        let ops = std::mem::take(&mut sent.ops);
        self.counters.note_request(sent.bytes, took);
        self.learned.limits.note_duration(took, self.settings.request_timeout, sent.round);
        match reply {
            Reply::Items(items) => self.settle_items(&sent, ops, items, now),
            Reply::Whole(answer, retry_after) => {
                self.counters.note_error(answer.error.to_string());
                self.settle_whole(&sent, ops, judge_whole(answer, retry_after), now);
            }
            Reply::Unreadable(reason) => {
                self.counters.note_error(reason.clone());
                self.settle_whole(&sent, ops, judge_unreadable(reason), now);
            }
            Reply::Nothing(error) => {
                self.counters.note_error(error.to_string());
                self.settle_whole(&sent, ops, judge_no_answer(&error), now);
            }
            // Operations whose permit is gone are given up when they come up again.
            Reply::Withdrawn => self.put_back(ops, When::Now, now),
        }
        if let Some(index) = &sent.probes {
            self.queue.gate(index).end_probe(now);
        }
        if sent.probes_all {
            self.gates.end_probe(now);
        }
    }

    // --- answers to items ---

    fn settle_items(&mut self, sent: &Sent, ops: Vec<Op>, items: Vec<ItemAnswer>, now: Instant) {
        self.request_accepted(sent, &ops, now);
        let judged = ops.into_iter().zip(items).map(|(op, item)| {
            let verdict = judge_item(&op, item);
            (op, verdict)
        });
        let verdicts: Vec<(Op, Verdict)> = judged.collect();
        let indices = by_index(&verdicts);
        self.learn_load(sent, &verdicts);
        let (mut delayed, mut back, mut too_large) = (Vec::new(), Vec::new(), Vec::new());
        for (op, verdict) in verdicts {
            verdict.noted_error().into_iter().for_each(|error| self.counters.note_error(error));
            match verdict.class {
                Class::Done(outcome) => self.decide(op, Decision::Done(outcome), now),
                Class::Refuse => self.refuse(op, verdict.status, verdict.error.as_deref(), now),
                Class::Retry(_) => delayed.push(op),
                Class::Pause(_) => back.push(op),
                Class::Split(_) => too_large.push(op),
                Class::IndexMissing => self.index_missing(op, now),
            }
        }
        self.put_back(back, When::Now, now);
        self.divide(sent, too_large, &Refused::TooLarge, now);
        self.put_back_later(delayed, now);
        for index in indices {
            self.settle_index(index, now);
        }
    }

    /// A list of items came back: cluster and credentials are good, and so is the encoding.
    fn request_accepted(&mut self, sent: &Sent, ops: &[Op], now: Instant) {
        self.learned.refusals.request_accepted();
        for pause in self.gates.succeed(sent.epochs) {
            report_end(&pause, now);
        }
        let only_encoding = ops.iter().all(|op| op.suspicion.of == Suspect::Encoding);
        if only_encoding && self.learned.limits.give_up_compression() {
            tracing::warn!(
                hint = "OpenSearch 2.17.0 does this; upgrade it, or set opensearch.compression = \"none\"",
                "requests are refused with compression and taken without: going on without"
            );
        }
    }

    /// Lets the limits learn from the items of a request.
    fn learn_load(&mut self, sent: &Sent, verdicts: &[(Op, Verdict)]) {
        let mut overloaded = false;
        for (_, verdict) in verdicts {
            if let Class::Retry(trouble) = verdict.class {
                overloaded |= self.note_trouble(trouble, sent);
            }
        }
        if overloaded {
            return;
        }
        if sent.at_limit {
            self.learned.limits.raise_requests();
        }
        self.learned.limits.raise_bytes();
    }

    /// True where the server has too much to do.
    fn note_trouble(&mut self, trouble: Trouble, sent: &Sent) -> bool {
        let overloaded = self.learned.limits.note_trouble(trouble, sent.round);
        if overloaded {
            Counters::add(&self.counters.overloaded, 1);
        }
        overloaded
    }

    fn refuse(&mut self, op: Op, status: u16, error: Option<&Scrubbed>, now: Instant) {
        let unknown = Scrubbed { error_type: "unknown_error".to_owned(), detail: None };
        let error = error.unwrap_or(&unknown);
        let index = &op.operation.address.index;
        if self.learned.refusals.is_new_alert(index, error) {
            tracing::error!(%index, %error, hint = error.hint(), "documents are refused, and the next ones will be too");
        }
        self.decide(op, Decision::Refused(Refusal::answered(status, error)), now);
    }

    fn index_missing(&mut self, op: Op, now: Instant) {
        let index = op.operation.address.index.clone();
        let scope = Scope::Index(index.clone());
        let change = self.gates.miss_index(scope.clone(), now);
        self.report_pause(&scope, change);
        let fault = Fault::IndexMissing { index, concrete: Arc::clone(&op.concrete) };
        self.decide(op, Decision::Stopped(Arc::new(fault)), now);
    }

    /// Puts operations back that are sent again after a while.
    fn put_back_later(&mut self, mut ops: Vec<Op>, now: Instant) {
        let Some(attempts) = ops.iter().map(|op| op.attempts).max() else { return };
        for op in &mut ops {
            op.attempts += 1;
        }
        let until = now + self.delays.next(attempts, None);
        self.put_back(ops, When::At(until), now);
    }

    fn settle_index(&mut self, answer: IndexAnswer, now: Instant) {
        let gate = self.queue.gate(&answer.index);
        if answer.pause.is_some() {
            let scope = Scope::Index(answer.index.clone());
            if let Failed::Paused(change) = self.gates.fail_index(gate, answer, &mut self.delays, now) {
                self.report_pause(&scope, change);
            }
        } else if answer.accepted
            && let Some(pause) = self.gates.succeed_index(gate, answer)
        {
            report_end(&pause, now);
        }
    }

    // --- answers to whole requests ---

    fn settle_whole(&mut self, sent: &Sent, ops: Vec<Op>, verdict: RequestVerdict, now: Instant) {
        match verdict {
            RequestVerdict::Failed(failure, load) => {
                match load {
                    Load::Unknown => {}
                    Load::Unanswered => self.learned.limits.unanswered(sent.round),
                    Load::Answered(trouble) => {
                        self.note_trouble(trouble, sent);
                    }
                }
                // First, so that they are stopped too where a one-shot command gives up now.
                self.put_back(ops, When::Now, now);
                self.fail(failure, sent, now);
            }
            RequestVerdict::Divide(refused) => {
                if refused == Refused::TooLarge {
                    self.learned.limits.too_large(sent.bytes);
                }
                self.divide(sent, ops, &refused, now);
            }
            RequestVerdict::IndexMissing(_) if ops.len() == 1 => {
                ops.into_iter().for_each(|op| self.index_missing(op, now));
            }
            RequestVerdict::IndexMissing(refused) => self.divide(sent, ops, &refused, now),
            RequestVerdict::SendAgain => self.put_back(ops, When::Now, now),
        }
    }

    fn fail(&mut self, failure: Failure, sent: &Sent, now: Instant) {
        let gate = failure.gate;
        let Failed::Paused(change) = self.gates.fail(failure, sent.epochs, &mut self.delays, now) else { return };
        self.report_pause(&gate.scope(), change);
        if gate == FailedGate::Credentials
            && !self.progress.is_endless()
            && let Some(pause) = self.gates.pauses().get(&Scope::Credentials).cloned()
        {
            self.give_up(Fault::Paused(pause));
        }
    }

    /// Sends operations again in requests half as large. One alone is refused.
    fn divide(&mut self, sent: &Sent, mut ops: Vec<Op>, refused: &Refused, now: Instant) {
        if ops.is_empty() {
            return;
        }
        match divide(refused.why(), sent.encoding, ops.len()) {
            Division::Alone => ops.into_iter().for_each(|op| self.refuse_alone(sent, op, refused, now)),
            Division::Parts(suspicion) => {
                Counters::add(&self.counters.split, 1);
                self.progress.divided(now);
                ops.iter_mut().for_each(|op| op.suspicion.narrow(suspicion));
                self.put_back(ops, When::Now, now);
            }
        }
    }

    fn refuse_alone(&mut self, sent: &Sent, op: Op, refused: &Refused, now: Instant) {
        let Refused::Malformed { status, error } = refused else {
            let refusal = Refusal::too_large(op.bytes);
            self.decide(op, Decision::Refused(refusal), now);
            return;
        };
        match self.learned.refusals.refused_alone() {
            Blame::Operation => self.refuse(op, *status, Some(error), now),
            Blame::AllRequests => {
                self.put_back(vec![op], When::Now, now);
                self.fail(all_requests_refused(error), sent, now);
            }
        }
    }

    // --- pauses ---

    fn report_pause(&self, scope: &Scope, change: Change) {
        if change == Change::Same {
            return;
        }
        if let Some(Pause { reason, detail, .. }) = self.gates.pauses().get(scope) {
            self.counters.note_pause(reason.name());
            tracing::warn!(%scope, reason = reason.name(), detail, hint = reason.hint(), "paused: {reason}");
        }
    }
}

fn report_end(pause: &Pause, now: Instant) {
    let seconds = now.duration_since(pause.since).as_secs();
    tracing::info!(scope = %pause.scope, reason = pause.reason.name(), seconds, "going on");
}
