//! Ends a group that follows a table: takes its lease, and deletes its data in the state table.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_dynamodb::state::{
    Action, Answer, Condition, Extent, Item, Operation, SortKey, StateError, number, of_number, text,
};

use crate::observe::LeaseReport;
use crate::state::{StateStore, read_lease};

/// The items of a group about one table, as whoever ends the group has them.
#[derive(Clone)]
pub struct Retirement(pub Arc<dyn StateStore>);

/// Who the lease names from then on.
const RETIRED: &str = "nobody: the group was ended";

// === impl Retirement ===

impl Retirement {
    /// Takes the lease in a new term, so that no earlier owner writes any more. Returns the owner if another worker has
    /// it. It may be called again.
    ///
    /// # Errors
    /// A call failed.
    pub async fn take(&self, now: u64) -> Result<Option<String>, StateError> {
        let sort_key = SortKey::Lease.text();
        let Some(item) = self.0.get(&sort_key).await? else { return Ok(None) };
        let Some(lease) = read_lease(&item) else { return Err(StateError::Malformed { key: sort_key }) };
        let report = LeaseReport::of(&lease, now);
        if let Some(reader) = report.live_reader().filter(|reader| *reader != RETIRED) {
            return Ok(Some(reader.to_owned()));
        }
        let set = Item::from([
            ("owner".to_owned(), AttributeValue::S(RETIRED.to_owned())),
            ("term".to_owned(), of_number(lease.term + 1)),
            ("beat".to_owned(), of_number(lease.beat + 1)),
            ("at".to_owned(), of_number(now)),
        ]);
        let conditions =
            vec![Condition::Is("term", of_number(lease.term)), Condition::Is("beat", of_number(lease.beat))];
        let take = Operation { sort_key, conditions, action: Action::Update { set, remove: Vec::new() } };
        self.written(take).await
    }

    /// Deletes all items, the lease last and only where nobody has taken it since; who has, where somebody has. Records
    /// of existing indices are kept: an index that names the group, beside a state without it, would mean that the
    /// state is lost.
    ///
    /// # Errors
    /// A call failed.
    pub async fn forget(&self, left: &[String]) -> Result<Option<String>, StateError> {
        let delete = |sort_key: String, conditions| Operation { sort_key, conditions, action: Action::Delete };
        let mut lease = None;
        for item in self.0.query(Extent::All).await? {
            let Some(sort_key) = text(&item, "sk").map(str::to_owned) else { continue };
            match SortKey::parse(&sort_key) {
                SortKey::Lease => lease = number(&item, "term"),
                SortKey::Index { concrete } if left.contains(&concrete) => {}
                _ => drop(self.0.write(&[delete(sort_key, Vec::new())]).await?),
            }
        }
        let Some(term) = lease else { return Ok(None) };
        let is_ours =
            vec![Condition::Is("owner", AttributeValue::S(RETIRED.to_owned())), Condition::Is("term", of_number(term))];
        self.written(delete(SortKey::Lease.text(), is_ours)).await
    }

    async fn written(&self, operation: Operation) -> Result<Option<String>, StateError> {
        Ok(match self.0.write(&[operation]).await?.answer {
            Answer::Stored => None,
            Answer::Refused(refused) => {
                let found = refused.into_iter().find_map(|refusal| refusal.found);
                Some(found.as_ref().and_then(|item| text(item, "owner")).unwrap_or("another process").to_owned())
            }
        })
    }
}
