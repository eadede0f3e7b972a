//! Scratch indices: they have the settings and the mapping of a future index, and show what it refuses.

use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_config::Manage;
use streamdex_mapping::IndexName;

use super::admin::{self, ask, escape};
use super::error::SetupError;
use super::indices::Indices;
use super::observe::ObservedIndex;
use super::owner::Owner;
use super::reply::Reply;
use super::simulate::simulate;

/// How the name of a scratch index begins.
pub const SCRATCH: &str = "streamdex-plan-";
/// Documents of one page.
const PAGE: u32 = 1000;
const KEPT: &str = "1m";

/// A document that holds values which do not fit their fields: they are kept in it, and no search finds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredValues {
    /// The document's id.
    pub id: String,
    /// The fields.
    pub fields: Vec<String>,
}

impl Indices {
    /// Makes a scratch index as [`Indices::ensure`] would make `index`, without replicas and aliases; returns its name.
    ///
    /// # Errors
    /// As [`Indices::ensure`].
    pub async fn make_scratch(&self, index: &IndexName) -> Result<String, SetupError> {
        let wanted = self.wanted(self.entry(index)?, index.as_str());
        self.flavour().await?;
        let installed = match wanted.manage {
            Manage::Create => admin::template(&self.client, &wanted).await?,
            Manage::Check | Manage::Never => return Err(SetupError::Missing { index: index.to_string() }),
        };
        let mut effective = simulate(&self.client, &wanted, installed).await?;
        effective.settings.insert("index.number_of_replicas".to_owned(), json!(0));
        let name = format!("{SCRATCH}{:016x}", fastrand::u64(..));
        let body = json!({"settings": effective.settings, "mappings": effective.mapping});
        let reply = ask(&self.client, Method::Put, &name, Some(&body)).await?;
        reply.acknowledged(&format!("create the scratch index {name}"))?;
        Ok(name)
    }

    /// Deletes a scratch index; one that is gone is a success.
    ///
    /// # Errors
    /// OpenSearch did not answer, or refused.
    pub async fn delete_scratch(&self, name: &str) -> Result<(), SetupError> {
        let reply = ask(&self.client, Method::Delete, &escape(name), None).await?;
        if reply.says_no_index() { Ok(()) } else { reply.acknowledged(&format!("delete the scratch index {name}")) }
    }

    /// The scratch indices of a table that an earlier process has left: it was killed.
    ///
    /// # Errors
    /// OpenSearch did not answer, or refused.
    pub async fn left_scratch(&self, table: &str) -> Result<Vec<String>, SetupError> {
        let found = admin::matching(&self.client, &format!("{SCRATCH}*")).await?;
        let is_ours = |(_, index): &(String, ObservedIndex)| {
            Owner::of_mapping(&index.mapping).ok().flatten().is_some_and(|owner| owner.table == table)
        };
        Ok(found.into_iter().filter(is_ours).map(|(name, _)| name).collect())
    }

    /// Hands over the documents of a scratch index that hold values which do not fit their fields, page by page.
    ///
    /// # Errors
    /// OpenSearch did not answer, or refused.
    pub async fn ignored_values(
        &self,
        name: &str,
        mut each: impl FnMut(Vec<IgnoredValues>) + Send,
    ) -> Result<(), SetupError> {
        let action = format!("list ignored values of {name}");
        let refreshed = ask(&self.client, Method::Post, &format!("{name}/_refresh"), None).await?;
        refreshed.members(&action)?;
        let query =
            json!({"size": PAGE, "_source": false, "sort": ["_doc"], "query": {"exists": {"field": "_ignored"}}});
        let mut page = ask(&self.client, Method::Post, &format!("{name}/_search?scroll={KEPT}"), Some(&query)).await?;
        loop {
            let (found, scroll) = read(&page, &action)?;
            if found.is_empty() {
                let close = json!({ "scroll_id": scroll });
                // It ends by itself too.
                let _ = ask(&self.client, Method::Delete, "_search/scroll", Some(&close)).await;
                return Ok(());
            }
            each(found);
            let next = json!({"scroll": KEPT, "scroll_id": scroll});
            page = ask(&self.client, Method::Post, "_search/scroll", Some(&next)).await?;
        }
    }
}

/// The documents of a page, and where the next one is.
fn read(reply: &Reply, action: &str) -> Result<(Vec<IgnoredValues>, String), SetupError> {
    let members = reply.members(action)?;
    let scroll = members.get("_scroll_id").and_then(Value::as_str);
    let hits = members.get("hits").and_then(|hits| hits.get("hits")).and_then(Value::as_array);
    let (Some(scroll), Some(hits)) = (scroll, hits) else { return Err(reply.unexpected(action)) };
    let document = |hit: &Value| {
        let fields = hit.get("_ignored").and_then(Value::as_array).into_iter().flatten();
        Some(IgnoredValues {
            id: hit.get("_id")?.as_str()?.to_owned(),
            fields: fields.filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    };
    let found = hits.iter().map(document).collect::<Option<Vec<_>>>().ok_or_else(|| reply.unexpected(action))?;
    Ok((found, scroll.to_owned()))
}
