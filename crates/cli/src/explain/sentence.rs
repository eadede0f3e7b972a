//! One sentence on the state of an item. Pure.

use streamdex_reconcile::explain::Explained;
use streamdex_reconcile::verdict::Verdict;

/// What is true, and what helps. `has_lag`: somebody says how far behind the reader is.
pub(crate) fn sentence(explained: &Explained, verdict: Verdict, has_lag: bool) -> String {
    match verdict {
        Verdict::InSync => "the document equals the item".to_owned(),
        Verdict::Pending => {
            "the document differs, but the reader has not reached the change yet: try again, or raise --patience".to_owned()
        }
        Verdict::Filtered => {
            "no route takes the item, so it has no document; to get one, change `when` of a route".to_owned()
        }
        Verdict::DeadLettered => {
            "its change is a dead letter: correct the item or the mapping, then run `streamdex dlq replay`".to_owned()
        }
        Verdict::NotInTable if explained.differs() => {
            "there is a document without an item: `streamdex verify --full --repair` removes it".to_owned()
        }
        Verdict::NotInTable => "there is no item with this key, and no document of it".to_owned(),
        Verdict::Expired => {
            "the document differs, but the item has expired: DynamoDB removes it within days".to_owned()
        }
        Verdict::OtherAddress => {
            "the item has a document in the wrong place: `streamdex verify --full --repair` removes it"
                .to_owned()
        }
        Verdict::Stale => {
            "the index was made with other routes: `streamdex rebuild` creates the next generation with the current ones".to_owned()
        }
        Verdict::Missing | Verdict::Different if explained.refused.is_some() => {
            "the item cannot be mapped, but there is no dead letter for it: `streamdex verify --full` checks all items"
                .to_owned()
        }
        Verdict::Missing | Verdict::Different if !has_lag => {
            "the index differs from the table, and its lag is unknown: `streamdex status` shows who reads; if no change is on its way, `streamdex verify --full --repair` repairs it".to_owned()
        }
        Verdict::Missing | Verdict::Different => {
            "the index differs from the table: `streamdex verify --full --repair` repairs it".to_owned()
        }
        Verdict::Inconclusive => "the check could not decide; try again".to_owned(),
    }
}
