//! Decides whether `run` fills an index, once, when a group begins with a stream. Pure.

use streamdex_poller::graph::Until;

use crate::backfill_plan::Plan;

/// What is known when a group begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// The stream holds all that was ever written to the table.
    pub(super) is_all_in_stream: bool,
    /// About how many items the table has.
    pub(super) items: u64,
    /// How many documents the indices hold, where that is known.
    pub(super) documents: Option<u64>,
    /// The most items that may be filled from; `None`: never.
    pub(super) at_most: Option<u64>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing is missing once the stream is read.
    Complete,
    /// The index is filled.
    Fill,
    /// What is missing is left to `backfill`.
    Leave,
}

// === impl Seen ===

impl Seen {
    pub(super) fn decide(self) -> Decision {
        match self {
            Seen { is_all_in_stream: true, .. } => Decision::Complete,
            Seen { documents: Some(0), at_most: Some(most), items, .. } if items <= most => Decision::Fill,
            _ => Decision::Leave,
        }
    }
}

// === impl Decision ===

impl Decision {
    /// Nobody is left in the dark.
    pub(super) fn tell(self, seen: &Seen, plan: &Plan, until: Until) {
        let Seen { items, documents, at_most, .. } = *seen;
        match self {
            Decision::Complete => {}
            Decision::Fill if until == Until::Stopped => {
                tracing::info!("filling the empty index with the items from before the stream; {}", plan.line());
            }
            Decision::Fill => tracing::warn!(
                items,
                "the index is empty, and the table is older than its stream: fill it with `streamdex backfill`, or with `streamdex run` without --until-end"
            ),
            Decision::Leave => tracing::warn!(
                items,
                documents,
                backfill_max_items = at_most,
                "the table is older than its stream: run `streamdex backfill` to write the missing items; {}",
                plan.line()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b1_an_empty_index_of_a_table_that_is_not_too_large_is_filled() {
        let seen = |is_all_in_stream, items, documents, at_most| Seen { is_all_in_stream, items, documents, at_most };
        for (seen, decision) in [
            (seen(true, 0, None, Some(10)), Decision::Complete),
            (seen(true, 50, Some(3), None), Decision::Complete),
            (seen(false, 10, Some(0), Some(10)), Decision::Fill),
            // DynamoDB counts items every six hours.
            (seen(false, 0, Some(0), Some(10)), Decision::Fill),
            (seen(false, 11, Some(0), Some(10)), Decision::Leave),
            (seen(false, 10, Some(1), Some(10)), Decision::Leave),
            (seen(false, 10, Some(0), None), Decision::Leave),
            (seen(false, 10, None, Some(10)), Decision::Leave),
        ] {
            assert_eq!(seen.decide(), decision, "{seen:?}");
        }
    }
}
