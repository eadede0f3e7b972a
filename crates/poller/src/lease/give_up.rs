//! Decides when a reader without progress gives up its lease, and how long its host then waits. Pure.

use std::time::Duration;

use super::WorkerId;
use crate::state::StoredLease;

/// A reader that gets no answer, for reads or for what it writes, gives its lease up after this time in its first term.
const FIRST: Duration = Duration::from_secs(10);
/// However many terms were fruitless.
pub(super) const LONGEST: Duration = Duration::from_secs(5 * 60);
/// So long a host lets others take a lease first that it could not use. A standby that lives takes a lease within this
/// time, so that longer would be of no use; and a worker that is alone goes on soon after its trouble is over.
pub(super) const OTHERS_GO_FIRST: Duration = Duration::from_secs(10);
/// A worker that gave a term up lately lets those go first for so long that did not. They look at the lease twice meanwhile.
pub(super) const THE_WELL_GO_FIRST: Duration = Duration::from_millis(1_500);

/// Why a reader gives its lease up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// DynamoDB Streams does not answer.
    NoStream,
    /// OpenSearch does not answer, and something is to be written.
    NoSearch,
}

/// The time after which a reader without an answer gives up. It doubles with each earlier term without progress: a slow
/// first page must not make every reader give up for ever, and if all readers have the same trouble, the lease must
/// change hands slowly.
pub fn longest_without_progress(fruitless: u32) -> Duration {
    FIRST.saturating_mul(2_u32.saturating_pow(fruitless.min(16))).min(LONGEST)
}

/// How long `me` lets others take a free lease first: its host had it last, for terms that led to nothing.
pub(super) fn wait_of_a_host(lease: &StoredLease, me: &WorkerId) -> Duration {
    if lease.fruitless == 0 || lease.host != me.host() {
        return Duration::ZERO;
    }
    OTHERS_GO_FIRST
}

// === impl GiveUp ===

impl GiveUp {
    /// Judges by how long ago each service last answered, and since when records wait to be written, `None` where
    /// none do. A reader that has nothing to write cannot tell whether it could.
    pub fn judge(stream: Duration, search: Duration, waiting: Option<Duration>, longest: Duration) -> Option<GiveUp> {
        if stream >= longest {
            return Some(GiveUp::NoStream);
        }
        (waiting? >= longest && search >= longest).then_some(GiveUp::NoSearch)
    }

    /// For people.
    pub fn sentence(self) -> &'static str {
        match self {
            GiveUp::NoStream => "DynamoDB Streams does not answer",
            GiveUp::NoSearch => "OpenSearch does not answer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn l6_what_does_not_answer_while_something_is_to_be_done_ends_a_term() {
        let longest = seconds(10);
        let rows = [
            ("all is well", (0, 0, Some(0)), None),
            ("the stream is silent", (10, 0, None), Some(GiveUp::NoStream)),
            ("nothing is to be written", (0, 3_600, None), None),
            ("records have only just come", (0, 3_600, Some(9)), None),
            ("OpenSearch answers, and takes nothing", (0, 1, Some(3_600)), None),
            ("OpenSearch is silent", (0, 10, Some(10)), Some(GiveUp::NoSearch)),
            ("both are", (11, 11, Some(11)), Some(GiveUp::NoStream)),
        ];
        for (row, (stream, search, waiting), expected) in rows {
            let judged = GiveUp::judge(seconds(stream), seconds(search), waiting.map(seconds), longest);
            assert_eq!(judged, expected, "{row}");
        }
    }

    #[test]
    fn l6_the_time_doubles_with_each_fruitless_term() {
        let times: Vec<u64> = (0..8).map(|terms| longest_without_progress(terms).as_secs()).collect();
        assert_eq!(times, [10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(longest_without_progress(u32::MAX), LONGEST);
    }
}
