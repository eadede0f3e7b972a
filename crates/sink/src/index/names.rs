//! The names that are written to, told without a question to OpenSearch.

use std::sync::Arc;

use streamdex_config::{Config, Manage};
use streamdex_mapping::IndexName;

use super::Indices;
use super::catalog::{Catalog, SetupContext};
use crate::writer::Targets;

/// The name that the documents of `index` go to under `config`, as `sessions-000001`; `None` where no route
/// gives `index`. Nobody is asked whether the index is there.
pub fn concrete_name(config: &Config, index: &IndexName) -> Option<String> {
    let catalog = Catalog::new(config, &SetupContext::new());
    let settings = &catalog.find(index)?.settings;
    Some(of_generation(index, settings.manage, settings.generation))
}

/// Under `create`, the index carries its generation in its name; otherwise it is the user's own.
pub(super) fn of_generation(index: impl std::fmt::Display, manage: Manage, generation: u32) -> String {
    match manage {
        Manage::Create => format!("{index}-{generation:06}"),
        Manage::Check | Manage::Never => index.to_string(),
    }
}

impl Targets for Indices {
    fn concrete(&self, index: &IndexName) -> Option<Arc<str>> {
        self.target(index).map(|target| target.concrete.as_str().into())
    }
}
