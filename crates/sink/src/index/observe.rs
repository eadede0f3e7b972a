//! The observed state: the answer to `GET /NAME-000001,NAME,NAME-live?flat_settings=true`, read.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::merge::FlatSettings;

/// The indices behind some names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    indices: BTreeMap<String, ObservedIndex>,
}

/// One index, or one backing index of a data stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObservedIndex {
    /// Its UUID; it changes when the index is created again.
    pub uuid: Option<String>,
    /// Its settings, flat.
    pub settings: FlatSettings,
    /// Its mapping.
    pub mapping: Map<String, Value>,
    /// Its aliases, with their filters.
    pub aliases: Map<String, Value>,
    /// The data stream that it belongs to.
    pub data_stream: Option<String>,
}

// === impl Observed ===

impl Observed {
    /// Reads the answer to a question for whole indices (`GET /NAMES`); `None` where an index lacks one of its parts, which
    /// OpenSearch always gives.
    pub fn of_indices(body: &Map<String, Value>) -> Option<Observed> {
        let has = |index: &Value, part: &str| index.get(part).is_some_and(Value::is_object);
        let is_whole = |index: &Value| ["aliases", "mappings", "settings"].iter().all(|part| has(index, part));
        let has_settings =
            |index: &Value| index.get("settings").and_then(Value::as_object).is_some_and(|all| !all.is_empty());
        let read = || Observed::read(&Value::Object(body.clone()));
        body.values().all(|index| is_whole(index) && has_settings(index)).then(read)
    }

    /// Reads the answer to a question for UUIDs (`GET /NAMES/_settings/index.uuid`); `None` where an index has none.
    pub fn of_uuids(body: &Map<String, Value>) -> Option<Observed> {
        let observed = Observed::read(&Value::Object(body.clone()));
        let all_known =
            observed.indices.len() == body.len() && observed.indices.values().all(|index| index.uuid.is_some());
        all_known.then_some(observed)
    }

    /// Whether there is an index, an alias or a data stream of this name among what was answered.
    pub fn knows(&self, name: &str) -> bool {
        self.index(name).is_some() || self.is_data_stream(name) || !self.behind_alias(name).is_empty()
    }

    /// Whether no index was answered.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// All indices, by their own names.
    pub fn into_indices(self) -> impl Iterator<Item = (String, ObservedIndex)> {
        self.indices.into_iter()
    }

    /// Adds what another answer holds.
    pub fn extend(&mut self, other: Observed) {
        self.indices.extend(other.indices);
    }

    /// Reads an answer as far as it goes. OpenSearch leaves out names without an index.
    pub fn read(body: &Value) -> Observed {
        let indices = body.as_object().into_iter().flatten();
        let indices = indices.filter_map(|(name, index)| Some((name.clone(), ObservedIndex::read(index)?))).collect();
        Observed { indices }
    }

    /// The index of exactly this name.
    pub fn index(&self, name: &str) -> Option<&ObservedIndex> {
        self.indices.get(name)
    }

    /// The index of exactly this name, with the name as it was answered.
    pub fn entry(&self, name: &str) -> Option<(&str, &ObservedIndex)> {
        self.indices.get_key_value(name).map(|(name, index)| (name.as_str(), index))
    }

    /// The names of the indices behind an alias, in order.
    pub fn behind_alias(&self, alias: &str) -> Vec<&str> {
        self.indices
            .iter()
            .filter(|(_, index)| index.aliases.contains_key(alias))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// Whether `name` is a data stream.
    pub fn is_data_stream(&self, name: &str) -> bool {
        self.indices.values().any(|index| index.data_stream.as_deref() == Some(name))
    }

    /// The UUID of the index of exactly this name.
    pub fn uuid(&self, name: &str) -> Option<&str> {
        self.index(name)?.uuid.as_deref()
    }
}

impl ObservedIndex {
    fn read(index: &Value) -> Option<ObservedIndex> {
        let object = index.as_object()?;
        let members = |name: &str| object.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        let settings = super::merge::flatten_settings(&members("settings"));
        Some(ObservedIndex {
            uuid: settings.get("index.uuid").and_then(Value::as_str).map(str::to_owned),
            settings,
            mapping: members("mappings"),
            aliases: members("aliases"),
            data_stream: object.get("data_stream").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_index_without_its_parts_is_no_answer() {
        let members = |value: Value| value.as_object().unwrap().clone();
        let whole = json!({"aliases": {}, "mappings": {}, "settings": {"index.uuid": "A"}});
        assert!(Observed::of_indices(&members(json!({"x": whole}))).unwrap().knows("x"));
        assert!(Observed::of_indices(&members(json!({}))).unwrap().is_empty());
        for part in ["aliases", "mappings", "settings"] {
            let mut cut = whole.clone();
            cut.as_object_mut().unwrap().remove(part);
            assert_eq!(Observed::of_indices(&members(json!({"x": cut}))), None, "{part}");
        }
        for body in [json!({"x": {}}), json!({"x": 1}), json!({"x": {"settings": {}}}), json!({"error": "x"})] {
            assert_eq!(Observed::of_uuids(&members(body.clone())), None, "{body}");
        }
        let uuids = Observed::of_uuids(&members(json!({"x": {"settings": {"index.uuid": "A"}}}))).unwrap();
        assert_eq!(uuids.uuid("x"), Some("A"));
    }

    #[test]
    fn an_answer_is_read() {
        let observed = Observed::read(&json!({
            "x-000001": {
                "aliases": {"x": {}, "x-live": {"filter": {"match_all": {}}}},
                "mappings": {"date_detection": false},
                "settings": {"index.uuid": "U1", "index.gc_deletes": "1h"}
            },
            ".ds-y-000001": {"aliases": {}, "data_stream": "y", "settings": {"index": {"uuid": "U2"}}}
        }));
        let index = observed.index("x-000001").unwrap();
        assert_eq!(index.uuid.as_deref(), Some("U1"));
        assert_eq!(index.settings.get("index.gc_deletes"), Some(&json!("1h")));
        assert_eq!(index.mapping.get("date_detection"), Some(&json!(false)));
        assert_eq!(observed.behind_alias("x-live"), ["x-000001"]);
        assert!(observed.behind_alias("z").is_empty());
        assert!(observed.is_data_stream("y"));
        assert!(!observed.is_data_stream("x"));
        assert_eq!(observed.uuid(".ds-y-000001"), Some("U2"));
        assert_eq!(observed.uuid("y"), None);
        assert_eq!(Observed::read(&json!({})), Observed::default());
    }
}
