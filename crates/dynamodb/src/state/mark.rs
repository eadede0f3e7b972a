//! The mark: the item that identifies a state table.
//!
//! Other tables can have the same key names, as single-table designs have. Leases and dead letters must not be written
//! among their items.

use aws_sdk_dynamodb::types::{AttributeValue, TableDescription};
use streamdex_config::{Source, State};

use super::StateTable;
use super::error::StateError;
use super::followed::FollowedTable;
use super::item::{Item, check_format, of_number};
use super::keys::{FORMAT, MARK_SORT_KEY, Partition};
use crate::time::now;

impl StateTable {
    /// The same, but refuses the tables of `sources` as a state table.
    #[must_use]
    pub fn beside(mut self, sources: &[Source], state: &State) -> StateTable {
        self.followed = sources.iter().filter_map(|source| FollowedTable::of(source, state)).collect();
        self
    }

    /// Whether the configuration follows the table that has this description.
    pub(super) fn follows(&self, table: &TableDescription) -> bool {
        self.followed.iter().any(|followed| match followed {
            FollowedTable::Arn(arn) => table.table_arn() == Some(arn),
            // A table can be named by its ARN too.
            FollowedTable::Name(name) => self.name.rsplit('/').next() == Some(name),
        })
    }

    pub(super) fn is_a_source(&self) -> StateError {
        StateError::IsSource(self.name.clone())
    }

    /// Writes the mark where it is missing.
    pub(super) async fn keep_marked(&self) -> Result<(), StateError> {
        if let Some(mark) = self.get(mark_key()).await? {
            return check_format(&mark, MARK_SORT_KEY);
        }
        let mut mark = mark_key();
        mark.extend([("v".to_owned(), of_number(FORMAT)), ("at".to_owned(), of_number(now()))]);
        self.put_new(mark).await.map(drop)
    }
}

fn mark_key() -> Item {
    Item::from([
        ("pk".to_owned(), AttributeValue::S(Partition::Mark.key())),
        ("sk".to_owned(), AttributeValue::S(MARK_SORT_KEY.to_owned())),
    ])
}
