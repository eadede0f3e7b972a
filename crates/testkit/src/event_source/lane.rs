//! One lane: the records of some items of one shard, one batch at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use super::record::Record;
use super::reply::Verdict;

/// Records in order, and the batches that were cut from their front.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) waiting: VecDeque<Arc<Record>>,
    batches: VecDeque<Attempt>,
    pub(super) busy: bool,
}

/// A batch that is not done yet.
#[derive(Debug)]
struct Attempt {
    records: Vec<Arc<Record>>,
    /// How often it failed.
    failures: u32,
}

/// What a verdict ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) acknowledged: Vec<Arc<Record>>,
    /// With the number of attempts.
    pub(super) given_up: Option<(Vec<Arc<Record>>, u32)>,
}

impl Lane {
    pub(super) fn is_drained(&self) -> bool {
        self.waiting.is_empty() && self.batches.is_empty()
    }

    /// The batch at the front; a new one has up to `count` records and about `bytes`.
    pub(super) fn take(&mut self, count: usize, bytes: usize) -> Vec<Arc<Record>> {
        self.busy = true;
        if let Some(attempt) = self.batches.front() {
            return attempt.records.clone();
        }
        let mut records = Vec::new();
        let mut size = 0;
        while let Some(record) = self.waiting.front() {
            size += record.json.len();
            if records.len() == count || (size > bytes && !records.is_empty()) {
                break;
            }
            records.extend(self.waiting.pop_front());
        }
        self.batches.push_back(Attempt { records: records.clone(), failures: 0 });
        records
    }

    /// Takes the verdict on the batch at the front. `halve` says whether a failed batch is cut in two, `attempts` how
    /// often a batch is tried.
    pub(super) fn settle(&mut self, verdict: Verdict, halve: Halving, attempts: Option<u32>) -> Ended {
        self.busy = false;
        let mut attempt = self.batches.pop_front().expect("a batch that was taken");
        let mut ended = Ended::default();
        match verdict {
            Verdict::Done => {
                ended.acknowledged = attempt.records;
                return ended;
            }
            Verdict::Failed if halve == Halving::On && attempt.records.len() > 1 => {
                let second = attempt.records.split_off(attempt.records.len() / 2);
                self.batches.push_front(Attempt { records: second, failures: attempt.failures });
                self.batches.push_front(attempt);
                return ended;
            }
            Verdict::Failed => {}
            Verdict::From(place) => {
                let rest = attempt.records.split_off(place);
                ended.acknowledged = std::mem::replace(&mut attempt.records, rest);
            }
        }
        attempt.failures += 1;
        if attempts.is_some_and(|attempts| attempt.failures >= attempts) {
            ended.given_up = Some((attempt.records, attempt.failures));
        } else {
            self.batches.push_front(attempt);
        }
        ended
    }
}

/// Whether a failed batch is cut in two: `BisectBatchOnFunctionError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halving {
    On,
    Off,
}
