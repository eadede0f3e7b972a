//! Finds unsafe settings and mappings of an index, each with a remedy. Pure.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::catalog::Fields;
use super::finding::{Code, Finding};
use super::merge::FlatSettings;
use super::wanted::Wanted;

const HOUR_MS: u64 = 3_600_000;
const DEEPEST_ITEM: u64 = 33;

/// All findings about an index with these settings and this mapping.
pub fn inspect(settings: &FlatSettings, mapping: &Map<String, Value>, fields: &Fields) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(of_dynamic_mapping(mapping));
    findings.extend(of_settings(settings, fields));
    findings.extend(of_documents(settings, mapping, fields));
    findings.extend(of_fields(settings, mapping, fields));
    findings
}

fn of_dynamic_mapping(mapping: &Map<String, Value>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let dynamic = mapping.get("dynamic").map_or_else(|| "true".to_owned(), text_of);
    if dynamic.starts_with("strict") {
        findings.push(Finding::new(
            Code::StrictDynamic,
            "the mapping is strict: an item with an unmapped attribute becomes a dead letter",
            "set `dynamic` to true or false, or list the attributes with `include`",
        ));
    }
    if dynamic != "true" {
        return findings;
    }
    if mapping.get("date_detection").is_none_or(|value| text_of(value) != "false") {
        findings.push(Finding::new(
            Code::DateDetection,
            "date detection is on: after a first text that looks like a date, the field refuses other texts",
            "set `date_detection` to false in the mapping",
        ));
    }
    if !template_is_wide(mapping, "long") {
        findings.push(Finding::new(
            Code::DynamicIntegers,
            "a new field with a whole number becomes `long`, which refuses 38 digits or a list with decimals later",
            "add a dynamic template that maps `long` to `double`",
        ));
    }
    if !template_is_wide(mapping, "double") {
        findings.push(Finding::new(
            Code::DynamicDecimals,
            "a new field with a decimal becomes `float`, which keeps only 7 digits for searches and sorting",
            "add a dynamic template that maps `double` to `double`",
        ));
    }
    findings
}

/// Whether the first dynamic template for a detected type maps it to a type that holds every number.
fn template_is_wide(mapping: &Map<String, Value>, detected: &str) -> bool {
    const WIDE: [&str; 4] = ["double", "keyword", "text", "match_only_text"];
    let templates = mapping.get("dynamic_templates").and_then(Value::as_array).into_iter().flatten();
    let bodies = templates.filter_map(Value::as_object).flat_map(Map::values);
    let first = bodies.filter_map(Value::as_object).find(|body| {
        let kind = body.get("match_mapping_type").and_then(Value::as_str);
        let narrowed = body.keys().any(|key| key != "match_mapping_type" && key.contains("match"));
        !narrowed && kind.is_none_or(|kind| kind == detected || kind == "*")
    });
    let mapped =
        first.and_then(|body| body.get("mapping")).and_then(|mapping| mapping.get("type")).and_then(Value::as_str);
    mapped.is_some_and(|kind| WIDE.contains(&kind))
}

fn of_settings(settings: &FlatSettings, fields: &Fields) -> Vec<Finding> {
    let mut findings = Vec::new();
    let text = |name: &str| settings.get(name).map(text_of);
    if text("index.mapping.ignore_malformed").as_deref() != Some("true") {
        findings.push(Finding::new(
            Code::IgnoreMalformedOff,
            "`index.mapping.ignore_malformed` is off: an item with text in a number field becomes a dead letter",
            "create the index with `index.mapping.ignore_malformed: true`",
        ));
    }
    let gc_deletes = text("index.gc_deletes").map_or(Some(60_000), |value| milliseconds(&value));
    if gc_deletes.is_none_or(|value| value < HOUR_MS) {
        findings.push(Finding::new(
            Code::GcDeletes,
            "`index.gc_deletes` is below 1h: deletes are forgotten early, and a late older write could bring a document back",
            "set `index.gc_deletes` to 1h; it can be changed on an open index",
        ));
    }
    let depth = text("index.mapping.depth.limit").and_then(|value| value.parse().ok()).unwrap_or(20);
    if depth < DEEPEST_ITEM {
        findings.push(Finding::new(
            Code::DepthLimit,
            format!("`index.mapping.depth.limit` is {depth}, but items nest up to 32 levels"),
            "set `index.mapping.depth.limit` to 40; it can be changed on an open index",
        ));
    }
    for block in ["index.blocks.write", "index.blocks.read_only"] {
        if text(block).as_deref() == Some("true") {
            findings.push(Finding::new(
                Code::Blocked,
                format!("`{block}` is set: nothing can be written"),
                "remove the block from the index",
            ));
        }
    }
    if text("index.replication.type").as_deref() == Some("SEGMENT") {
        findings.push(Finding::new(
            Code::SegmentReplication,
            "with segment replication a delete is forgotten when a shard moves or a replica is promoted",
            "use document replication if late redeliveries must never bring a deleted document back",
        ));
    }
    if fields.keys_unknown {
        findings.push(Finding::new(
            Code::KeysUnknown,
            "the table's key attributes are unknown, so they are mapped like any other text",
            "name them with `id` in the route, or give access to DescribeTable",
        ));
    }
    findings
}

fn of_documents(settings: &FlatSettings, mapping: &Map<String, Value>, fields: &Fields) -> Vec<Finding> {
    let mut findings = Vec::new();
    let source = mapping.get("_source").and_then(Value::as_object);
    let disabled =
        source.is_some_and(|source| source.get("enabled").is_some_and(|enabled| text_of(enabled) == "false"));
    let says = |key: &str| source.is_some_and(|source| source.contains_key(key));
    let pipelines: Vec<(&str, String)> = ["index.default_pipeline", "index.final_pipeline"]
        .into_iter()
        .filter_map(|name| Some((name, settings.get(name).map(text_of).filter(|pipeline| pipeline != "_none")?)))
        .collect();
    // What a pipeline adds is kept out of `_source`, so that documents are what their items give.
    let leaves_out_what_is_added = says("excludes") && !pipelines.is_empty();
    if disabled || says("includes") || says("excludes") && !leaves_out_what_is_added {
        findings.push(Finding::new(
            Code::SourceChanged,
            "the index does not keep whole documents (`_source`), so it cannot be compared with the table",
            "remove `_source` from the mapping; to leave out attributes, use `exclude` in the route",
        ));
    }
    for (name, pipeline) in &pipelines {
        let (changes, hint) = if leaves_out_what_is_added {
            // Seen on OpenSearch 3.8: 12345678.9 is kept as 1.23456789E7.
            (
                "OpenSearch changes how decimals are written",
                "write decimals as strings: `numbers = \"string\"`, or `numbers_as_string`",
            )
        } else {
            (
                "it changes documents",
                "keep the added fields out of `_source` (docs/mappings.md), or remove the pipeline from the index",
            )
        };
        let message = format!("`{name}` is {pipeline:?}: {changes}, so documents will differ from the table");
        findings.push(Finding::new(Code::Pipeline, message, hint));
    }
    let required = mapping
        .get("_routing")
        .and_then(|routing| routing.get("required"))
        .is_some_and(|required| text_of(required) == "true");
    if required && fields.unrouted {
        findings.push(Finding::new(
            Code::RoutingRequired,
            "the mapping requires routing, but a route to this index has none: its writes will be refused",
            "add `routing` to the route, or remove `_routing.required` from the mapping",
        ));
    }
    findings
}

fn of_fields(settings: &FlatSettings, mapping: &Map<String, Value>, fields: &Fields) -> Vec<Finding> {
    let mut findings = Vec::new();
    let property = |field: &String| mapping.get("properties").and_then(|properties| properties.get(field));
    let ignored = settings.get("index.mapping.ignore_malformed").is_some_and(|value| text_of(value) == "true");
    for field in &fields.ttl {
        let date = property(field).is_some_and(|property| is_date_in_seconds(property, ignored));
        if !date {
            findings.push(Finding::new(
                Code::TtlNotDate,
                format!("the TTL field `{field}` is not mapped as a date in seconds that ignores other values"),
                "map it as `date` with format `epoch_second` and `ignore_malformed`; the live alias and archives need it",
            ));
        }
    }
    for field in fields.only_keywords() {
        let whole = property(field).and_then(|property| property.get("type")).and_then(Value::as_str);
        if !matches!(whole, Some("keyword" | "constant_keyword" | "wildcard")) {
            findings.push(Finding::new(
                Code::NotKeyword,
                format!("the field `{field}` (a key, routing or `when` attribute) is not mapped as keyword"),
                "map it as `keyword`, so that searches match it exactly",
            ));
        }
    }
    let mut floats = BTreeSet::new();
    collect_floats(mapping, "", &mut floats);
    if !floats.is_empty() {
        // Names inside objects are keys of maps, and so content.
        let attributes: BTreeSet<&str> = floats.iter().filter_map(|path| path.split('.').next()).collect();
        let named: Vec<&str> = attributes.into_iter().take(5).collect();
        findings.push(Finding::new(
            Code::FloatFields,
            format!("{} fields keep only few digits for searches and sorting: {}", floats.len(), named.join(", ")),
            "map the table's numbers as `double`",
        ));
    }
    findings
}

fn is_date_in_seconds(property: &Value, ignored: bool) -> bool {
    let text = |name: &str| property.get(name).map(text_of);
    let lets_pass = text("ignore_malformed").map_or(ignored, |value| value == "true");
    text("type").as_deref() == Some("date")
        && text("format").is_some_and(|format| format.contains("epoch_second"))
        && lets_pass
}

fn collect_floats(object: &Map<String, Value>, path: &str, floats: &mut BTreeSet<String>) {
    let properties = object.get("properties").and_then(Value::as_object).into_iter().flatten();
    for (name, property) in properties {
        let Some(property) = property.as_object() else { continue };
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if matches!(property.get("type").and_then(Value::as_str), Some("float" | "half_float")) {
            floats.insert(path.clone());
        }
        collect_floats(property, &path, floats);
    }
}

/// Where an index that streamdex made differs from what the configuration wants now.
pub fn differences(wanted: &Wanted, settings: &FlatSettings, mapping: &Map<String, Value>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, value) in &wanted.settings {
        let found = settings.get(name).map(text_of);
        if found.as_deref() != Some(text_of(value).as_str()) {
            let found = found.unwrap_or_else(|| "not set".to_owned());
            findings.push(Finding::new(
                Code::SettingDiffers,
                format!("`{name}` is {found} in the index, but {} in the configuration", text_of(value)),
                "change the setting on the index, or raise `generation` to create a new index",
            ));
        }
    }
    let properties = |mapping: &Map<String, Value>| {
        mapping.get("properties").and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let found = properties(mapping);
    for (field, property) in &properties(&wanted.mapping) {
        let kind = |property: Option<&Value>| {
            property.map(|property| property.get("type").map_or_else(|| "object".to_owned(), text_of))
        };
        let (mine, theirs) = (kind(Some(property)).unwrap_or_default(), kind(found.get(field)));
        if theirs.as_deref() != Some(mine.as_str()) {
            let theirs = theirs.unwrap_or_else(|| "not mapped".to_owned());
            findings.push(Finding::new(
                Code::FieldDiffers,
                format!("the field `{field}` is {theirs} in the index, but {mine} in the configuration"),
                "raise `generation` of this index to create a new one with the configured mapping",
            ));
        }
    }
    findings
}

/// Settings come back as texts, even those sent as numbers.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A time as OpenSearch writes it (`1h`, `90s`), in milliseconds.
fn milliseconds(text: &str) -> Option<u64> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(unit_at)?;
    let number: u64 = number.parse().ok()?;
    let factor = match unit {
        "d" => 24 * HOUR_MS,
        "h" => HOUR_MS,
        "m" => 60_000,
        "s" => 1_000,
        "ms" => 1,
        "micros" | "nanos" => 0,
        "" if number == 0 => 0,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests;
