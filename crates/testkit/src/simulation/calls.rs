//! How often each service is called: what it takes, and what the poller promises.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::lock::lock;
use super::time::{SECOND, Window};
use super::trace::Trace;

/// Calls that were made lately.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Those of DescribeStream that were admitted.
    described: Mutex<Window>,
    /// Those of DescribeStream that each worker made.
    asked: Mutex<BTreeMap<String, Window>>,
    /// When each worker read each shard.
    reads: Mutex<BTreeMap<(String, String), Reads>>,
    /// The writes of each worker to each item of the state table.
    writes: Mutex<BTreeMap<(String, String), Window>>,
}

/// One worker's reads of one shard.
#[derive(Debug, Default)]
struct Reads {
    second: Window,
    ten_seconds: Window,
    /// Pages with records.
    pages: u64,
    checkpoints: u64,
}

/// DescribeStream takes so many calls a second.
const DESCRIBES: usize = 10;
/// Calls that begin 200 ms apart arrive a little nearer to one another.
const NEARLY_A_SECOND: u64 = 950;
const READS: usize = 5;
/// Where answers are slow, calls arrive in groups: within ten seconds it is five a second all the same, and some that a
/// full page asks for.
const READS_IN_TEN_SECONDS: usize = 60;
/// Beats come 1.35 s apart; one that fails is repeated.
const BEATS_IN_TEN_SECONDS: usize = 12;
/// A checkpoint a second, and one at the end of a page or of the shard.
const CHECKPOINTS_IN_TEN_SECONDS: usize = 13;

// === impl Calls ===

impl Calls {
    /// Counts a DescribeStream, and says whether the service takes it.
    pub(super) fn admits_describe(&self, worker: &str, now: u64, trace: &Trace) -> bool {
        let mut asked = lock(&self.asked);
        if asked.entry(worker.to_owned()).or_default().count(now, NEARLY_A_SECOND) == DESCRIBES + 1 {
            trace.violation(format_args!("{worker} calls DescribeStream more than {DESCRIBES} times a second"));
        }
        lock(&self.described).admit(now, DESCRIBES)
    }

    /// Counts a GetRecords. `quiet`: answers have come at once for long.
    pub(super) fn read(&self, (worker, shard): (&str, &str), now: u64, quiet: bool, trace: &Trace) {
        let mut all = lock(&self.reads);
        let reads = all.entry((worker.to_owned(), shard.to_owned())).or_default();
        if reads.second.count(now, NEARLY_A_SECOND) == READS + 1 && quiet {
            trace.violation(format_args!("{worker} read {shard} more than {READS} times within a second"));
        }
        if reads.ten_seconds.count(now, 10 * SECOND) == READS_IN_TEN_SECONDS {
            trace.violation(format_args!("{worker} read {shard} {READS_IN_TEN_SECONDS} times within 10 s"));
        }
    }

    /// Counts a page with records.
    pub(super) fn page(&self, worker: &str, shard: &str) {
        let mut all = lock(&self.reads);
        all.entry((worker.to_owned(), shard.to_owned())).or_default().pages += 1;
    }

    /// A worker begins with a shard: one of which nothing was read, and that is open, costs no write.
    pub(super) fn begun(&self, (worker, shard): (&str, &str), is_open: bool, trace: &Trace) {
        let reads = lock(&self.reads);
        let pages = reads.get(&(worker.to_owned(), shard.to_owned())).map_or(0, |reads| reads.pages);
        if pages == 0 && is_open {
            trace.violation(format_args!("{worker} writes about {shard}, which is idle"));
        }
    }

    /// Counts a stored checkpoint. Part of a page can be checkpointed, so that there may be some more than pages.
    pub(super) fn checkpoint(&self, worker: &str, shard: &str, now: u64, trace: &Trace) {
        let mut writes = lock(&self.writes);
        let key = (worker.to_owned(), shard.to_owned());
        if writes.entry(key.clone()).or_default().count(now, 10 * SECOND) == CHECKPOINTS_IN_TEN_SECONDS + 1 {
            let most = CHECKPOINTS_IN_TEN_SECONDS;
            trace.violation(format_args!("{worker} checkpoints {shard} more than {most} times within 10 s"));
        }
        let mut reads = lock(&self.reads);
        let reads = reads.entry(key).or_default();
        reads.checkpoints += 1;
        if reads.pages == 0 {
            trace.violation(format_args!("{worker} checkpoints {shard}, of which it has read nothing"));
        }
    }

    /// Counts a write to the lease.
    pub(super) fn beat(&self, worker: &str, now: u64, quiet: bool, trace: &Trace) {
        let mut writes = lock(&self.writes);
        let beats = writes.entry((worker.to_owned(), String::new())).or_default();
        if beats.count(now, 10 * SECOND) == BEATS_IN_TEN_SECONDS + 1 && quiet {
            trace.violation(format_args!("{worker} writes its lease more than {BEATS_IN_TEN_SECONDS} times in 10 s"));
        }
    }
}
