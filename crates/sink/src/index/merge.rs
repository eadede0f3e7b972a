//! Merging: the safe settings and mapping with the user's, and a template with a create request.
//!
//! All of it is pure. The user wins everywhere; what the user does not mention stays safe.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Index settings by their full flat name (`index.gc_deletes`), as OpenSearch itself keeps them.
pub type FlatSettings = BTreeMap<String, Value>;

const SETTINGS_PREFIX: &str = "index.";

/// Brings settings into one form, however they are written: short (`number_of_shards`), flat
/// (`index.number_of_shards`), nested (`index = { number_of_shards = 3 }`), or a mixture.
pub fn flatten_settings(settings: &Map<String, Value>) -> FlatSettings {
    let mut flat = FlatSettings::new();
    flatten_into(&mut flat, "", settings);
    flat
}

fn flatten_into(flat: &mut FlatSettings, path: &str, settings: &Map<String, Value>) {
    for (key, value) in settings {
        let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Object(nested) => flatten_into(flat, &name, nested),
            leaf => {
                let full = if name.starts_with(SETTINGS_PREFIX) { name } else { format!("{SETTINGS_PREFIX}{name}") };
                flat.insert(full, leaf.clone());
            }
        }
    }
}

/// The safe settings, overridden by the user's; a `null` of the user's takes a safe setting away.
pub fn merge_settings(mut safe: FlatSettings, user: &FlatSettings) -> FlatSettings {
    for (name, value) in user {
        if value.is_null() {
            safe.remove(name);
        } else {
            safe.insert(name.clone(), value.clone());
        }
    }
    safe
}

/// The safe mapping, overridden by the user's.
///
/// Objects are merged member by member. A field with another type in the user's mapping is taken from the user only,
/// since parameters of one type are errors on another. Dynamic templates of the user's come before the safe ones,
/// because the first that matches is used. A `null` takes a member away.
pub fn merge_mapping(mut safe: Map<String, Value>, user: &Map<String, Value>) -> Map<String, Value> {
    for (key, theirs) in user {
        match key.as_str() {
            "dynamic_templates" => {
                let ours = safe.remove(key).unwrap_or(Value::Null);
                safe.insert(key.clone(), users_templates_first(&ours, theirs));
            }
            "properties" => merge_member(&mut safe, key, theirs, &merge_properties),
            _ => merge_member(&mut safe, key, theirs, &merge_objects),
        }
    }
    safe
}

type MergeObjects = dyn Fn(Map<String, Value>, &Map<String, Value>) -> Map<String, Value>;

fn merge_member(ours: &mut Map<String, Value>, key: &str, theirs: &Value, merge: &MergeObjects) {
    let merged = match (ours.remove(key), theirs) {
        (_, Value::Null) => return,
        (Some(Value::Object(mine)), Value::Object(users)) => Value::Object(merge(mine, users)),
        _ => theirs.clone(),
    };
    ours.insert(key.to_owned(), merged);
}

fn merge_objects(mut ours: Map<String, Value>, theirs: &Map<String, Value>) -> Map<String, Value> {
    for (key, value) in theirs {
        merge_member(&mut ours, key, value, &merge_objects);
    }
    ours
}

fn merge_properties(mut ours: Map<String, Value>, theirs: &Map<String, Value>) -> Map<String, Value> {
    for (field, value) in theirs {
        merge_member(&mut ours, field, value, &merge_field);
    }
    ours
}

fn merge_field(ours: Map<String, Value>, theirs: &Map<String, Value>) -> Map<String, Value> {
    // Fields inside of an object that has no word of its own in ours: as `nested`, they are the same ones.
    if let (None, Some(Value::Object(mine)), Some(Value::Object(users))) =
        (ours.get("type"), ours.get("properties"), theirs.get("properties"))
    {
        let mut merged = theirs.clone();
        merged.insert("properties".to_owned(), merge_properties(mine.clone(), users).into());
        return merged;
    }
    let other_type = theirs.get("type").is_some_and(|kind| ours.get("type") != Some(kind));
    // A field with `properties` and no type is an object.
    if other_type || theirs.contains_key("properties") { theirs.clone() } else { merge_objects(ours, theirs) }
}

fn users_templates_first(ours: &Value, theirs: &Value) -> Value {
    let mut templates = template_list(theirs);
    let kept: Vec<Value> = template_list(ours).into_iter().filter(|mine| !holds_name(&templates, mine)).collect();
    templates.extend(kept);
    Value::Array(templates)
}

/// What OpenSearch makes of a matching template's mapping and the mapping of a create request
/// (seen alike on Elasticsearch 7.10 and OpenSearch 1.3, 2.19 and 3.8): the request wins field by field;
/// dynamic templates of the template come first, those of the same name are replaced in their place.
pub fn overlay_mapping(mut template: Map<String, Value>, request: &Map<String, Value>) -> Map<String, Value> {
    for (key, theirs) in request {
        match key.as_str() {
            "dynamic_templates" => {
                let below = template.remove(key).unwrap_or(Value::Null);
                template.insert(key.clone(), templates_replaced_in_place(&below, theirs));
            }
            "properties" => merge_member(&mut template, key, theirs, &merge_properties),
            _ => merge_member(&mut template, key, theirs, &merge_objects),
        }
    }
    template
}

fn templates_replaced_in_place(below: &Value, over: &Value) -> Value {
    let over = template_list(over);
    let below = template_list(below);
    let mut merged: Vec<Value> = below
        .iter()
        .map(|template| over.iter().find(|candidate| same_name(candidate, template)).unwrap_or(template).clone())
        .collect();
    merged.extend(over.into_iter().filter(|template| !holds_name(&below, template)));
    Value::Array(merged)
}

/// Dynamic templates are a list of objects with one member each, whose key is the name.
fn template_list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn holds_name(list: &[Value], template: &Value) -> bool {
    list.iter().any(|candidate| same_name(candidate, template))
}

fn same_name(left: &Value, right: &Value) -> bool {
    let name = |template: &Value| template.as_object().and_then(|object| object.keys().next().cloned());
    name(left) == name(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn settings_of_every_form_are_one() {
        let flat = |value: Value| flatten_settings(&object(value));
        let wanted = flat(json!({"index.number_of_shards": 3}));
        assert_eq!(wanted.keys().collect::<Vec<_>>(), ["index.number_of_shards"]);
        assert_eq!(flat(json!({"number_of_shards": 3})), wanted);
        assert_eq!(flat(json!({"index": {"number_of_shards": 3}})), wanted);
        let deep = flat(
            json!({"mapping": {"depth": {"limit": 9}}, "index.mapping.nested_fields": {"limit": 4}, "analysis": {"filter": {"f": {"stopwords": ["a"]}}}}),
        );
        assert_eq!(
            deep.into_iter().collect::<Vec<_>>(),
            [
                ("index.analysis.filter.f.stopwords".to_owned(), json!(["a"])),
                ("index.mapping.depth.limit".to_owned(), json!(9)),
                ("index.mapping.nested_fields.limit".to_owned(), json!(4)),
            ]
        );
    }

    #[test]
    fn the_users_settings_win_and_null_takes_away() {
        let safe = flatten_settings(&object(json!({"gc_deletes": "1h", "mapping.depth.limit": 40})));
        let user = flatten_settings(&object(json!({"index": {"gc_deletes": null}, "number_of_shards": 2})));
        let merged = merge_settings(safe, &user);
        assert_eq!(merged, flatten_settings(&object(json!({"mapping.depth.limit": 40, "number_of_shards": 2}))));
    }

    #[test]
    fn fields_of_the_users_type_are_the_users_alone() {
        let safe = object(json!({"properties": {
            "id": {"type": "keyword", "ignore_above": 8191},
            "kind": {"type": "keyword", "ignore_above": 8191},
            "at": {"type": "date", "format": "epoch_second"},
            "who": {"type": "keyword"}
        }}));
        let user = object(json!({"properties": {
            "id": {"type": "long"},
            "kind": {"type": "keyword", "ignore_above": 10},
            "at": {"ignore_malformed": true},
            "who": {"properties": {"name": {"type": "text"}}},
            "new": {"type": "geo_point"}
        }}));
        let merged = merge_mapping(safe, &user);
        assert_eq!(
            Value::Object(merged),
            json!({"properties": {
                "id": {"type": "long"},
                "kind": {"type": "keyword", "ignore_above": 10},
                "at": {"type": "date", "format": "epoch_second", "ignore_malformed": true},
                "who": {"properties": {"name": {"type": "text"}}},
                "new": {"type": "geo_point"}
            }})
        );
    }

    #[test]
    fn the_users_dynamic_templates_come_first_and_replace_by_name() {
        let safe = object(json!({"date_detection": false, "dynamic_templates": [{"a": {"x": 1}}, {"b": {"x": 1}}]}));
        let user = object(json!({"date_detection": true, "dynamic_templates": [{"c": {"x": 2}}, {"b": {"x": 2}}]}));
        assert_eq!(
            Value::Object(merge_mapping(safe, &user)),
            json!({"date_detection": true, "dynamic_templates": [{"c": {"x": 2}}, {"b": {"x": 2}}, {"a": {"x": 1}}]})
        );
    }

    #[test]
    fn other_members_are_merged_or_replaced() {
        let safe = object(json!({"_meta": {"streamdex": {"a": 1}}, "dynamic": true}));
        let user = object(json!({"_meta": {"team": "x"}, "dynamic": "strict", "_routing": {"required": true}}));
        assert_eq!(
            Value::Object(merge_mapping(safe, &user)),
            json!({"_meta": {"streamdex": {"a": 1}, "team": "x"}, "dynamic": "strict", "_routing": {"required": true}})
        );
    }

    /// The expected value is what all four engines answered.
    #[test]
    fn a_request_lies_over_a_template_as_in_opensearch() {
        let template = object(json!({
            "_meta": {"x": 1},
            "dynamic_templates": [{"mine": {"m": 1}}, {"long": {"m": "float"}}],
            "properties": {"k": {"type": "text", "fields": {"z": {"type": "keyword"}}}, "o": {"type": "long"}}
        }));
        let request = object(json!({
            "_meta": {"streamdex": {"g": 1}},
            "date_detection": false,
            "dynamic_templates": [{"long": {"m": "double"}}, {"str": {"m": "text"}}],
            "properties": {"k": {"type": "keyword", "ignore_above": 8191}}
        }));
        assert_eq!(
            Value::Object(overlay_mapping(template, &request)),
            json!({
                "_meta": {"x": 1, "streamdex": {"g": 1}},
                "date_detection": false,
                "dynamic_templates": [{"mine": {"m": 1}}, {"long": {"m": "double"}}, {"str": {"m": "text"}}],
                "properties": {"k": {"type": "keyword", "ignore_above": 8191}, "o": {"type": "long"}}
            })
        );
    }
}
