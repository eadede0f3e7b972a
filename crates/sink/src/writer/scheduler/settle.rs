//! Settles answers: judges each one, and applies the verdicts to the scheduler's state.

use std::sync::Arc;

use tokio::time::{Duration, Instant};

use super::{Scheduler, When};
use crate::classify::{Class, Trouble};
use crate::pause::{Change, Ended, Pause, Scope};
use crate::scrub::Scrubbed;
use crate::writer::answer::{ItemAnswer, Speaker};
use crate::writer::decision::{Decision, Fault, Refusal};
use crate::writer::gates::{Failed, FailedGate, Failure, IndexAnswer};
use crate::writer::op::Op;
use crate::writer::request::{Finished, Place, Reply, Sent};
use crate::writer::stats::Counters;
use crate::writer::suspicion::{Division, Suspect, divide};
use crate::writer::verdict::{
    LASTING, Load, Neighbours, Refused, RequestVerdict, Verdict, by_index, is_accepted, judge_item, judge_no_answer,
    judge_unreadable, judge_whole,
};

impl Scheduler {
    /// Applies the answer to a request.
    pub(in crate::writer) fn settle(&mut self, finished: Finished, now: Instant) {
        let Finished { mut sent, took, reply } = finished;
        let ops = std::mem::take(&mut sent.ops);
        ops.iter().for_each(|op| self.queue.landed(op));
        self.apart = self.apart.saturating_sub(usize::from(sent.place == Place::Apart));
        self.counters.note_request(sent.bytes, took);
        match reply {
            Reply::Items(items) => {
                self.answered_at = Some(now);
                self.settle_items(&sent, ops, items, took, now);
            }
            Reply::Whole(answer, retry_after) => {
                self.note_duration(&sent, took);
                self.counters.note_error(answer.error.to_string());
                if answer.speaker == Speaker::Service {
                    self.answered_at = Some(now);
                }
                self.settle_whole(&sent, ops, judge_whole(answer, retry_after), now);
            }
            Reply::Unreadable(reason) => {
                Counters::add(&self.counters.unanswered, 1);
                self.note_duration(&sent, took);
                self.counters.note_error(reason.clone());
                self.settle_whole(&sent, ops, judge_unreadable(reason), now);
            }
            Reply::Nothing(error) => {
                Counters::add(&self.counters.unanswered, usize::from(error.may_be_carried_out()));
                self.note_duration(&sent, took);
                self.counters.note_error(error.to_string());
                self.settle_whole(&sent, ops, judge_no_answer(&error), now);
            }
            // Operations whose permit is gone are given up when they come up again; with a permit that is granted again they
            // are sent again, and what was under way may be carried out after that.
            Reply::Withdrawn => {
                Counters::add(&self.counters.unanswered, 1);
                ops.iter().for_each(|op| self.echoes.unanswered(op.document, now));
                self.put_back(ops, When::Now, now);
            }
        }
        if let Some(index) = &sent.probes {
            self.queue.gate(index).end_probe(now);
        }
        if sent.probes_all {
            self.gates.end_probe(now);
        }
    }

    // --- answers to items ---

    fn settle_items(&mut self, sent: &Sent, ops: Vec<Op>, items: Vec<ItemAnswer>, took: Duration, now: Instant) {
        self.request_accepted(sent, &ops, now);
        let mut accepting: Vec<Arc<str>> = Vec::new();
        for (op, _) in ops.iter().zip(&items).filter(|(op, item)| is_accepted(op, item)) {
            self.queue.accepted(&op.operation.address.index, 1);
            if !accepting.contains(&op.concrete) {
                accepting.push(Arc::clone(&op.concrete));
            }
        }
        let judged = ops.into_iter().zip(items).map(|(op, item)| {
            let verdict = judge_item(&op, item, self.neighbours(sent, &op));
            (op, verdict)
        });
        let verdicts: Vec<(Op, Verdict)> = judged.collect();
        let indices = by_index(&verdicts);
        self.learn_load(sent, &verdicts, took);
        accepting.iter().for_each(|concrete| self.index_accepts(concrete, now));
        self.apply(sent, verdicts, &accepting, now);
        for index in indices {
            self.settle_index(index, &accepting, now);
        }
    }

    fn apply(&mut self, sent: &Sent, verdicts: Vec<(Op, Verdict)>, accepting: &[Arc<str>], now: Instant) {
        let (mut delayed, mut back, mut too_large) = (Vec::new(), Vec::new(), Vec::new());
        for (op, verdict) in verdicts {
            verdict.noted_error().into_iter().for_each(|error| self.counters.note_error(error));
            match verdict.class {
                Class::Done(outcome) => self.decide(op, Decision::Done(outcome), now),
                Class::Refuse => self.refuse_item(op, &verdict, accepting, now),
                Class::Retry(trouble) => delayed.push(self.troubled(op, trouble)),
                // It begins to count again, or one failure after the pause would be a pause.
                Class::Pause(_) => back.push(Op { attempts: 0, probes: op.probes.saturating_add(1), ..op }),
                Class::Split(_) if !accepting.is_empty() && sent.bytes > op.bytes => {
                    let refusal = Refusal::too_large(op.bytes);
                    self.refuse(op, refusal, now);
                }
                Class::Split(_) => too_large.push(op),
                Class::IndexMissing => self.index_missing(op, now),
            }
        }
        self.put_back(back, When::Behind, now);
        self.divide(sent, too_large, &Refused::TooLarge, now);
        self.put_back_later(delayed, now);
    }

    fn neighbours(&self, sent: &Sent, op: &Op) -> Neighbours {
        let index = &op.operation.address.index;
        if sent.probes.as_ref() == Some(index) {
            Neighbours::Waiting
        } else if self.queue.accepted_so_far(index) > op.accepted_then {
            Neighbours::Accepted
        } else {
            Neighbours::NotAccepted
        }
    }

    /// Marks an operation that is sent again: apart from other indices, or alone.
    fn troubled(&mut self, mut op: Op, trouble: Trouble) -> Op {
        let index = &op.operation.address.index;
        match trouble {
            Trouble::Unavailable => {
                self.queue.set_apart(index);
                op.unavailable = true;
            }
            Trouble::ServerError | Trouble::Unexpected if op.attempts + 1 >= LASTING => op.suspicion.company = 1,
            Trouble::ServerError | Trouble::Unexpected | Trouble::Overloaded | Trouble::Breaker => {}
        }
        op
    }

    fn refuse_item(&mut self, op: Op, verdict: &Verdict, accepting: &[Arc<str>], now: Instant) {
        let unknown = Scrubbed { error_type: "unknown_error".to_owned(), detail: None };
        let error = verdict.error.as_deref().unwrap_or(&unknown);
        let index = &op.operation.address.index;
        if self.learned.lock().refusals.is_new_alert(index, error) {
            tracing::error!(%index, %error, hint = error.hint(), "documents are refused, and so will the next ones");
        }
        // For a lasting 500 it was seen that others are accepted.
        if verdict.status >= 500 || accepting.contains(&op.concrete) {
            self.refuse(op, Refusal::answered(verdict.status, error), now);
        } else {
            self.doubt(op, verdict.status, error, now);
        }
    }

    pub(super) fn refuse(&mut self, op: Op, refusal: Refusal, now: Instant) {
        self.decide(op, Decision::Refused(refusal), now);
    }

    /// A list of items came back: cluster and credentials are good, and so is the encoding.
    fn request_accepted(&mut self, sent: &Sent, ops: &[Op], now: Instant) {
        self.requests_are_accepted(sent.bytes, now);
        for ended in self.gates.succeed(sent.epochs) {
            report_end(&ended, now);
        }
        // All of them: were one left out, it might be the one that was refused.
        let all_came_again =
            ops.iter().all(|op| op.suspicion.of == Suspect::Encoding && op.suspicion.company == ops.len());
        if !all_came_again {
            return;
        }
        let left_out = self.learned.lock().limits.leave_out_compression(now);
        if let Some(left_out) = left_out {
            tracing::warn!(
                minutes = left_out.as_secs() / 60,
                hint = "OpenSearch 2.17.0 does this; upgrade it, or set opensearch.compression = \"none\"",
                "a request was refused with compression but accepted without it: compression is off for a while"
            );
        }
    }

    /// Lets the limits learn from the items of a request.
    fn learn_load(&mut self, sent: &Sent, verdicts: &[(Op, Verdict)], took: Duration) {
        let (mut overloaded, mut unavailable) = (false, false);
        for (_, verdict) in verdicts {
            if let Class::Retry(trouble) = verdict.class {
                overloaded |= self.note_trouble(trouble, sent);
                unavailable |= trouble == Trouble::Unavailable;
            }
        }
        // What waited for a shard was slow for its sake.
        if !unavailable {
            self.note_duration(sent, took);
        }
        if overloaded || unavailable || sent.place == Place::Apart {
            return;
        }
        if sent.at_limit {
            self.learned.lock().limits.raise_requests();
        }
        self.learned.lock().limits.raise_bytes();
    }

    fn note_duration(&mut self, sent: &Sent, took: Duration) {
        if sent.place == Place::Shared {
            self.learned.lock().limits.note_duration(took, self.settings.request_timeout, sent.round);
        }
    }

    /// True where the server has too much to do.
    fn note_trouble(&mut self, trouble: Trouble, sent: &Sent) -> bool {
        let overloaded = self.learned.lock().limits.note_trouble(trouble, sent.round);
        if overloaded {
            Counters::add(&self.counters.overloaded, 1);
        }
        overloaded
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
    pub(super) fn put_back_later(&mut self, mut ops: Vec<Op>, now: Instant) {
        let Some(attempts) = ops.iter().map(|op| op.attempts).max() else { return };
        for op in &mut ops {
            op.attempts += 1;
        }
        let until = now + self.delays.next(attempts, None);
        self.put_back(ops, When::At(until), now);
    }

    fn settle_index(&mut self, answer: IndexAnswer, accepting: &[Arc<str>], now: Instant) {
        let accepts = accepting.contains(&answer.concrete);
        if answer.unavailable {
            self.queue.set_apart(&answer.index);
        } else if answer.accepted && (accepts || !self.gates.is_braked(&answer.index)) {
            self.queue.mix(&answer.index);
        }
        if answer.found
            && let Some(ended) = self.gates.found_index(&answer.index)
        {
            report_end(&ended, now);
        }
        if answer.pause.is_some() {
            self.fail_index(answer, now);
            return;
        }
        // Only an accepted index operation ends the brake.
        let braked = !accepts && self.gates.is_braked(&answer.index);
        if braked && answer.carried_out {
            self.queue.deletes_pass(&answer.index);
        }
        if answer.accepted && !braked {
            let gate = self.queue.gate(&answer.index);
            if let Some(ended) = self.gates.succeed_index(gate, answer) {
                report_end(&ended, now);
            }
        }
    }

    pub(super) fn fail_index(&mut self, answer: IndexAnswer, now: Instant) {
        let scope = Scope::Index(answer.index.clone());
        let gate = self.queue.gate(&answer.index);
        if let Failed::Paused(change) = self.gates.fail_index(gate, answer, &mut self.delays, now) {
            self.report_pause(&scope, change);
        }
    }

    // --- answers to whole requests ---

    fn settle_whole(&mut self, sent: &Sent, ops: Vec<Op>, verdict: RequestVerdict, now: Instant) {
        match verdict {
            RequestVerdict::Failed(failure, load) => self.request_failed(sent, ops, failure, load, now),
            RequestVerdict::Divide(refused) => {
                if refused == Refused::TooLarge {
                    self.learn_size(sent.bytes);
                }
                self.divide(sent, ops, &refused, now);
            }
            RequestVerdict::IndexMissing(_) if ops.len() == 1 => {
                ops.into_iter().for_each(|op| self.index_missing(op, now));
            }
            RequestVerdict::IndexMissing(refused) => self.divide(sent, ops, &refused, now),
            RequestVerdict::Broke { status, error } => self.request_broke(sent, ops, status, &error, now),
            RequestVerdict::SendAgain => self.put_back(ops, When::Now, now),
        }
    }

    /// A request of so many bytes was too large. It is said where requests become smaller by it.
    fn learn_size(&mut self, bytes: usize) {
        let mut learned = self.learned.lock();
        let before = learned.limits.bytes();
        learned.limits.too_large(bytes);
        let cap = learned.limits.bytes();
        if cap < before {
            tracing::info!(
                bytes,
                cap,
                hint = "lower opensearch.max_batch_bytes, or raise the limit of OpenSearch (http.max_content_length) or of the proxy",
                "a request was too large (413): sending smaller ones for a while"
            );
        }
    }

    fn request_failed(&mut self, sent: &Sent, mut ops: Vec<Op>, failure: Failure, load: Load, now: Instant) {
        match load {
            Load::Unknown => {}
            Load::Unanswered => self.learned.lock().limits.unanswered(sent.round),
            Load::Answered(trouble) => {
                self.note_trouble(trouble, sent);
            }
        }
        if matches!(load, Load::Unanswered | Load::Answered(Trouble::Unavailable)) {
            // It may still be carried out, or be under way behind a proxy that has given up.
            ops.iter().for_each(|op| self.echoes.unanswered(op.document, now));
            if sent.place == Place::Shared {
                self.learned.lock().limits.too_slow(sent.bytes);
            }
        }
        if load == Load::Unanswered && self.answered_at.is_some_and(|at| at > sent.at) {
            self.silent(sent, ops, failure.detail, now);
            return;
        }
        let when = if sent.probes_all { When::Behind } else { When::Now };
        if sent.probes_all {
            ops.iter_mut().for_each(|op| op.probes = op.probes.saturating_add(1));
        }
        // First, so that they are stopped too where a one-shot command gives up now.
        self.put_back(ops, when, now);
        self.fail(failure, sent, now);
    }

    pub(super) fn fail(&mut self, failure: Failure, sent: &Sent, now: Instant) {
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
            Division::Alone => ops.into_iter().for_each(|op| self.refused_alone(sent, op, refused, now)),
            Division::Parts(suspicion) => {
                Counters::add(&self.counters.split, 1);
                self.progress.divided(now);
                ops.iter_mut().for_each(|op| op.suspicion.narrow(suspicion));
                self.put_back(ops, When::Now, now);
            }
        }
    }

    // --- pauses ---

    pub(super) fn report_pause(&self, scope: &Scope, change: Change) {
        if change == Change::Same {
            return;
        }
        if let Some(Pause { reason, detail, .. }) = self.gates.pauses().get(scope) {
            self.counters.note_pause(reason.name());
            tracing::warn!(%scope, reason = reason.name(), detail, hint = reason.hint(), "paused: {reason}");
        }
    }
}

pub(super) fn report_end(ended: &Ended, now: Instant) {
    let Ended::Reported(pause) = ended else { return };
    let seconds = now.duration_since(pause.since).as_secs();
    tracing::info!(scope = %pause.scope, reason = pause.reason.name(), seconds, "going on");
}
