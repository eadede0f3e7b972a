//! Items by their numbers: the key is the number, and all else is taken in turn from some bodies.

use crate::workload::{EVENT_TIME, PARTITION_KEY, SORT_KEY, Sessions, dynamodb_json};

/// Between the two key attributes in an id.
const ID_SEPARATOR: char = '|';
const SORT: &str = "s";
/// Digits of a number in a key.
const DIGITS: usize = 10;

/// What items hold beside their keys, as members of a JSON object.
#[derive(Debug, Clone)]
pub struct Bodies(Vec<String>);

impl Bodies {
    /// Of so many session items, of about 1 KB each.
    #[must_use]
    pub fn of_sessions(count: u32) -> Self {
        let mut sessions = Sessions::new(7, EVENT_TIME);
        let bodies = (0..count).map(|_| {
            let mut item = sessions.item(Sessions::key_of(0, 0));
            item.retain(|name, _| name != PARTITION_KEY && name != SORT_KEY);
            members(&dynamodb_json(&item))
        });
        Self(bodies.collect())
    }

    /// What `map` makes of the object of each body.
    ///
    /// # Errors
    /// Those of `map`.
    ///
    /// # Panics
    /// When it makes no object of one.
    pub fn mapped<E>(&self, map: impl Fn(&str) -> Result<String, E>) -> Result<Self, E> {
        self.0.iter().map(|body| Ok(members(&map(&format!("{{{body}}}"))?))).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn of(&self, number: u64) -> &str {
        let count = self.0.len() as u64;
        &self.0[usize::try_from(number % count).unwrap()]
    }

    /// The mean size.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(String::len).sum::<usize>() / self.0.len()
    }
}

fn members(object: &str) -> String {
    object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).expect("an object").to_owned()
}

/// The partition key of a number.
pub(super) fn partition(number: u64) -> String {
    format!("item-{number:0width$}", width = DIGITS)
}

/// The number of a partition key.
pub(super) fn number(partition: &str) -> Option<u64> {
    partition.strip_prefix("item-")?.parse().ok()
}

/// `"user_id":{"S":…},"session_id":{"S":…}`
pub(super) fn key(number: u64) -> String {
    format!(r#""{PARTITION_KEY}":{{"S":"{}"}},"{SORT_KEY}":{{"S":"{SORT}"}}"#, partition(number))
}

/// The same in a document.
pub(super) fn plain_key(number: u64) -> String {
    format!(r#""{PARTITION_KEY}":"{}","{SORT_KEY}":"{SORT}""#, partition(number))
}

/// The document's id.
pub(super) fn id(number: u64) -> String {
    format!("{}{ID_SEPARATOR}{SORT}", partition(number))
}

/// The number of an id.
pub(super) fn number_of_id(id: &str) -> Option<u64> {
    number(id.split_once(ID_SEPARATOR)?.0)
}
