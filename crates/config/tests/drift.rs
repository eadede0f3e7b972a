//! Parser and schema are one: what the one knows, the other knows.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use streamdex_config::{ConfigError, json_schema};

use crate::parse;

/// A table that the schema describes: its path, and the schema of it.
fn tables<'a>(path: &str, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    if let Some(any) = schema["anyOf"].as_array() {
        any.iter().filter(|one| one["type"] == "object").for_each(|one| tables(path, one, found));
    }
    if schema["type"] == "array" {
        tables(path, &schema["items"], found);
    }
    if let Some(properties) = schema["properties"].as_object() {
        found.push((path.to_owned(), schema));
        for (key, property) in properties {
            tables(format!("{path}.{key}").trim_start_matches('.'), property, found);
        }
    }
    if let Some(inner @ Value::Object(_)) = schema.get("additionalProperties") {
        tables(&format!("{path}.NAME"), inner, found);
    }
}

fn set(document: &mut Value, path: &str, key: &str, value: Value) {
    let mut place = document;
    for step in path.split('.').filter(|step| !step.is_empty()) {
        if place.is_array() {
            place = &mut place[0];
        }
        if place.get(step).is_none() {
            place[step] = if step == "route" { json!([{}]) } else { json!({}) };
        }
        place = &mut place[step];
    }
    if place.is_array() {
        place = &mut place[0];
    }
    place[key] = value;
}

fn problems(document: &Value) -> Vec<(String, String)> {
    let text = toml::to_string(document).unwrap();
    match parse(&text) {
        Ok(_) => Vec::new(),
        Err(error @ ConfigError::Problems(_)) => {
            error.problems().iter().map(|problem| (problem.path.clone(), problem.message.clone())).collect()
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn every_property_of_the_schema_is_described_and_known_to_the_loader() {
    let schema = json_schema();
    let mut found = Vec::new();
    tables("", &schema, &mut found);
    let names: BTreeSet<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    let expected = [
        "",
        "aws",
        "dead_letter",
        "http",
        "index.NAME",
        "lambda",
        "opensearch",
        "opensearch.auth",
        "route",
        "route.set.NAME",
        "route.ttl",
        "route.when",
        "source",
        "state",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    for (path, table) in found {
        for (key, property) in table["properties"].as_object().unwrap() {
            assert!(
                property["description"].as_str().is_some_and(|text| text.len() > 4),
                "{path}.{key} has no description"
            );
            let mut document = json!({});
            set(&mut document, &path, key, json!("x"));
            let unknown: Vec<_> =
                problems(&document).into_iter().filter(|(_, message)| message.starts_with("unknown key")).collect();
            assert_eq!(unknown, [], "{path}.{key}");
        }
    }
}

#[test]
fn neither_takes_a_key_that_the_other_does_not_know() {
    let schema = json_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut found = Vec::new();
    tables("", &schema, &mut found);
    for (path, _) in found {
        let mut document = json!({});
        set(&mut document, &path, "zzz", json!("x"));
        let seen = problems(&document);
        assert!(seen.iter().any(|(_, message)| message == "unknown key \"zzz\""), "{path}: {seen:?}");
        assert!(!validator.is_valid(&document), "{path}");
    }
}

#[test]
fn what_the_schema_requires_the_loader_misses() {
    let schema = json_schema();
    let mut found = Vec::new();
    tables("", &schema, &mut found);
    let mut required = 0;
    for (path, table) in found {
        for key in table["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let mut document = json!({});
            if !path.is_empty() {
                set(&mut document, &path, "zzz", json!("x"));
            }
            let seen = problems(&document);
            let missing = |(place, message): &(String, String)| message.contains("missing") && place.ends_with(key);
            assert!(seen.iter().any(missing), "{path}.{key}: {seen:?}");
            required += 1;
        }
    }
    assert_eq!(required, 8);
}

#[test]
fn every_word_of_the_schema_is_known_to_the_loader() {
    let schema = json_schema();
    let mut found = Vec::new();
    tables("", &schema, &mut found);
    let mut words = 0;
    for (path, table) in &found {
        for (key, property) in table["properties"].as_object().unwrap() {
            for word in property["oneOf"].as_array().into_iter().flatten() {
                let mut document = json!({});
                set(&mut document, path, key, word["const"].clone());
                let refused: Vec<_> = problems(&document)
                    .into_iter()
                    .filter(|(_, message)| message.starts_with("unknown value"))
                    .collect();
                assert_eq!(refused, [], "{path}.{key} = {word}");
                words += 1;
            }
        }
    }
    assert!(words >= 20, "{words}");
}
