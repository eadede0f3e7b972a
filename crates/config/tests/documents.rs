//! `docs/config.schema.json` and `docs/configuration.md` are generated; `UPDATE_DOCS=1` updates them.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;
use streamdex_config::json_schema;

use crate::repository;

#[test]
fn the_schema_is_current() {
    let schema = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    hold(&repository().join("docs/config.schema.json"), &schema);
}

#[test]
fn the_reference_is_current() {
    hold(&repository().join("docs/configuration.md"), &reference(&json_schema()));
}

fn hold(path: &Path, expected: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, expected).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not current: UPDATE_DOCS=1 cargo test -p streamdex-config updates it",
        path.display()
    );
}

fn reference(schema: &Value) -> String {
    let mut text = String::from(
        "<!-- Generated from crates/config/src/raw.rs: UPDATE_DOCS=1 cargo test -p streamdex-config -->\n\n# Configuration\n\n",
    );
    writeln!(text, "{}\n", schema["description"].as_str().unwrap()).unwrap();
    text.push_str(
        "For a profile, a role, a region, an endpoint or `ca_file`, an empty text is the same as a missing key.\n",
    );
    text.push_str("A duration is a text with a unit: `\"500ms\"`, `\"60s\"`, `\"5m\"` or `\"1h\"`. Complete files are in `examples/`, such as [sessions.toml](../examples/sessions.toml).\n");
    text.push_str("[A configuration for a single-table design](../examples/single-table/streamdex.toml) shows `when` and `set`, and [a service for two tables](deploy-container.md#several-tables-in-one-service) shows `[[source]]`.\n");
    text.push_str("The JSON Schema is [config.schema.json](config.schema.json).\n");
    text.push_str("`streamdex config check` reports every problem of a file at once. `streamdex config show` prints the resolved configuration, without secrets.\n");
    section(&mut text, "", schema);
    text
}

/// One table: its keys, then the tables below it.
fn section(text: &mut String, path: &str, schema: &Value) {
    let properties = schema["properties"].as_object().unwrap();
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !path.is_empty() {
        writeln!(text, "\n| key | type | default |  |\n|---|---|---|---|").unwrap();
        for (key, property) in properties {
            let default = match property.get("default") {
                Some(default) => format!("`{default}`"),
                None if required.contains(&key.as_str()) => "required".to_owned(),
                None => String::new(),
            };
            let description = in_a_cell(property["description"].as_str().unwrap());
            writeln!(text, "| `{key}` | {} | {default} | {description} |", kind(property)).unwrap();
        }
    }
    for (key, property) in properties {
        let Some((table, form)) = table_of(property) else {
            continue;
        };
        let heading = match (path, form) {
            ("", Form::List) => format!("[[{key}]]"),
            ("", Form::Named) => format!("[{key}.NAME]"),
            ("", Form::One) => format!("[{key}]"),
            (parent, _) => format!("{parent}.{key}"),
        };
        let below = heading.trim_matches(['[', ']']).to_owned();
        writeln!(
            text,
            "\n{} `{heading}`\n\n{}",
            if path.is_empty() { "##" } else { "###" },
            property["description"].as_str().unwrap()
        )
        .unwrap();
        section(text, &below, table);
    }
}

enum Form {
    One,
    List,
    Named,
}

/// The table that a key holds, if it holds one.
fn table_of(property: &Value) -> Option<(&Value, Form)> {
    let is_table = |schema: &Value| schema.get("properties").is_some();
    if is_table(property) {
        return Some((property, Form::One));
    }
    if let Some(one) = property["anyOf"].as_array().and_then(|any| any.iter().find(|one| is_table(one))) {
        return Some((one, Form::One));
    }
    if is_table(&property["items"]) {
        return Some((&property["items"], Form::List));
    }
    is_table(&property["additionalProperties"]).then(|| (&property["additionalProperties"], Form::Named))
}

fn kind(property: &Value) -> String {
    if table_of(property).is_some() {
        return if property.get("anyOf").is_some() {
            "table, or a list of them".to_owned()
        } else {
            "table".to_owned()
        };
    }
    match &property["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        Value::String(kind) if kind == "array" => match property["items"]["type"].as_str() {
            Some(kind) => format!("list of {kind}s"),
            None => "list of strings, numbers or booleans".to_owned(),
        },
        Value::String(kind) if kind == "object" => "table".to_owned(),
        Value::String(kind) => kind.clone(),
        _ => words(property),
    }
}

fn words(property: &Value) -> String {
    let words = property["oneOf"].as_array().unwrap();
    let described =
        words.iter().map(|word| format!("`{}`: {}", word["const"], in_a_cell(word["description"].as_str().unwrap())));
    described.collect::<Vec<_>>().join("<br>")
}

fn in_a_cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}
