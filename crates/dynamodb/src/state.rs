//! The one state table: its keys, the form of its items, and how it is made.
//!
//! Keys and attributes are fixed by `docs/adr/0007-state-table-keys.md`. What the items mean is their owners' business:
//! `streamdex-delivery` writes dead letters and index records, `streamdex-poller` progress.

mod admin;
mod error;
mod expression;
mod followed;
mod item;
mod keys;
mod mark;
mod operation;
mod query;
mod write;

use aws_sdk_dynamodb::Client;

pub use self::admin::{Creation, Making};
pub use self::error::{StateError, protection_hint};
use self::followed::FollowedTable;
pub use self::item::{Item, check_format, number, of_number, stored, text};
pub use self::keys::{BEHIND_DONE, FORMAT, MARK_SORT_KEY, Partition, SortKey, group_of, letter_sort_key};
pub use self::operation::{Action, Answer, Condition, Operation, Refusal, apply};
pub use self::query::Extent;
pub use self::write::{MOST_OPERATIONS, StatePartition, Written};
use crate::fault::{AwsError, Fault};

/// The state table, as one group sees it.
#[derive(Debug, Clone)]
pub struct StateTable {
    client: Client,
    name: String,
    group: String,
    /// The tables that the configuration follows.
    followed: Vec<FollowedTable>,
}

impl StateTable {
    /// The table `name` for `group`. No request is made.
    pub fn new(client: Client, name: impl Into<String>, group: impl Into<String>) -> StateTable {
        StateTable { client, name: name.into(), group: group.into(), followed: Vec::new() }
    }

    /// The client that reaches it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// What a failed call on this table means.
    pub fn failed(&self, source: AwsError) -> StateError {
        if source.fault() == Fault::NotFound {
            return StateError::Missing { table: self.name.clone(), place: source.place().clone() };
        }
        StateError::Aws { table: self.name.clone(), source }
    }
}
