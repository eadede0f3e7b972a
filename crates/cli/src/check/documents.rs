//! Checks whether an index can hold the documents of a sample of items. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use streamdex_mapping::{Image, Mapper};

use super::line::Line;

/// What a sample of items gives.
#[derive(Debug, Default)]
pub(super) struct Documents {
    items: usize,
    /// Items that no route takes.
    filtered: usize,
    /// Items that cannot be mapped, by reason.
    refused: BTreeMap<&'static str, usize>,
    indices: BTreeMap<String, Fields>,
    /// Items that each route takes.
    taken: BTreeMap<String, usize>,
}

/// The fields of the documents for one index: each path, with the forms that its values have.
#[derive(Debug, Default)]
struct Fields {
    documents: usize,
    forms: BTreeMap<String, BTreeSet<Form>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Object,
    Text,
    Number,
    Boolean,
}

/// In so many items a route that takes none is hardly meant.
const ENOUGH: usize = 20;
/// `index.mapping.total_fields.limit` where nothing else is configured.
const MOST_FIELDS: usize = 1000;
/// A text is two fields, since it can be searched and sorted by.
const FIELDS_OF_TEXT: usize = 2;

// === impl Documents ===

impl Documents {
    /// What these items give; `names` are the table's key attributes.
    pub(super) fn of<'a>(mapper: &Mapper, names: &[String], items: impl IntoIterator<Item = &'a str>) -> Documents {
        let mut documents = Documents::default();
        for item in items {
            documents.items += 1;
            let image = Image::of_item(item);
            for route in mapper.verdicts(&image) {
                *documents.taken.entry(route.index).or_default() += usize::from(route.takes);
            }
            match mapper.document_of(&image, names) {
                Ok(Some((address, text))) => {
                    let fields = documents.indices.entry(address.index.to_string()).or_default();
                    fields.add(&serde_json::from_slice(&text).unwrap_or_default());
                }
                Ok(None) => documents.filtered += 1,
                Err(error) => *documents.refused.entry(error.name()).or_default() += 1,
            }
        }
        documents
    }

    /// One line for all items, and one for each index.
    pub(super) fn lines(&self) -> Vec<Line> {
        let what = "sampled items";
        let indexed: usize = self.indices.values().map(|fields| fields.documents).sum();
        let mut says = format!("{} read, {indexed} produce documents", self.items);
        if self.filtered > 0 {
            says += &format!(", {} match no route", self.filtered);
        }
        let mut lines = vec![match self.refused.iter().next() {
            None if self.items > 0 && indexed == 0 => Line::warned(
                what,
                says,
                "check `when` of the routes: `streamdex explain --key …` shows the reason for one item",
            ),
            None => Line::passed(what, says),
            Some(_) => {
                let reasons: Vec<String> = self.refused.iter().map(|(name, count)| format!("{count} {name}")).collect();
                let hint = "they become dead letters, and other items are not affected; `streamdex map` on `aws dynamodb scan` output names them";
                Line::warned(what, format!("{says}, and some would be dead letters: {}", reasons.join(", ")), hint)
            }
        }];
        let takes_none = self.taken.iter().filter(|(_, items)| self.items >= ENOUGH && **items == 0);
        lines.extend(takes_none.map(|(index, _)| {
            let says = format!("it matches none of {} sampled items", self.items);
            Line::warned(format!("route to {index}"), says, "check its `when`, if the table has such items")
        }));
        lines.extend(self.indices.iter().map(|(index, fields)| fields.line(index)));
        lines
    }
}

// === impl Fields ===

impl Fields {
    fn add(&mut self, document: &Value) {
        self.documents += 1;
        self.walk("", document);
    }

    fn walk(&mut self, path: &str, value: &Value) {
        let form = match value {
            Value::Null => return,
            Value::Array(values) => return values.iter().for_each(|value| self.walk(path, value)),
            Value::Object(members) => {
                for (name, value) in members {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    self.walk(&path, value);
                }
                Form::Object
            }
            Value::String(_) => Form::Text,
            Value::Number(_) => Form::Number,
            Value::Bool(_) => Form::Boolean,
        };
        if !path.is_empty() {
            self.forms.entry(path.to_owned()).or_default().insert(form);
        }
    }

    fn line(&self, index: &str) -> Line {
        let what = format!("fields of {index}");
        let fields: usize =
            self.forms.values().map(|forms| if forms.contains(&Form::Text) { FIELDS_OF_TEXT } else { 1 }).sum();
        let says = format!("about {fields} in {} sampled documents", self.documents);
        let clashes = |clash: fn(&BTreeSet<Form>) -> bool| -> BTreeSet<&str> {
            let clashing = self.forms.iter().filter(|(_, forms)| clash(forms));
            // Names inside of an attribute are keys of maps, and so content.
            clashing.filter_map(|(path, _)| path.split('.').next()).collect()
        };
        let named = |names: BTreeSet<&str>| names.into_iter().take(5).collect::<Vec<_>>().join(", ");
        let objects =
            clashes(|forms| forms.len() > 1 && !forms.iter().all(|form| matches!(form, Form::Text | Form::Number)));
        if !objects.is_empty() {
            let says =
                format!("{says}; a map or a boolean in some items and another type in others, in: {}", named(objects));
            return Line::warned(
                what,
                says,
                "add these to `as_json`: otherwise the type that comes second is a dead letter, or no search finds it",
            );
        }
        if fields * 5 > MOST_FIELDS * 4 {
            let says =
                format!("{says}; an index accepts {MOST_FIELDS} unless `index.mapping.total_fields.limit` is set");
            return Line::warned(
                what,
                says,
                "add maps whose keys differ from item to item to `as_json` (docs/mappings.md), or raise the limit",
            );
        }
        let mixed = clashes(|forms| forms.len() > 1);
        if !mixed.is_empty() {
            let says = format!("{says}; text in some items and a number in others, in: {}", named(mixed));
            return Line::warned(
                what,
                says,
                "add these to `numbers_as_string`: otherwise searches do not find the type that comes second",
            );
        }
        Line::passed(what, says)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;
    use streamdex_config::Config;

    use super::super::line::{State, text};
    use super::*;

    fn documents(items: &[Value]) -> Vec<Line> {
        let config = "[source]\ntable = \"items\"\n[opensearch]\nurl = \"http://127.0.0.1:1\"\n[[route]]\nindex = \"a-{kind}\"\nid = [\"pk\"]\nwhen = { attribute = \"kind\", exists = true }\n";
        let routes = Config::parse(config, Path::new(""), &|_| None).unwrap().config.sources.remove(0).routes;
        let items: Vec<String> = items.iter().map(ToString::to_string).collect();
        Documents::of(&Mapper::new(routes), &["pk".to_owned()], items.iter().map(String::as_str)).lines()
    }

    #[test]
    fn what_a_mapping_cannot_hold_is_seen_in_a_sample() {
        let item = |kind: &str, value: Value| json!({"pk": {"S": "1"}, "kind": {"S": kind}, "value": value});
        let many: serde_json::Map<String, Value> =
            (0..900).map(|name| (format!("m{name}"), json!({"N": "1"}))).collect();
        let lines = documents(&[
            item("mixed", json!({"S": "x"})),
            item("mixed", json!({"L": [{"N": "1"}]})),
            item("clash", json!({"S": "x"})),
            item("clash", json!({"M": {"a": {"N": "1"}}})),
            item("wide", json!({"M": many})),
            item("good", json!({"NULL": true})),
            item("B*d", json!({"N": "1"})),
            json!({"pk": {"S": "1"}}),
        ]);
        let text = text(&lines);
        for part in [
            "8 read, 6 produce documents, 1 match no route, and some would be dead letters: 1 no_index_name",
            "a map or a boolean in some items and another type in others, in: value\n",
            "about 4 in 1 sampled documents\n",
            "text in some items and a number in others, in: value\n",
            "about 905 in 1 sampled documents; an index accepts 1000",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let none = documents(&[json!({"pk": {"S": "1"}})]);
        assert_eq!(none.iter().map(|line| line.state).collect::<Vec<_>>(), [State::Warned], "{none:?}");
        let many = documents(&vec![json!({"pk": {"S": "1"}}); 20]);
        assert!(
            many.iter().any(|line| line.state == State::Warned && line.says.contains("matches none of 20")),
            "{many:?}"
        );
        assert_eq!(documents(&[]).iter().map(|line| line.state).collect::<Vec<_>>(), [State::Passed]);
    }
}
