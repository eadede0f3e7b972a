//! The wanted state of one index: names, settings, mapping, aliases, template.

use serde_json::{Map, Value, json};
use streamdex_config::{IndexSettings, Manage};
use streamdex_mapping::EXPIRED_AT;

use super::catalog::{Entry, Fields};
use super::live;
use super::merge::{FlatSettings, flatten_settings, merge_mapping, merge_settings};
use super::owner::Owner;

/// The wanted state of one logical index.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The logical name, which is also the search alias.
    pub index: String,
    /// The name that documents are written to.
    pub concrete: String,
    /// Who makes the index.
    pub manage: Manage,
    /// What `_meta.streamdex` says.
    pub owner: Owner,
    /// The settings, flat.
    pub settings: FlatSettings,
    /// The mapping, with `_meta`.
    pub mapping: Map<String, Value>,
    /// The fields that set-up knows.
    pub fields: Fields,
}

/// An alias that set-up makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alias {
    /// `NAME`: everything, for searches.
    Reader,
    /// `NAME-live`: without what has expired and was not deleted yet.
    Live,
}

/// Settings that an engine takes or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Offering {
    /// A cluster: all of them.
    #[default]
    Cluster,
    /// OpenSearch Serverless, which keeps the life of tombstones to itself.
    Serverless,
}

/// Templates of others for everything are mostly at 0 or 100, and those shipped with the engines at 100
/// to 200. The length is added because equal priorities of overlapping patterns are refused, and those of an earlier
/// version (`sessions-*`, at 200 and the length of the name) may still be there.
const TEMPLATE_PRIORITY: usize = 200;
/// Items nest to 32 levels; the engines' own limit is 20.
const DEPTH_LIMIT: u32 = 40;
/// How long a delete is remembered. The engines' own value is 60 s, too short for a late redelivery.
const GC_DELETES: &str = "1h";
/// In characters; 4 bytes each stay below the 32,766 bytes that a term may have, so that a long value
/// is not searchable instead of refused.
const KEYWORD_LIMIT: u32 = 8191;

// === impl Wanted ===

impl Wanted {
    /// The wanted state of the index `name` that belongs to `entry`.
    pub(crate) fn new(entry: &Entry, name: &str, offering: Offering) -> Wanted {
        let IndexSettings { manage, generation, .. } = entry.settings;
        let concrete = of_generation(name, manage, generation);
        let (user_settings, user_mapping) = users_part(&entry.settings);
        let mut mapping = merge_mapping(safe_mapping(&entry.fields), &user_mapping);
        // Last, since the owner is not the user's to choose.
        mapping = merge_mapping(mapping, &Map::from_iter([("_meta".to_owned(), entry.owner.to_meta())]));
        Wanted {
            index: name.to_owned(),
            concrete,
            manage,
            owner: entry.owner.clone(),
            settings: merge_settings(safe_settings(offering), &user_settings),
            mapping,
            fields: entry.fields.clone(),
        }
    }

    /// The aliases that the index should have.
    pub fn aliases(&self) -> Vec<Alias> {
        let live = (!self.fields.live.is_empty()).then_some(Alias::Live);
        std::iter::once(Alias::Reader).chain(live).collect()
    }

    /// The name of an alias.
    pub fn alias_name(&self, alias: Alias) -> String {
        match alias {
            Alias::Reader => self.index.clone(),
            Alias::Live => format!("{}-live", self.index),
        }
    }

    /// An alias as OpenSearch takes it.
    pub fn alias_body(&self, alias: Alias) -> Value {
        match alias {
            Alias::Reader => json!({}),
            Alias::Live => json!({"filter": live::filter(&self.fields.live)}),
        }
    }

    /// The body that creates the index with some of its aliases.
    pub fn create_body(&self, aliases: &[Alias]) -> Value {
        let aliases: Map<String, Value> =
            aliases.iter().map(|alias| (self.alias_name(*alias), self.alias_body(*alias))).collect();
        json!({"settings": self.settings, "mappings": self.mapping, "aliases": aliases})
    }

    /// The name of the index template: each generation has one, so that a new one changes nothing for those before.
    pub fn template_name(&self) -> String {
        format!("streamdex-{}", self.concrete)
    }

    /// The priority of the index template.
    pub fn template_priority(&self) -> usize {
        TEMPLATE_PRIORITY + self.concrete.len()
    }

    /// The index template of this generation. It keeps an index that something else creates by mistake, as a delete of a
    /// document does after the index is gone, from losing documents to dynamic mapping; the owner is left out of its
    /// mapping, so that such an index is not taken for one of ours.
    pub fn template_body(&self) -> Value {
        let mut mapping = self.mapping.clone();
        let meta = mapping.remove("_meta").unwrap_or_default();
        json!({
            "index_patterns": [self.concrete],
            "priority": self.template_priority(),
            "template": {"settings": self.settings, "mappings": mapping},
            "_meta": meta,
        })
    }
}

/// Under `create`, the index carries its generation in its name; otherwise it is the user's own.
pub(super) fn of_generation(index: impl std::fmt::Display, manage: Manage, generation: u32) -> String {
    match manage {
        Manage::Create => format!("{index}-{generation:06}"),
        Manage::Check | Manage::Never => index.to_string(),
    }
}

fn safe_settings(offering: Offering) -> FlatSettings {
    let mut settings = FlatSettings::from([
        ("index.mapping.ignore_malformed".to_owned(), json!(true)),
        ("index.mapping.depth.limit".to_owned(), json!(DEPTH_LIMIT)),
    ]);
    if offering == Offering::Cluster {
        settings.insert("index.gc_deletes".to_owned(), json!(GC_DELETES));
    }
    settings
}

fn safe_mapping(fields: &Fields) -> Map<String, Value> {
    let keyword = json!({"type": "keyword", "ignore_above": KEYWORD_LIMIT});
    // DynamoDB takes a TTL that is no number, and ignores it; so must the index.
    let ttl = json!({"type": "date", "format": "epoch_second", "ignore_malformed": true});
    let mut properties = Map::new();
    properties.extend(fields.keywords.iter().map(|field| (field.clone(), keyword.clone())));
    for path in &fields.dates {
        insert_at(&mut properties, path, date());
    }
    properties.extend(fields.points.iter().map(|field| (field.clone(), json!({"type": "geo_point"}))));
    properties.extend(fields.ttl.iter().map(|field| (field.clone(), ttl.clone())));
    if fields.archive {
        let date =
            json!({"type": "date", "format": "epoch_second||strict_date_optional_time", "ignore_malformed": true});
        properties.insert(EXPIRED_AT.to_owned(), date);
    }
    let templates = json!([
        {"streamdex_integers": {"match_mapping_type": "long", "mapping": {"type": "double"}}},
        {"streamdex_decimals": {"match_mapping_type": "double", "mapping": {"type": "double"}}},
        {"streamdex_strings": {"match_mapping_type": "string", "mapping": {
            "type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}
        }}},
    ]);
    Map::from_iter([
        ("date_detection".to_owned(), json!(false)),
        ("dynamic_templates".to_owned(), templates),
        ("properties".to_owned(), Value::Object(properties)),
    ])
}

/// A time of `dates`: milliseconds, or text as people and programs write it.
fn date() -> Value {
    json!({"type": "date", "format": "strict_date_optional_time||epoch_millis", "ignore_malformed": true})
}

/// Maps the field that these names lead to.
fn insert_at(properties: &mut Map<String, Value>, path: &[String], mapping: Value) {
    match path {
        [] => {}
        [field] => drop(properties.insert(field.clone(), mapping)),
        [object, inside @ ..] => {
            let object = properties.entry(object.clone()).or_insert_with(|| json!({"properties": {}}));
            if let Some(inner) = object.get_mut("properties").and_then(Value::as_object_mut) {
                insert_at(inner, inside, mapping);
            }
        }
    }
}

/// The user's settings and mapping. A mapping file may also be a whole index body, as `GET /NAME` or
/// the documentation of OpenSearch writes it: `{"mappings": …, "settings": …}`.
fn users_part(index: &IndexSettings) -> (FlatSettings, Map<String, Value>) {
    let from_table = flatten_settings(&index.settings);
    let file = index.mapping.clone().unwrap_or_default();
    let Some(Value::Object(mapping)) = file.get("mappings") else {
        return (from_table, file);
    };
    let mut settings = file.get("settings").and_then(Value::as_object).map(flatten_settings).unwrap_or_default();
    settings.extend(from_table);
    (settings, mapping.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::catalog::{Catalog, SetupContext, TableFacts};
    use crate::index::samples::{config, route, session_route};
    use streamdex_mapping::IndexName;

    fn wanted(settings: IndexSettings, name: &str) -> Wanted {
        let mut config = config(vec![session_route()]);
        config.indices.insert("sessions".into(), settings);
        let facts = TableFacts { key_attributes: vec!["user_id".into(), "session_id".into()], ..TableFacts::default() };
        let catalog = Catalog::new(&config, &SetupContext::new().with_table("sessions", facts));
        Wanted::new(catalog.find(&IndexName::parse(name).unwrap()).unwrap(), name, Offering::Cluster)
    }

    #[test]
    fn the_safe_state_of_an_index() {
        let wanted = wanted(IndexSettings::default(), "sessions");
        assert_eq!(wanted.concrete, "sessions-000001");
        let mut body = wanted.create_body(&wanted.aliases());
        let routes = body.pointer_mut("/mappings/_meta/streamdex/routes").unwrap().take();
        assert!(routes.as_str().is_some_and(|text| !text.is_empty()));
        assert_eq!(
            body,
            json!({
                "settings": {"index.gc_deletes": "1h", "index.mapping.depth.limit": 40, "index.mapping.ignore_malformed": true},
                "mappings": {
                    "_meta": {"streamdex": {"version_scheme": 1, "table": "sessions", "routes": null, "generation": 1}},
                    "date_detection": false,
                    "dynamic_templates": [
                        {"streamdex_integers": {"match_mapping_type": "long", "mapping": {"type": "double"}}},
                        {"streamdex_decimals": {"match_mapping_type": "double", "mapping": {"type": "double"}}},
                        {"streamdex_strings": {"match_mapping_type": "string", "mapping": {
                            "type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}}}
                    ],
                    "properties": {
                        "user_id": {"type": "keyword", "ignore_above": 8191},
                        "session_id": {"type": "keyword", "ignore_above": 8191},
                        "expires_at": {"type": "date", "format": "epoch_second", "ignore_malformed": true}
                    }
                },
                "aliases": {
                    "sessions": {},
                    "sessions-live": {"filter": {"bool": {"must_not": [{"range": {"expires_at": {"gte": "now-157680000s", "lt": "now"}}}]}}}
                }
            })
        );
    }

    #[test]
    fn an_archive_has_expired_at_and_no_live_alias() {
        let wanted = wanted(IndexSettings::default(), "sessions-expired");
        assert_eq!(wanted.aliases(), [Alias::Reader]);
        assert_eq!(Value::Object(wanted.mapping).pointer("/properties/expired_at/type"), Some(&json!("date")));
    }

    #[test]
    fn the_user_wins_and_the_owner_stays() {
        let settings = json!({"number_of_shards": 3, "index": {"gc_deletes": "2h"}});
        let file = json!({
            "settings": {"number_of_shards": 1, "number_of_replicas": 2},
            "mappings": {"_meta": {"streamdex": {"table": "stolen"}, "team": "x"}, "properties": {"user_id": {"type": "text"}}}
        });
        let wanted = wanted(
            IndexSettings {
                generation: 7,
                settings: settings.as_object().unwrap().clone(),
                mapping: file.as_object().cloned(),
                ..IndexSettings::default()
            },
            "sessions",
        );
        assert_eq!(wanted.concrete, "sessions-000007");
        let setting = |name: &str| wanted.settings.get(name).cloned();
        assert_eq!(setting("index.number_of_shards"), Some(json!(3)));
        assert_eq!(setting("index.number_of_replicas"), Some(json!(2)));
        assert_eq!(setting("index.gc_deletes"), Some(json!("2h")));
        let mapping = Value::Object(wanted.mapping.clone());
        assert_eq!(mapping.pointer("/_meta/streamdex/table"), Some(&json!("sessions")));
        assert_eq!(mapping.pointer("/_meta/streamdex/generation"), Some(&json!(7)));
        assert_eq!(mapping.pointer("/_meta/team"), Some(&json!("x")));
        assert_eq!(mapping.pointer("/properties/user_id"), Some(&json!({"type": "text"})));
        assert_eq!(mapping.pointer("/properties/session_id/type"), Some(&json!("keyword")));
    }

    #[test]
    fn check_and_never_write_to_the_name_itself() {
        for manage in [Manage::Check, Manage::Never] {
            let settings = IndexSettings { manage, generation: 4, ..IndexSettings::default() };
            assert_eq!(wanted(settings, "sessions").concrete, "sessions");
        }
    }

    #[test]
    fn n1_a_template_matches_one_generation() {
        let config = config(vec![route("orders"), route("orders-eu")]);
        let catalog = Catalog::new(&config, &SetupContext::new());
        let priority = |entry: &Entry| Wanted::new(entry, &entry.text, Offering::Cluster).template_priority();
        let priorities: Vec<usize> = catalog.entries().iter().map(priority).collect();
        assert_eq!(priorities, [213, 216]);
        let body = wanted(IndexSettings::default(), "sessions").template_body();
        assert_eq!(body.get("index_patterns"), Some(&json!(["sessions-000001"])));
        assert_eq!(body.pointer("/template/mappings/_meta"), None);
        assert!(body.pointer("/_meta/streamdex").is_some());
    }

    #[test]
    fn serverless_is_not_asked_for_gc_deletes() {
        assert!(!safe_settings(Offering::Serverless).contains_key("index.gc_deletes"));
    }
}
