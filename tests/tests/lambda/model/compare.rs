//! What the real engines hold, compared.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_testkit::compare::{Difference, compare_documents, index_documents};
use streamdex_testkit::workload::{Item, PARTITION_KEY};

use super::plan::{COMMON, HIDDEN, HOME};
use super::run::Seed;
use crate::lab::session;
use crate::lambda::function::told;
use crate::lambda::stream::id;

impl Seed<'_> {
    /// The index must equal the table, but for documents whose last change lies in the bucket still, or can never be
    /// indexed and is kept as a letter.
    pub(super) async fn compare(&self, when: &str) {
        let items = self.table().await;
        let is_as_written = items.iter().map(id).eq(self.stream.items.keys().cloned());
        assert!(is_as_written, "{}: the table is not as it was written", self.plan.partition);
        let expected: BTreeMap<String, String> = items.iter().filter_map(|item| self.expected(item)).collect();
        let differences = compare_documents(&expected, &self.found().await);
        let waiting = self.source.on_failure()[self.redriven..].iter().flat_map(|given_up| &given_up.records);
        let in_bucket: BTreeSet<&str> = waiting.map(|record| record.sequence.as_str()).collect();
        let letters = self.letters().await;
        let left: Vec<Difference> =
            differences.into_iter().filter(|difference| !self.is_excused(difference, &in_bucket, &letters)).collect();
        if !left.is_empty() {
            panic!("seed {} {when}: {}\n{}", self.plan.partition, told(&left), self.records_of(&left, &in_bucket));
        }
        let mut totals = self.totals.lock().await;
        totals.letters = letters.len();
        totals.records = self.changes.len();
        totals.given_up = self.source.on_failure().iter().map(|given_up| given_up.records.len()).sum();
    }

    fn is_excused(&self, difference: &Difference, in_bucket: &BTreeSet<&str>, letters: &BTreeSet<String>) -> bool {
        let id = id_of(difference);
        let last = self.last[id].as_str();
        let is_poison = self.changes.get(last).is_some_and(|change| change.is_poison);
        // Where the document was before, only the record that moved it knows.
        let mut records = self.changes.values().map(|change| &change.record).filter(|record| record.item == id);
        let is_left_behind = matches!(difference, Difference::Extra { .. })
            && records.any(|record| in_bucket.contains(record.sequence.as_str()));
        is_left_behind || in_bucket.contains(last) || (is_poison && letters.contains(last))
    }

    /// The documents of this seed, by index and id.
    async fn found(&self) -> BTreeMap<String, String> {
        let lab = &self.line.bench.lab;
        let of_this_seed = format!("{}|", self.plan.partition);
        let mut found = BTreeMap::new();
        for home in [self.plan.partition.as_str(), COMMON] {
            let documents = index_documents(lab.node(), &format!("{}-{home}", lab.index)).await;
            let own = documents.into_iter().filter(|(id, _)| id.starts_with(&of_this_seed));
            found.extend(own.map(|(id, document)| (format!("{home}/{id}"), document)));
        }
        found
    }

    /// All that happened to the documents that are not as they must be.
    fn records_of(&self, left: &[Difference], in_bucket: &BTreeSet<&str>) -> String {
        let of_item = |item: &str| left.iter().any(|difference| id_of(difference) == item);
        let records = self.changes.values().map(|change| &change.record).filter(|record| of_item(&record.item));
        let lines = records.map(|record| {
            let place = if in_bucket.contains(record.sequence.as_str()) { " (in the bucket)" } else { "" };
            format!("{}{place}: {}\n", record.sequence, record.json)
        });
        lines.collect()
    }

    /// The document that an item must be, by its index and id.
    fn expected(&self, item: &Item) -> Option<(String, String)> {
        if item.contains_key(HIDDEN) {
            return None;
        }
        let home = item.get(HOME).map_or(&self.plan.partition, |home| home.as_s().unwrap());
        let expected = session(item)?;
        Some((format!("{home}/{}", expected.id), expected.document))
    }

    /// The items of this seed as the table holds them.
    async fn table(&self) -> Vec<Item> {
        let lab = &self.line.bench.lab;
        let query = lab.client.query().table_name(&lab.table.name).consistent_read(true);
        let query = query
            .key_condition_expression("#p = :p")
            .expression_attribute_names("#p", PARTITION_KEY)
            .expression_attribute_values(":p", AttributeValue::S(self.plan.partition.clone()));
        let items = query.into_paginator().items().send().try_collect().await.unwrap();
        items.into_iter().map(|item| item.into_iter().collect()).collect()
    }

    /// The sequence numbers of this seed that have letters.
    async fn letters(&self) -> BTreeSet<String> {
        let rows = self.line.bench.letters().await;
        let sequences = rows.iter().map(|row| row["sk"].as_s().unwrap().split('|').nth(1).unwrap().to_owned());
        sequences.filter(|sequence| self.changes.contains_key(sequence)).collect()
    }
}

/// Without the index.
fn id_of(difference: &Difference) -> &str {
    let (Difference::Missing { id } | Difference::Extra { id } | Difference::Different { id, .. }) = difference;
    id.split_once('/').unwrap().1
}
