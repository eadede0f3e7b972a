//! Recovers the key of an item from its document.
//!
//! A plain id contains the whole key. A hashed id does not: the key is then taken from the document's fields, if the
//! route keeps them. In both cases the key counts only if it produces the same id.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::HashMap;

use crate::event::read_item;
use crate::fetch::Key;
use crate::id::id_text;
use crate::operation::IndexName;
use crate::route::{IdForm, IndexPattern, Route, could_give};

/// A key attribute of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAttribute {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: KeyType,
}

/// The type of a key attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// `S`
    String,
    /// `N`
    Number,
    /// `B`
    Binary,
}

/// What begins an id that is a hash.
const HASHED: char = '~';

/// The routes that can write documents into `index`. A name that is written out is meant before one that a placeholder
/// could give.
pub(crate) fn routes_into<'r>(routes: impl Iterator<Item = &'r Route>, index: &IndexName) -> Vec<&'r Route> {
    let (mut fixed, mut possible) = (Vec::new(), Vec::new());
    for route in routes {
        match &route.index {
            IndexPattern::Fixed(name) if name == index => fixed.push(route),
            IndexPattern::Placeholders { parts, .. } if could_give(parts, index.as_str()) => possible.push(route),
            _ => {}
        }
    }
    if fixed.is_empty() { possible } else { fixed }
}

/// Whether `id` is a hash under `route`, so that the document's fields are needed to know the key of its item.
pub(crate) fn is_hashed(route: &Route, id: &str) -> bool {
    route.id_form == IdForm::Hash || id.starts_with(HASHED)
}

/// The fields that hold a table's key; `None` where `route` leaves one out.
fn key_fields<'a>(route: &'a Route, keys: &'a [KeyAttribute]) -> Option<Vec<Cow<'a, str>>> {
    keys.iter().map(|key| route.field_of(&key.name)).collect()
}

/// The key of the item that `route` writes under `id`; `None` where no key gives this id, or the document does not tell.
pub(crate) fn key_of_document(route: &Route, id: &str, keys: &[KeyAttribute], source: Option<&[u8]>) -> Option<Key> {
    let texts = match source {
        _ if !is_hashed(route, id) => parts_of(id)?,
        Some(source) => texts_of_fields(route, keys, source)?,
        None => return None,
    };
    let mut order: Vec<&KeyAttribute> = match &route.id {
        Some(names) => names.iter().map(|name| keys.iter().find(|key| key.name == *name)).collect::<Option<_>>()?,
        None => keys.iter().collect(),
    };
    if route.id.is_none() {
        order.sort_by(|left, right| left.name.cmp(&right.name));
    }
    if is_hashed(route, id) {
        // They came in the order of the table's key.
        order = keys.iter().collect();
    }
    if order.len() != texts.len() {
        return None;
    }
    let item: Map<String, Value> = order
        .iter()
        .zip(texts)
        .map(|(key, text)| Some((key.name.clone(), key.kind.value(text)?)))
        .collect::<Option<_>>()?;
    let item = Value::Object(item).to_string();
    let image = read_item(&item).ok().filter(|image| image.problem().is_none())?;
    let found = id_text(route, &image).ok()?.live();
    (found.as_str() == id).then(|| Key::from_image(&image).ok()).flatten()
}

/// The values that [`id_text`] joined.
fn parts_of(id: &str) -> Option<Vec<String>> {
    // A first character that would look like a hash is escaped.
    let id = id.strip_prefix('\\').filter(|rest| rest.starts_with(HASHED)).unwrap_or(id);
    let (mut parts, mut part, mut escaped) = (Vec::new(), String::new(), false);
    for character in id.chars() {
        match character {
            '\\' if !escaped => escaped = true,
            '|' if !escaped => parts.push(std::mem::take(&mut part)),
            other => {
                part.push(other);
                escaped = false;
            }
        }
    }
    parts.push(part);
    (!escaped).then_some(parts)
}

/// The texts that the key attributes have in an id, from the fields of a document, in the order of `keys`.
fn texts_of_fields(route: &Route, keys: &[KeyAttribute], source: &[u8]) -> Option<Vec<String>> {
    let fields: HashMap<String, &RawValue> = serde_json::from_slice(source).ok()?;
    let names = key_fields(route, keys)?;
    let text = |(key, name): (&KeyAttribute, Cow<'_, str>)| {
        let raw = fields.get(name.as_ref())?.get();
        let text = match raw.strip_prefix('"') {
            Some(_) => serde_json::from_str::<String>(raw).ok()?,
            None => raw.to_owned(),
        };
        match key.kind {
            KeyType::Binary => Some(URL_SAFE_NO_PAD.encode(STANDARD.decode(text).ok()?)),
            KeyType::String | KeyType::Number => Some(text),
        }
    };
    keys.iter().zip(names).map(text).collect()
}

/// The key whose attributes have these values as text: a number as its digits, binary in base64.
///
/// # Errors
/// What is wrong, in words: an attribute of the key is missing, comes twice, or has no such value; or there is another one.
pub fn key_of_texts(keys: &[KeyAttribute], texts: &[(String, String)]) -> Result<Key, String> {
    let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    let names = names.join(", ");
    if let Some((other, _)) = texts.iter().find(|(name, _)| !keys.iter().any(|key| key.name == *name)) {
        return Err(format!("{other} is not a key attribute of the table: {names}"));
    }
    let mut item = Map::new();
    for key in keys {
        let mut given = texts.iter().filter(|(name, _)| *name == key.name);
        let (Some((_, text)), None) = (given.next(), given.next()) else {
            return Err(format!("{} is needed once; the table's key is {names}", key.name));
        };
        if text.is_empty() {
            return Err(format!("the value of {} is empty, which no key of DynamoDB is", key.name));
        }
        let value = match key.kind {
            KeyType::Binary => STANDARD.decode(text).ok().map(|_| json!({ "B": text })),
            KeyType::Number => key.kind.value(crate::decimal::plain(text).unwrap_or_else(|| text.clone())),
            KeyType::String => key.kind.value(text.clone()),
        };
        item.insert(key.name.clone(), value.ok_or_else(|| format!("{} is {}", key.name, key.kind.wanted()))?);
    }
    let item = Value::Object(item).to_string();
    let image = read_item(&item).map_err(|problem| problem.to_string())?;
    Key::from_image(&image).map_err(|error| error.to_string())
}

impl KeyType {
    fn wanted(self) -> &'static str {
        match self {
            KeyType::String => "a string",
            KeyType::Number => "a number: give its digits",
            KeyType::Binary => "binary: give it in base64",
        }
    }

    /// From DynamoDB's name for it.
    pub fn parse(name: &str) -> Option<KeyType> {
        match name {
            "S" => Some(KeyType::String),
            "N" => Some(KeyType::Number),
            "B" => Some(KeyType::Binary),
            _ => None,
        }
    }

    /// The attribute whose text in an id is `text`.
    fn value(self, text: String) -> Option<Value> {
        Some(match self {
            KeyType::String => json!({ "S": text }),
            KeyType::Number => {
                crate::json::is_number(&text).then_some(())?;
                json!({ "N": text })
            }
            KeyType::Binary => json!({ "B": STANDARD.encode(URL_SAFE_NO_PAD.decode(text).ok()?) }),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::image_of;
    use crate::mapper::Mapper;

    fn key(name: &str, kind: KeyType) -> KeyAttribute {
        KeyAttribute { name: name.into(), kind }
    }

    fn name(text: &str) -> IndexName {
        IndexName::parse(text).unwrap()
    }

    /// Key and document of an item, and the id that it has.
    fn written(route: &Route, keys: &[KeyAttribute], item: Value) -> (Key, String, Vec<u8>) {
        let image = image_of(item);
        let names: Vec<String> = keys.iter().map(|key| key.name.clone()).collect();
        let mapper = Mapper::new(vec![route.clone()]);
        let (address, document) = mapper.document_of(&image, &names).unwrap().unwrap();
        (Key::of_item(&image, &names).unwrap(), address.id.as_str().to_owned(), document.to_vec())
    }

    #[test]
    fn plain_ids_are_read_back() {
        let keys = [key("sk", KeyType::Number), key("pk", KeyType::Binary)];
        let ordered = Route { id: Some(vec!["sk".into(), "pk".into()]), ..Route::to(name("i")) };
        for route in [Route::to(name("i")), ordered] {
            let (key, id, _) =
                written(&route, &keys, json!({"pk": {"B": "+/8="}, "sk": {"N": "-1.50"}, "a": {"S": "x"}}));
            assert_eq!(key_of_document(&route, &id, &keys, None), Some(key), "{id}");
        }
        let route = Route::to(name("i"));
        for foreign in ["", "a", "a|b|c", "x|1", "_-8|one", "-_8|1\\", "-_8|1e"] {
            assert_eq!(key_of_document(&route, foreign, &keys, None), None, "{foreign}");
        }
    }

    #[test]
    fn hashed_ids_are_read_from_the_fields() {
        let keys = [key("pk", KeyType::String), key("sk", KeyType::Binary)];
        let mut route = Route { id_form: IdForm::Hash, ..Route::to(name("i")) };
        route.rename.insert("pk".into(), "user".into());
        let (key, id, document) = written(&route, &keys, json!({"pk": {"S": "a|\"ü"}, "sk": {"B": "+/8="}}));
        assert_eq!(key_of_document(&route, &id, &keys, Some(&document)), Some(key));
        assert_eq!(key_of_document(&route, &id, &keys, None), None);
        assert_eq!(key_of_document(&route, &id, &keys, Some(br#"{"user":"b","sk":"+/8="}"#)), None, "another item's");
        let left_out = Route { exclude: vec!["sk".into()], ..route };
        assert_eq!(key_of_document(&left_out, &id, &keys, Some(&document)), None);
    }

    #[test]
    fn a_name_that_is_written_out_goes_before_a_placeholder() {
        let parts = vec![crate::PatternPart::Literal("orders-".into()), crate::PatternPart::Attribute("region".into())];
        let pattern = IndexPattern::Placeholders { text: "orders-{region}".into(), parts };
        let placeholder = Route { index: pattern, ..Route::to(name("x")) };
        let routes = [placeholder, Route::to(name("orders-eu"))];
        let into = |index: &str| {
            routes_into(routes.iter(), &name(index)).iter().map(|route| route.index.text()).collect::<Vec<_>>()
        };
        assert_eq!(into("orders-eu"), ["orders-eu"]);
        assert_eq!(into("orders-us"), ["orders-{region}"]);
        assert!(into("carts").is_empty());
    }

    proptest! {
        #[test]
        fn every_plain_id_gives_its_key(pk in r"[ab|\\~]{1,4}", sk in r"[ab|\\~]{1,4}") {
            let keys = [key("pk", KeyType::String), key("sk", KeyType::String)];
            let route = Route::to(name("i"));
            let (key, id, _) = written(&route, &keys, json!({"pk": {"S": pk}, "sk": {"S": sk}}));
            prop_assert_eq!(key_of_document(&route, &id, &keys, None), Some(key));
        }
    }
}
