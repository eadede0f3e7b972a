//! What is true of an item, in one sentence: pure.

use streamdex_reconcile::explain::Explained;
use streamdex_reconcile::verdict::Verdict;

/// What is true, and what helps. `has_lag`: somebody says how far behind the reader is.
pub(crate) fn sentence(explained: &Explained, verdict: Verdict, has_lag: bool) -> String {
    match verdict {
        Verdict::InSync => "the document is what the item gives".to_owned(),
        Verdict::Pending => {
            "it differs, and the reader has not come to it yet: ask again, or raise --patience".to_owned()
        }
        Verdict::Filtered => {
            "no route takes the item, so it has no document; change `when` of a route to have one".to_owned()
        }
        Verdict::DeadLettered => {
            "its change is a dead letter: correct item or mapping, then `streamdex dlq replay`".to_owned()
        }
        Verdict::NotInTable if explained.differs() => {
            "there is no item, and a document: `streamdex verify --full --repair` removes it".to_owned()
        }
        Verdict::NotInTable => "there is no item with this key, and no document of it in the indices of the table".to_owned(),
        Verdict::Expired => {
            "the document differs, and the item is past its time to live: DynamoDB removes it within days".to_owned()
        }
        Verdict::OtherAddress => {
            "there is a document where the item's does not belong: `streamdex verify --full --repair` removes it"
                .to_owned()
        }
        Verdict::Stale => {
            "the index was made with other routes: `streamdex rebuild` makes the next generation with these".to_owned()
        }
        Verdict::Missing | Verdict::Different if explained.refused.is_some() => {
            "the item cannot be mapped, and no dead letter says so: `streamdex verify --full` looks at all items"
                .to_owned()
        }
        Verdict::Missing | Verdict::Different if !has_lag => {
            "the index is not what the table says, and nobody says how far behind it is: `streamdex status` shows who reads; where nothing is on its way, `streamdex verify --full --repair` writes what differs".to_owned()
        }
        Verdict::Missing | Verdict::Different => {
            "the index is not what the table says: `streamdex verify --full --repair` writes what differs".to_owned()
        }
        Verdict::Inconclusive => "it could not be decided; ask again".to_owned(),
    }
}
