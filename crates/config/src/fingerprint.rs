//! A fingerprint of how a source's items become documents.
//!
//! The canonical form is text: the line `streamdex routes 1`, then one line of JSON for each route, in
//! order, each ended by a line feed. A route is an object without spaces, keys ascending, in the words of
//! the configuration file; a key at its default is left out. A condition's number is written as the text
//! `equals_number`. `include` and `exclude` are sorted, since
//! their order means nothing; `when` is always a list; `max_indices`, which changes no document, `source`,
//! `[index.*]` and everything outside the routes have no part in it. The fingerprint is the SHA-256 of that text in lower-case hexadecimal.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use streamdex_mapping::{Condition, Constant, Dots, FieldValue, IdForm, NumberForm, OnExpiry, Path, Route, Test, Ttl};

use crate::model::Source;

const FORMAT: &str = "streamdex routes 1\n";

/// A condition's number stays text, so that no digit depends on how JSON numbers are kept.
pub(crate) const EQUALS_NUMBER: &str = "equals_number";
/// The only member of the object that replaces a number. No user's attribute has this name.
pub(crate) const NUMBER: &str = "";

/// The fingerprint of a source's ordered routes: 64 hexadecimal digits.
pub fn fingerprint(source: &Source) -> String {
    hex::encode(Sha256::digest(canonical(source).as_bytes()))
}

fn canonical(source: &Source) -> String {
    let mut text = String::from(FORMAT);
    for route in &source.routes {
        text.push_str(&route_json(route, &ListOrder::Sorted).to_string());
        text.push('\n');
    }
    text
}

/// What a route is written out for.
pub(crate) enum ListOrder {
    /// To be read: lists as in the file.
    Written,
    /// For the fingerprint: lists whose order means nothing ascending, each name once, and nothing that changes no
    /// document.
    Sorted,
}

/// A route in the words of the configuration file, keys at their default left out.
pub(crate) fn route_json(route: &Route, order: &ListOrder) -> Value {
    let names = |list: &[Path]| {
        let mut list: Vec<String> = list.iter().map(Path::to_string).collect();
        if matches!(order, ListOrder::Sorted) {
            list.sort();
            list.dedup();
        }
        (!list.is_empty()).then(|| json!(list))
    };
    let max_indices = Some(route.max_indices).filter(|most| *most != Route::DEFAULT_MAX_INDICES);
    let entries = [
        ("as_json", names(&route.as_json)),
        ("dates", names(&route.dates)),
        ("dots", dots_json(route.dots)),
        ("exclude", names(&route.exclude)),
        ("id", route.id.as_ref().map(|id| json!(id))),
        ("id_form", (route.id_form == IdForm::Hash).then(|| json!("hash"))),
        ("include", names(&route.include)),
        ("index", Some(json!(route.index.text()))),
        ("max_indices", max_indices.filter(|_| matches!(order, ListOrder::Written)).map(|most| json!(most))),
        ("numbers", (route.numbers == NumberForm::String).then(|| json!("string"))),
        ("numbers_as_string", names(&route.numbers_as_string)),
        ("rename", (!route.rename.is_empty()).then(|| json!(route.rename))),
        ("routing", route.routing.as_ref().map(|routing| json!(routing))),
        ("set", (!route.set.is_empty()).then(|| set_json(route))),
        ("ttl", route.ttl.as_ref().map(ttl_json)),
        ("when", (!route.when.is_empty()).then(|| route.when.iter().map(condition_json).collect())),
    ];
    object(entries)
}

fn dots_json(dots: Dots) -> Option<Value> {
    match dots {
        Dots::Keep => None,
        Dots::Expand => Some(json!("expand")),
        Dots::Underscore => Some(json!("underscore")),
    }
}

fn set_json(route: &Route) -> Value {
    let of = |value: &FieldValue| match value {
        FieldValue::From(path) => json!({"from": path.to_string()}),
        FieldValue::After { from, mark } => json!({"after": mark, "from": from.to_string()}),
        FieldValue::Constant(constant) => json!({"value": constant_json(constant)}),
        FieldValue::Point { lat, lon } => json!({"lat": lat.to_string(), "lon": lon.to_string()}),
    };
    route.set.iter().map(|(field, value)| (field.clone(), of(value))).collect::<Map<_, _>>().into()
}

/// A number keeps its digits as written, and has another form than a string.
fn constant_json(constant: &Constant) -> Value {
    match constant {
        Constant::String(text) => json!(text),
        Constant::Number(digits) => json!({NUMBER: digits}),
        Constant::Bool(value) => json!(value),
    }
}

fn condition_json(condition: &Condition) -> Value {
    let (test, value) = match &condition.test {
        Test::EqualsString(text) => ("equals", json!(text)),
        Test::EqualsNumber(text) => (EQUALS_NUMBER, json!(text)),
        Test::EqualsBool(boolean) => ("equals", json!(boolean)),
        Test::StartsWith(text) => ("starts_with", json!(text)),
        Test::Exists(exists) => ("exists", json!(exists)),
        Test::OneOf(values) => ("one_of", values.iter().map(constant_json).collect::<Vec<_>>().into()),
        Test::Like(parts) => ("like", json!(parts.join("*"))),
    };
    object([
        ("attribute", Some(json!(condition.attribute))),
        (test, Some(value)),
        ("not", condition.not.then_some(json!(true))),
    ])
}

fn ttl_json(ttl: &Ttl) -> Value {
    let archive_index = match &ttl.on_expiry {
        OnExpiry::Delete => None,
        OnExpiry::Archive(index) => Some(json!(index.as_str())),
    };
    object([
        ("archive_index", archive_index.clone()),
        ("attribute", Some(json!(ttl.attribute))),
        ("infer_expiry", ttl.infer_expiry.then_some(json!(true))),
        ("on_expiry", archive_index.map(|_| json!("archive"))),
    ])
}

fn object<const N: usize>(entries: [(&str, Option<Value>); N]) -> Value {
    let mut sorted = std::collections::BTreeMap::new();
    for (key, value) in entries {
        if let Some(value) = value {
            sorted.insert(key.to_owned(), value);
        }
    }
    Value::Object(sorted.into_iter().collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::Config;

    const ROUTES: &str = r#"
        [source]
        table = "app"
        [opensearch]
        url = "http://localhost:9200"
        [[route]]
        index = "sessions"
        when = { attribute = "kind", equals = "session" }
        id = ["user_id", "session_id"]
        id_form = "hash"
        routing = "user_id"
        exclude = ["token", "secret"]
        rename = { ua = "user_agent" }
        ttl = { attribute = "expires_at", on_expiry = "archive", archive_index = "sessions-expired" }
        [[route]]
        index = "orders-{region}"
        when = [{ attribute = "total", equals = 10, not = true }, { attribute = "pk", starts_with = "ORDER#" }]
        numbers = "string"
    "#;

    fn source(text: &str) -> Source {
        Config::parse(text, Path::new(""), &|_| None).unwrap().config.sources.remove(0)
    }

    /// The text is written into every index: it may change only together with [`FORMAT`].
    #[test]
    fn the_canonical_form_is_stable() {
        let expected = concat!(
            "streamdex routes 1\n",
            r#"{"exclude":["secret","token"],"id":["user_id","session_id"],"id_form":"hash","index":"sessions","#,
            r#""rename":{"ua":"user_agent"},"routing":"user_id","#,
            r#""ttl":{"archive_index":"sessions-expired","attribute":"expires_at","on_expiry":"archive"},"#,
            r#""when":[{"attribute":"kind","equals":"session"}]}"#,
            "\n",
            r#"{"index":"orders-{region}","numbers":"string","when":[{"attribute":"total","equals_number":"10","not":true},"#,
            r#"{"attribute":"pk","starts_with":"ORDER#"}]}"#,
            "\n",
        );
        assert_eq!(canonical(&source(ROUTES)), expected);
        assert_eq!(fingerprint(&source(ROUTES)), "98f8db21c71b8617532109629b443aa460d3e5d6c692209bbc4f5c20945c9913");
    }

    #[test]
    fn only_what_changes_documents_changes_it() {
        let same = [
            ROUTES.replace(r#"["token", "secret"]"#, r#"["secret", "token"]"#),
            ROUTES.replace("numbers = \"string\"", "numbers = \"string\"\nid_form = \"plain\"\ninclude = []"),
            ROUTES.replace("numbers = \"string\"", "numbers = \"string\"\nmax_indices = 7"),
            format!("{ROUTES}\n[index.sessions]\ngeneration = 7"),
            ROUTES.replace("table = \"app\"", "table = \"other\"\nname = \"x\""),
        ];
        for text in same {
            assert_eq!(fingerprint(&source(&text)), fingerprint(&source(ROUTES)), "{text}");
        }
        let other = [
            ROUTES.replace(r#"["user_id", "session_id"]"#, r#"["session_id", "user_id"]"#),
            ROUTES.replace("equals = 10", "equals = \"10\""),
            ROUTES.replace(", not = true", ""),
        ];
        for text in other {
            assert_ne!(fingerprint(&source(&text)), fingerprint(&source(ROUTES)), "{text}");
        }
    }
}
