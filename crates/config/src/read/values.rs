//! Readers for each kind of value.

use serde_json::json;

use super::{ByteSize, Duration, JsonObject, Located, Named, OneOrMany, Read, Scalar, wrong_kind};
use crate::problem::Problems;
use crate::tree::{Node, Value};
use crate::units;

impl Read for String {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text { text, .. } => Some(text.clone()),
            _ => wrong_kind(node, "a string", problems),
        }
    }
}

impl Read for bool {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Boolean(boolean) => Some(*boolean),
            _ => wrong_kind(node, "true or false", problems),
        }
    }
}

impl Read for u64 {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Integer(text) = &node.value else {
            return wrong_kind(node, "an integer", problems);
        };
        let number = text.parse().ok();
        if number.is_none() {
            problems.error(&node.place, format!("{text} is out of range"));
        }
        number
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        if let Value::Table(_) = &node.value {
            let path = &node.place.path;
            let (message, hint) = if path.contains('.') {
                ("expected an array, found a table", "an array is written [\"a\", \"b\"]".to_owned())
            } else {
                ("expected a list of tables, found a table", format!("write each one as [[{path}]], with two brackets"))
            };
            problems.error_with_hint(&node.place, message, hint);
            return None;
        }
        let Value::Array(elements) = &node.value else {
            return wrong_kind(node, "an array", problems);
        };
        let read: Vec<Option<T>> = elements.iter().map(|element| T::read(element, problems)).collect();
        read.into_iter().collect()
    }
}

impl<T: Read> Read for Named<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            return wrong_kind(node, "a table", problems);
        };
        let read = entries.iter().filter_map(|entry| Some((entry.key.clone(), Located::read(&entry.node, problems)?)));
        Some(Named(read.collect()))
    }
}

impl<T: Read> Read for OneOrMany<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Array(elements) => {
                Some(OneOrMany::Many(elements.iter().filter_map(|element| Located::read(element, problems)).collect()))
            }
            Value::Table(_) => Located::read(node, problems).map(|one| OneOrMany::One(Box::new(one))),
            _ => wrong_kind(node, "a table, or an array of tables", problems),
        }
    }
}

impl Read for Scalar {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text { text, .. } => Some(Scalar::Text(text.clone())),
            Value::Boolean(boolean) => Some(Scalar::Boolean(*boolean)),
            Value::Integer(text) => Some(Scalar::Number(text.clone())),
            Value::Float(text) if !text.ends_with("inf") && !text.ends_with("nan") => {
                Some(Scalar::Number(text.clone()))
            }
            _ => wrong_kind(node, "a string, a number or a boolean", problems),
        }
    }
}

impl Read for JsonObject {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match json_of(node, problems)? {
            serde_json::Value::Object(object) => Some(JsonObject(object)),
            _ => wrong_kind(node, "a table", problems),
        }
    }
}

fn json_of(node: &Node, problems: &mut Problems) -> Option<serde_json::Value> {
    let number = |text: &str| text.parse::<serde_json::Number>().ok().map(serde_json::Value::Number);
    let json = match &node.value {
        Value::Text { text, .. } => Some(json!(text)),
        Value::Boolean(boolean) => Some(json!(boolean)),
        Value::Integer(text) | Value::Float(text) => number(text),
        Value::Array(elements) => {
            let read: Vec<_> = elements.iter().map(|element| json_of(element, problems)).collect();
            return read.into_iter().collect::<Option<Vec<_>>>().map(serde_json::Value::Array);
        }
        Value::Table(entries) => {
            let read: Vec<_> =
                entries.iter().map(|entry| Some((entry.key.clone(), json_of(&entry.node, problems)?))).collect();
            return read.into_iter().collect::<Option<serde_json::Map<_, _>>>().map(serde_json::Value::Object);
        }
        Value::Datetime => None,
        Value::Unusable => return None,
    };
    if json.is_none() {
        problems.error(&node.place, format!("JSON has no such value: {}", node.value.kind()));
    }
    json
}

impl Read for ByteSize {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let (size, written) = match &node.value {
            Value::Integer(text) => (text.parse().ok(), text),
            Value::Text { text, written } => (units::bytes(text), written),
            _ => return wrong_kind(node, "a size such as \"5MiB\"", problems),
        };
        if size.is_none() {
            problems.error_with_hint(
                &node.place,
                format!("{written:?} is not a size"),
                "write a size as \"5MiB\", \"512KiB\", or a number of bytes",
            );
        }
        size.map(ByteSize)
    }
}

impl Read for Duration {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Text { text, written } = &node.value else {
            return wrong_kind(node, "a duration such as \"60s\"", problems);
        };
        let duration = units::duration(text);
        if duration.is_none() {
            problems.error_with_hint(
                &node.place,
                format!("{written:?} is not a duration"),
                "write a duration as \"500ms\", \"60s\", \"5m\" or \"1h\"",
            );
        }
        duration.map(Duration)
    }
}
