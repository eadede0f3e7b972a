use serde_json::json;

use super::*;
use crate::index::catalog::{Catalog, SetupContext, TableFacts};
use crate::index::merge::flatten_settings;
use crate::index::samples::{config, session_route};
use crate::index::wanted::Offering;

fn wanted() -> Wanted {
    let facts = TableFacts { key_attributes: vec!["user_id".into(), "session_id".into()], ..TableFacts::default() };
    let catalog = Catalog::new(&config(vec![session_route()]), &SetupContext::new().with_table("sessions", facts));
    let entry = catalog.entries().iter().find(|entry| entry.text == "sessions").unwrap();
    Wanted::new(entry, "sessions", Offering::Cluster)
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn codes(findings: Vec<Finding>) -> Vec<Code> {
    findings.into_iter().map(|finding| finding.code).collect()
}

#[test]
fn what_set_up_makes_is_safe() {
    let wanted = wanted();
    assert_eq!(codes(inspect(&wanted.settings, &wanted.mapping, &wanted.fields)), []);
}

#[test]
fn an_index_left_to_itself_is_unsafe_in_these_ways() {
    let mut fields = wanted().fields;
    fields.keys_unknown = true;
    let mapping = object(json!({"properties": {
        "price": {"type": "float"},
        "nested": {"properties": {"share": {"type": "half_float"}}},
        "user_id": {"type": "text"},
        "session_id": {"type": "keyword"},
        "expires_at": {"type": "long"}
    }}));
    let findings = inspect(&FlatSettings::new(), &mapping, &fields);
    let floats = findings.iter().find(|finding| finding.code == Code::FloatFields).unwrap();
    assert!(
        floats.message.ends_with("2 fields keep only few digits for searches and sorting: nested, price"),
        "{floats}"
    );
    assert_eq!(
        codes(findings),
        [
            Code::DateDetection,
            Code::DynamicIntegers,
            Code::DynamicDecimals,
            Code::IgnoreMalformedOff,
            Code::GcDeletes,
            Code::DepthLimit,
            Code::KeysUnknown,
            Code::TtlNotDate,
            Code::NotKeyword,
            Code::FloatFields,
        ]
    );
}

/// One row per change to a safe index, and the one finding that it must give.
#[test]
fn each_change_is_found() {
    let setting = |settings: Value| (settings, json!({}));
    let mapping = |mapping: Value| (json!({}), mapping);
    let rows = [
        (setting(json!({"gc_deletes": "60s"})), Code::GcDeletes),
        (setting(json!({"gc_deletes": "soon"})), Code::GcDeletes),
        (setting(json!({"mapping.depth.limit": "20"})), Code::DepthLimit),
        (setting(json!({"blocks.write": "true"})), Code::Blocked),
        (setting(json!({"replication.type": "SEGMENT"})), Code::SegmentReplication),
        (setting(json!({"default_pipeline": "stamp"})), Code::Pipeline),
        (setting(json!({"final_pipeline": "stamp"})), Code::Pipeline),
        (mapping(json!({"date_detection": "true"})), Code::DateDetection),
        (mapping(json!({"dynamic": "strict"})), Code::StrictDynamic),
        (mapping(json!({"_source": {"enabled": false}})), Code::SourceChanged),
        (mapping(json!({"_source": {"excludes": ["a"]}})), Code::SourceChanged),
        (mapping(json!({"_routing": {"required": true}})), Code::RoutingRequired),
        (mapping(json!({"properties": {"price": {"type": "float"}}})), Code::FloatFields),
        (mapping(json!({"properties": {"user_id": {"type": "text"}}})), Code::NotKeyword),
        (mapping(json!({"properties": {"expires_at": {"ignore_malformed": false}}})), Code::TtlNotDate),
        (
            mapping(
                json!({"dynamic_templates": [{"l": {"match_mapping_type": "long", "mapping": {"type": "integer"}}}]}),
            ),
            Code::DynamicIntegers,
        ),
        (
            mapping(
                json!({"dynamic_templates": [{"l": {"match_mapping_type": "double", "mapping": {"type": "float"}}}]}),
            ),
            Code::DynamicDecimals,
        ),
    ];
    for ((settings, mapping), code) in rows {
        let wanted = wanted();
        let settings = super::super::merge::merge_settings(wanted.settings, &flatten_settings(&object(settings)));
        let mapping = super::super::merge::merge_mapping(wanted.mapping, &object(mapping));
        let findings = inspect(&settings, &mapping, &wanted.fields);
        assert_eq!(codes(findings.clone()), [code], "{findings:?}");
        assert!(findings.iter().all(|finding| !finding.hint.is_empty()));
    }
}

/// What a pipeline adds is searched and not kept; its decimals are another matter.
#[test]
fn a_pipeline_whose_fields_are_not_kept_changes_decimals_alone() {
    let wanted = wanted();
    let settings = super::super::merge::merge_settings(
        wanted.settings,
        &flatten_settings(&object(json!({"default_pipeline": "stamp"}))),
    );
    let mapping =
        super::super::merge::merge_mapping(wanted.mapping, &object(json!({"_source": {"excludes": ["vector"]}})));
    let findings = inspect(&settings, &mapping, &wanted.fields);
    assert!(findings.len() == 1 && findings[0].message.contains("decimals"), "{findings:?}");
}

#[test]
fn templates_for_some_fields_alone_are_passed_over() {
    let wanted = wanted();
    let narrow = json!({"dynamic_templates": [{"l": {"match": "count_*", "match_mapping_type": "long", "mapping": {"type": "integer"}}}]});
    let mapping = super::super::merge::merge_mapping(wanted.mapping, &object(narrow));
    assert_eq!(codes(inspect(&wanted.settings, &mapping, &wanted.fields)), []);
}

#[test]
fn values_that_came_back_as_text_are_no_difference() {
    let wanted = wanted();
    let settings: FlatSettings =
        wanted.settings.iter().map(|(name, value)| (name.clone(), Value::String(text_of(value)))).collect();
    assert_eq!(codes(differences(&wanted, &settings, &wanted.mapping)), []);
    let other = merge(&settings, json!({"gc_deletes": "2h"}));
    let mapping = object(json!({"properties": {"user_id": {"type": "text"}, "session_id": {"type": "keyword"}}}));
    let found = differences(&wanted, &other, &mapping);
    assert_eq!(codes(found), [Code::SettingDiffers, Code::FieldDiffers, Code::FieldDiffers]);
}

fn merge(settings: &FlatSettings, more: Value) -> FlatSettings {
    super::super::merge::merge_settings(settings.clone(), &flatten_settings(&object(more)))
}

#[test]
fn times_are_read_as_opensearch_writes_them() {
    for (text, wanted) in [
        ("1h", Some(HOUR_MS)),
        ("60m", Some(HOUR_MS)),
        ("90s", Some(90_000)),
        ("5ms", Some(5)),
        ("2d", Some(48 * HOUR_MS)),
        ("0", Some(0)),
        ("-1", None),
        ("h", None),
        ("", None),
    ] {
        assert_eq!(milliseconds(text), wanted, "{text}");
    }
}
