//! The filter of the `NAME-live` alias, which hides expired items that DynamoDB has not deleted yet. Pure.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// DynamoDB never deletes an item whose TTL lies more than five years of 365 days in the past, 0 included, so such an item
/// is no expired one (Amazon DynamoDB Developer Guide, "Using time to live (TTL) in DynamoDB").
const LONGEST_AGO: &str = "now-157680000s";

/// The filter over these TTL fields. Documents without a TTL must stay visible, so the filter names the hidden ones,
/// not the visible ones.
pub(super) fn filter(fields: &BTreeSet<String>) -> Value {
    hidden(fields, &json!({"gte": LONGEST_AGO, "lt": "now"}))
}

/// Whether a filter is one that an earlier version made for these fields.
pub(super) fn is_of_earlier_version(filter: &Value, fields: &BTreeSet<String>) -> bool {
    let earlier = [json!({"lte": "now"})];
    earlier.iter().any(|range| canonical(filter) == canonical(&hidden(fields, range)))
}

/// Whether two filters mean the same. Engines write a sole element without its list.
pub(super) fn is_same(one: Option<&Value>, other: Option<&Value>) -> bool {
    one.map(canonical) == other.map(canonical)
}

fn hidden(fields: &BTreeSet<String>, range: &Value) -> Value {
    let expired: Vec<Value> = fields.iter().map(|field| json!({"range": {field: range}})).collect();
    json!({"bool": {"must_not": expired}})
}

fn canonical(filter: &Value) -> Value {
    match filter {
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), canonical(value))).collect(),
        Value::Array(elements) => match elements.as_slice() {
            [one] => canonical(one),
            several => several.iter().map(canonical).collect(),
        },
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_filters_of_an_earlier_version_are_known_as_such() {
        let fields = BTreeSet::from(["until".to_owned()]);
        let plain = json!({"bool": {"must_not": {"range": {"until": {"lte": "now"}}}}});
        assert!(is_of_earlier_version(&plain, &fields));
        assert!(!is_of_earlier_version(&filter(&fields), &fields));
        assert!(!is_of_earlier_version(&json!({"match_all": {}}), &fields));
        assert!(!is_of_earlier_version(&plain, &BTreeSet::from(["other".to_owned()])));
    }
}
