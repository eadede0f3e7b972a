//! Document ids and routing values: from every key attribute, and from nothing else (ADR 0002).

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::image::{Attribute, Image, Scalar, short_name};
use crate::operation::{DocumentId, LONGEST_ID};
use crate::route::{IdForm, Route};

/// Why a key gives no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The route's `id` leaves a key attribute out, or names one that is none.
    #[error("the key attributes are {found}, but the route's id names {configured}")]
    IdMismatch {
        /// The key attributes of the record.
        found: String,
        /// The names in `id`.
        configured: String,
    },
    /// The route's `routing` names no key attribute.
    #[error("routing names {0:?}, which is not a key attribute")]
    RoutingMismatch(String),
    /// A key attribute that is no string, number or binary.
    #[error("key attribute {0:?} is not a string, number or binary")]
    NotAKey(String),
    /// The key has no text at all, and OpenSearch refuses an empty id.
    #[error("the key is an empty string")]
    Empty,
}

/// The text of an id before it is cut to the length that OpenSearch takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdText(String);

/// The id of the live document of the item with these `keys`.
pub(crate) fn id_text(route: &Route, keys: &Image<'_>) -> Result<IdText, KeyError> {
    let text = match &route.id {
        Some(order) => {
            check_names(order, keys)?;
            join(order.iter().map(|name| (Cow::Borrowed(name.as_str()), keys.get(name))))?
        }
        None => {
            let mut attributes: Vec<_> = keys.attributes.iter().collect();
            if attributes.len() > 1 {
                attributes.sort_by_key(|attribute| attribute.name);
            }
            join(attributes.into_iter().map(|attribute| (attribute.name.decode(), Some(attribute))))?
        }
    };
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    let text = if text.starts_with('~') { format!("\\{text}") } else { text };
    Ok(IdText(match route.id_form {
        IdForm::Hash => hashed(&text),
        IdForm::Plain => text,
    }))
}

/// The routing value of the item with these `keys`, where the route asks for one.
pub(crate) fn routing(route: &Route, keys: &Image<'_>) -> Result<Option<Arc<str>>, KeyError> {
    let Some(name) = &route.routing else {
        return Ok(None);
    };
    let value = keys.get(name).ok_or_else(|| KeyError::RoutingMismatch(name.clone()))?;
    let text = value_text(value).ok_or_else(|| KeyError::NotAKey(name.clone()))?;
    Ok(Some(text.into()))
}

impl IdText {
    /// The id of the live document.
    pub(crate) fn live(self) -> DocumentId {
        DocumentId::new(limited(self.0))
    }

    /// The id of the archive copy of an item that expired at `seconds`.
    pub(crate) fn archive(self, seconds: u32) -> DocumentId {
        DocumentId::new(limited(format!("{}|{seconds}", limited(self.0))))
    }
}

fn limited(text: String) -> String {
    if text.len() > LONGEST_ID { hashed(&text) } else { text }
}

fn hashed(text: &str) -> String {
    format!("~{}", URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes())))
}

/// Whether the route's `id` and `routing` fit a key with these attributes.
pub(crate) fn names_fit(route: &Route, keys: &Image<'_>) -> bool {
    let id_fits = route.id.as_ref().is_none_or(|order| check_names(order, keys).is_ok());
    id_fits && route.routing.as_ref().is_none_or(|name| keys.get(name).is_some())
}

fn check_names(order: &[String], keys: &Image<'_>) -> Result<(), KeyError> {
    let all_there = order.iter().all(|name| keys.get(name).is_some());
    if all_there && keys.attributes.len() == order.len() {
        return Ok(());
    }
    // A key has two attributes at most; what comes in the place of one may have any number.
    const NAMED: usize = 4;
    let mut found: Vec<_> = keys.attribute_names().take(NAMED).map(|name| short_name(&name)).collect();
    found.sort();
    if keys.attributes.len() > NAMED {
        found.push("…".to_owned());
    }
    Err(KeyError::IdMismatch { found: found.join(", "), configured: order.join(", ") })
}

fn join<'n, 'a: 'n>(
    values: impl Iterator<Item = (Cow<'n, str>, Option<&'n Attribute<'a>>)>,
) -> Result<String, KeyError> {
    let mut text = String::with_capacity(64);
    for (position, (name, value)) in values.enumerate() {
        let value = value.and_then(value_text).ok_or_else(|| KeyError::NotAKey(short_name(&name)))?;
        if position > 0 {
            text.push('|');
        }
        if value.contains(['\\', '|']) {
            text.push_str(&value.replace('\\', "\\\\").replace('|', "\\|"));
        } else {
            text.push_str(&value);
        }
    }
    Ok(text)
}

/// `S` as it is, `N` verbatim, `B` as base64url without padding.
fn value_text<'a>(attribute: &Attribute<'a>) -> Option<Cow<'a, str>> {
    match attribute.scalar()? {
        Scalar::String(text) | Scalar::Number(text) => Some(text.decode()),
        Scalar::Binary(text) => Some(Cow::Owned(URL_SAFE_NO_PAD.encode(text.bytes()?))),
        Scalar::Bool(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::event::image_of;
    use crate::operation::IndexName;

    fn route() -> Route {
        Route::to(IndexName::parse("i").unwrap())
    }

    fn keys<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Image<'static> {
        image_of(values.into_iter().map(|(name, value)| (name.to_owned(), json!({"S": value}))).collect())
    }

    fn id(route: &Route, keys: &Image<'_>) -> String {
        id_text(route, keys).unwrap().live().as_str().to_owned()
    }

    #[test]
    fn ids_are_joined_escaped_and_hashed() {
        let route = route();
        assert_eq!(id(&route, &keys([("b", "2"), ("a", "1")])), "1|2");
        assert_eq!(id(&route, &keys([("a", r"x|y\z")])), r"x\|y\\z");
        assert_eq!(id(&route, &keys([("a", "~x")])), r"\~x");
        assert_eq!(id(&route, &keys([("a", "x".repeat(512).as_str())])).len(), 512);
        let long = id(&route, &keys([("a", "x".repeat(513).as_str())]));
        assert!(long.starts_with('~') && long.len() == 44, "{long}");
        let hash = Route { id_form: IdForm::Hash, ..route.clone() };
        assert_eq!(id(&hash, &keys([("a", "abc")])), "~ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
        let ordered = Route { id: Some(vec!["b".into(), "a".into()]), ..route };
        assert_eq!(id(&ordered, &keys([("a", "1"), ("b", "2")])), "2|1");
    }

    #[test]
    fn numbers_and_binary_values_make_ids() {
        let keys = image_of(json!({"n": {"N": "-1.50"}, "o": {"B": "+/8="}}));
        assert_eq!(id(&route(), &keys), "-1.50|-_8");
    }

    #[test]
    fn an_id_that_omits_or_invents_a_key_attribute_is_told() {
        let found = keys([("pk", "1"), ("sk", "2")]);
        for order in [vec!["pk"], vec!["pk", "other"], vec!["pk", "sk", "x"]] {
            let route = Route { id: Some(order.into_iter().map(str::to_owned).collect()), ..route() };
            assert!(matches!(id_text(&route, &found), Err(KeyError::IdMismatch { .. })));
        }
        let routed = Route { routing: Some("x".into()), ..route() };
        assert_eq!(super::routing(&routed, &found), Err(KeyError::RoutingMismatch("x".into())));
    }

    #[test]
    fn archive_ids_carry_the_second_and_keep_the_limit() {
        let text = |value: &str| id_text(&route(), &keys([("a", value)])).unwrap().archive(17);
        assert_eq!(text("x").as_str(), "x|17");
        assert_eq!(text(&"x".repeat(512)).as_str().len(), 44);
        assert!(text(&"x".repeat(600)).as_str().ends_with("|17"));
    }

    /// Short texts over few characters, so that collisions would be found.
    fn value() -> impl Strategy<Value = String> {
        proptest::string::string_regex(r"[ab|\\~]{1,4}").unwrap()
    }

    proptest! {
        #[test]
        fn ids_are_injective(left in proptest::collection::vec(value(), 1..3), right in proptest::collection::vec(value(), 1..3)) {
            let route = route();
            let of = |values: &[String]| {
                let named: Vec<_> = ["a", "b"].into_iter().zip(values.iter().map(String::as_str)).collect();
                id(&route, &keys(named))
            };
            prop_assert_eq!(of(&left) == of(&right), left == right);
        }

        #[test]
        fn ids_do_not_depend_on_the_order_of_keys(values in proptest::collection::btree_map("[a-e]", value(), 2..3)) {
            let values: BTreeMap<String, String> = values;
            let forward: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let backward: Vec<_> = forward.iter().rev().copied().collect();
            prop_assert_eq!(id(&route(), &keys(forward)), id(&route(), &keys(backward)));
        }
    }
}
