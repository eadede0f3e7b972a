//! The checks at the end: the index equals the table, and the counts agree.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use aws_sdk_dynamodb::Client;
use serde_json::Value;
use serde_json::value::RawValue;
use streamdex_testkit::compare::{Expected, Sides, compare_documents, index_documents, table_items};
use streamdex_testkit::workload::Item;

use crate::awkward;
use crate::configuration::{ARCHIVE, TABLE};
use crate::expected;
use crate::follower::{Report, Streamdex};

/// What is wrong, a line each; and how many items are in the index as they are in the table.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) equal: usize,
    pub(crate) faults: Vec<String>,
}

// === impl Verdict ===

impl Verdict {
    /// Compares an index with the items of the table whose ids it is to hold, one by one, until nothing differs, or the time
    /// is over.
    pub(crate) async fn compare_index(
        &mut self,
        client: &Client,
        url: &str,
        index: &str,
        holds: impl Fn(&str) -> bool,
        limit: Duration,
    ) {
        let wanted = |item: &Item| Some(expected::document(item)).filter(|Expected { id, .. }| holds(id));
        let sides = Sides { client, table: TABLE, url, index };
        match sides.until_equal(limit, wanted).await {
            Ok(()) => {
                let items = table_items(client, TABLE).await;
                self.equal = items.iter().filter_map(wanted).count();
            }
            Err(differences) => self.faults.extend(differences.iter().map(|each| format!("{index}: {each}"))),
        }
    }

    /// Compares the archive with the sessions that expired.
    pub(crate) async fn compare_archive(&mut self, url: &str, expired: &BTreeMap<String, String>) {
        let found = index_documents(url, ARCHIVE).await;
        let mut documents = BTreeMap::new();
        for (id, document) in &found {
            match without_expiry(id, document) {
                Some((id, document)) => drop(documents.insert(id, document)),
                None => self.faults.push(format!("{ARCHIVE}: {id} is no archived session")),
            }
        }
        let differences = compare_documents(expired, &documents);
        self.faults.extend(differences.iter().map(|each| format!("{ARCHIVE}: {each}")));
    }

    /// Every change of the table must have been counted in exactly one outcome.
    pub(crate) fn count(&mut self, report: &Report, changes: u64) {
        let outcomes: u64 = report.outcomes().iter().map(|(_, count)| count).sum();
        if report.records != changes || outcomes != changes {
            let records = report.records;
            self.faults.push(format!("{changes} changes, {records} records, {outcomes} outcomes: they must be equal"));
        }
        if report.dead_lettered != 1 {
            self.faults.push(format!("{} records are dead letters, one was planted", report.dead_lettered));
        }
    }

    /// No dead letter may be left.
    pub(crate) async fn expect_no_letter(&mut self, streamdex: &Streamdex) -> anyhow::Result<()> {
        let answer: Value = parse(&streamdex.output(&["--json", "dlq", "list"]).await?)?;
        let letters = answer.get("dead_letters").and_then(Value::as_array).context("no list of dead letters")?;
        if !letters.is_empty() {
            self.faults.push(format!("{} dead letters are left", letters.len()));
        }
        Ok(())
    }

    /// The only dead letter must be the planted one; returns the list as `streamdex dlq list` prints it.
    pub(crate) async fn look_at_letters(&mut self, streamdex: &Streamdex) -> anyhow::Result<String> {
        let listed = streamdex.output(&["dlq", "list"]).await?;
        let answer: Value = parse(&streamdex.output(&["--json", "dlq", "list"]).await?)?;
        let letters = answer.get("dead_letters").and_then(Value::as_array).context("no list of dead letters")?;
        let planted = expected::id(&awkward::refused());
        let mut found = 0;
        for letter in letters {
            let key = letter.get("key").and_then(Value::as_str).context("a dead letter without a key")?;
            let shown = streamdex.output(&["--json", "dlq", "show", key]).await?;
            let letter: Value = parse(&shown)?;
            match letter.pointer("/id").and_then(Value::as_str) {
                Some(id) if id == planted => found += 1,
                id => self.faults.push(format!("dead letter: {} was not planted", id.unwrap_or(key))),
            }
        }
        if found != 1 {
            self.faults.push(format!("the planted dead letter was found {found} times"));
        }
        Ok(listed)
    }
}

fn parse(text: &str) -> anyhow::Result<Value> {
    serde_json::from_str(text).context("reading what streamdex printed")
}

/// Id and document of the session that was archived: `ID|SECONDS` and the member `expired_at` are what is more.
fn without_expiry(id: &str, document: &str) -> Option<(String, String)> {
    let (session, seconds) = id.rsplit_once('|')?;
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(document).ok()?;
    let expired_at = members.remove("expired_at")?;
    let document = serde_json::to_string(&members).ok()?;
    (seconds == expired_at.get()).then(|| (session.to_owned(), document))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archived_session_is_recognised() {
        let archived = without_expiry("u|s|17", r#"{"n":1.50,"expired_at":17}"#).unwrap();
        assert_eq!(archived, ("u|s".to_owned(), r#"{"n":1.50}"#.to_owned()));
        assert_eq!(without_expiry("u|s|17", r#"{"expired_at":18}"#), None);
        assert_eq!(without_expiry("u|s|17", "{}"), None);
    }
}
