//! The one check that every end-to-end test ends with: index equals table.
//!
//! Values are compared as text, never through `f64`: a 38-digit number must come out digit by digit.

mod json;
mod read;

pub use json::first_difference;
pub use read::{index_documents, table_items};

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;

use crate::workload::Item;

/// What the index must hold for one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The document's id.
    pub id: String,
    /// The document, JSON.
    pub document: String,
}

/// One document that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// In the table, not in the index.
    Missing {
        /// The document's id.
        id: String,
    },
    /// In the index, not in the table.
    Extra {
        /// The document's id.
        id: String,
    },
    /// In both, with different values.
    Different {
        /// The document's id.
        id: String,
        /// Where, and both values.
        at: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { id } => write!(formatter, "missing in the index: {id}"),
            Self::Extra { id } => write!(formatter, "not in the table: {id}"),
            Self::Different { id, at } => write!(formatter, "different: {id}: {at}"),
        }
    }
}

/// The two sides of a comparison.
#[derive(Debug, Clone)]
pub struct Sides<'a> {
    /// A client for the table.
    pub client: &'a Client,
    /// The table's name.
    pub table: &'a str,
    /// The node.
    pub url: &'a str,
    /// The index or alias.
    pub index: &'a str,
}

impl Sides<'_> {
    /// All differences, where `expected` says what an item must be in this index; `None`: nothing.
    ///
    /// # Panics
    /// When one of the sides cannot be read.
    pub async fn differences(&self, expected: impl Fn(&Item) -> Option<Expected>) -> Vec<Difference> {
        let items = table_items(self.client, self.table).await;
        let expected: BTreeMap<String, String> =
            items.iter().filter_map(expected).map(|expected| (expected.id, expected.document)).collect();
        compare_documents(&expected, &index_documents(self.url, self.index).await)
    }

    /// Waits until there is no difference; the last ones after `limit` of real time.
    ///
    /// # Errors
    /// The differences that are left.
    ///
    /// # Panics
    /// When one of the sides cannot be read.
    pub async fn until_equal(
        &self,
        limit: Duration,
        expected: impl Fn(&Item) -> Option<Expected>,
    ) -> Result<(), Vec<Difference>> {
        let deadline = Instant::now() + limit;
        loop {
            let differences = self.differences(&expected).await;
            if differences.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(differences);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// All differences between documents by their ids.
#[must_use]
pub fn compare_documents(expected: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (id, document) in expected {
        let id = id.clone();
        match found.get(&id) {
            None => differences.push(Difference::Missing { id }),
            Some(found) => {
                if let Some(at) = first_difference(document, found) {
                    differences.push(Difference::Different { id, at });
                }
            }
        }
    }
    let extra = found.keys().filter(|id| !expected.contains_key(*id));
    differences.extend(extra.map(|id| Difference::Extra { id: id.clone() }));
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference_is_told() {
        let documents = |list: &[(&str, &str)]| -> BTreeMap<String, String> {
            list.iter().map(|(id, text)| ((*id).to_owned(), (*text).to_owned())).collect()
        };
        let expected = documents(&[("a", "{\"n\":1}"), ("b", "{}"), ("c", "{\"x\":1,\"y\":2}")]);
        let found = documents(&[("a", "{\"n\":1.0}"), ("c", "{\"y\":2,\"x\":1}"), ("d", "{}")]);
        let told: Vec<String> = compare_documents(&expected, &found).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["different: a: /n: expected 1, found 1.0", "missing in the index: b", "not in the table: d"]);
    }
}
