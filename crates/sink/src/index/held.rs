//! Finds the existing indices of the routes, for jobs that read all of them.

use std::collections::BTreeMap;

use streamdex_config::Manage;
use streamdex_mapping::IndexName;

use super::admin;
use super::catalog::Entry;
use super::error::SetupError;
use super::indices::Indices;
use super::inspect::text_of;
use super::observe::ObservedIndex;
use super::owner::Owner;
use super::steps::{Located, check_owner, located};
use super::wanted::Wanted;

/// An existing index of the routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldIndex {
    /// The logical name.
    pub index: IndexName,
    /// Its own name.
    pub concrete: String,
    /// Whether it holds the copies of expired items, which no item of the table stands behind.
    pub is_archive: bool,
    /// Its generation.
    pub generation: u32,
    /// Its primary shards.
    pub shards: u32,
    /// Whether it was made with the routes of this configuration; `None` where it does not say.
    pub has_these_routes: Option<bool>,
}

impl Indices {
    /// The indices that the routes of the table named `table` write to, as far as they are there: those of placeholders
    /// too, in the generation of the configuration. Changes nothing.
    ///
    /// # Errors
    /// OpenSearch did not answer or refused, or an index is another table's.
    pub async fn held(&self, table: &str) -> Result<Vec<HeldIndex>, SetupError> {
        let mut held = Vec::new();
        for entry in self.catalog.entries().iter().filter(|entry| entry.owner.table == table) {
            match entry.fixed_name() {
                Some(name) => held.extend(self.held_by_name(entry, name).await?),
                None => held.extend(self.held_by_pattern(entry).await?),
            }
        }
        Ok(held)
    }

    /// The name that the documents of `index` go to. No I/O.
    ///
    /// # Errors
    /// No route gives this index.
    pub fn concrete_name(&self, index: &IndexName) -> Result<String, SetupError> {
        if let Some(target) = self.target(index) {
            return Ok(target.concrete.clone());
        }
        Ok(self.wanted(self.entry(index)?, index.as_str()).concrete)
    }

    async fn held_by_name(&self, entry: &Entry, name: &IndexName) -> Result<Option<HeldIndex>, SetupError> {
        let wanted = self.wanted(entry, name.as_str());
        if !admin::exists(&self.client, &wanted.concrete).await? {
            return Ok(None);
        }
        let observed = admin::observe(&self.client, &wanted).await?;
        let Some(found) = located(&wanted, &observed)? else { return Ok(None) };
        check_owner(&wanted, found)?;
        Ok(Some(held(&wanted, name, found.name, found.index)))
    }

    /// Asks for the pattern twice: that there is no further index is not believed of one answer.
    async fn held_by_pattern(&self, entry: &Entry) -> Result<Vec<HeldIndex>, SetupError> {
        let wanted = self.wanted(entry, &entry.pattern());
        let mut found = BTreeMap::new();
        for _ in 0..2 {
            for (concrete, index) in admin::matching(&self.client, &wanted.concrete).await? {
                let Some(name) = logical_name(&wanted, &concrete) else { continue };
                // A name that is written out is another entry's, and another table's index only looks alike.
                let is_ours = self.catalog.find(&name).is_some_and(|owner| owner.text == entry.text);
                if is_ours && check_owner(&wanted, Located { name: &concrete, index: &index }).is_ok() {
                    found.insert(concrete.clone(), held(&wanted, &name, &concrete, &index));
                }
            }
        }
        Ok(found.into_values().collect())
    }
}

/// The logical name behind `NAME-000001`.
fn logical_name(wanted: &Wanted, concrete: &str) -> Option<IndexName> {
    let name = match wanted.manage {
        Manage::Create => concrete.strip_suffix(&format!("-{:06}", wanted.owner.generation))?,
        Manage::Check | Manage::Never => concrete,
    };
    IndexName::parse(name).ok()
}

fn held(wanted: &Wanted, name: &IndexName, concrete: &str, index: &ObservedIndex) -> HeldIndex {
    let owner = Owner::of_mapping(&index.mapping).ok().flatten();
    let shards = index.settings.get("index.number_of_shards").and_then(|shards| text_of(shards).parse().ok());
    HeldIndex {
        index: name.clone(),
        concrete: concrete.to_owned(),
        is_archive: wanted.fields.archive,
        generation: wanted.owner.generation,
        shards: shards.unwrap_or(1),
        has_these_routes: owner.map(|owner| owner.routes == wanted.owner.routes),
    }
}
