//! The answer of BatchGetItem: which texts are items, and which are keys that were not processed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

/// What BatchGetItem answered for one table.
pub(super) struct BatchAnswer {
    /// `None` if the answer does not contain the table.
    pub(super) found: Option<Vec<Arc<str>>>,
    pub(super) unprocessed: Vec<Arc<str>>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, rename = "Responses")]
    responses: Option<HashMap<Cow<'a, str>, Vec<&'a RawValue>>>,
    #[serde(borrow, rename = "UnprocessedKeys")]
    unprocessed: Option<HashMap<Cow<'a, str>, Unprocessed<'a>>>,
}

#[derive(Deserialize)]
struct Unprocessed<'a> {
    #[serde(borrow, rename = "Keys")]
    keys: Vec<&'a RawValue>,
}

impl BatchAnswer {
    /// Reads the answer about `table`, a name or an ARN.
    ///
    /// # Errors
    /// It is not an answer of BatchGetItem. The error contains the position but no content.
    pub(super) fn read(body: &[u8], table: &str) -> Result<BatchAnswer, String> {
        let wire: Wire<'_> =
            serde_json::from_slice(body).map_err(|error| format!("line {} column {}", error.line(), error.column()))?;
        let texts = |raw: Vec<&RawValue>| raw.into_iter().map(|raw| raw.get().into()).collect();
        // Where it was asked by its ARN, it may be answered under its name.
        let name = table.rsplit('/').next().unwrap_or(table);
        let found = wire.responses.and_then(|mut tables| tables.remove(table).or_else(|| tables.remove(name)));
        let unprocessed = wire.unprocessed.into_iter().flatten().flat_map(|(_, unprocessed)| unprocessed.keys);
        Ok(BatchAnswer { found: found.map(texts), unprocessed: texts(unprocessed.collect()) })
    }
}
