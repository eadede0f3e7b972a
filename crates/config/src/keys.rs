//! Checks whether a route fits the keys of the table.

use std::fmt;

use streamdex_mapping::document::EXPIRED_AT;
use streamdex_mapping::{OnExpiry, Route};

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyMismatch {
    /// `id` leaves out this key attribute, so two items could get one id.
    Omitted(String),
    /// `id` names this attribute, which is no key.
    NoKey(String),
    /// `routing` names this attribute, which is no key.
    Routing(String),
    /// This key attribute would be written to a field that no document of the route can have: `expired_at`, of archived ones.
    FieldName(String),
}

/// Everything in `route` that does not fit the names of the table's key attributes.
pub fn key_mismatches(route: &Route, key_names: &[String]) -> Vec<KeyMismatch> {
    let mut mismatches = Vec::new();
    if let Some(id) = &route.id {
        mismatches.extend(key_names.iter().filter(|key| !id.contains(key)).cloned().map(KeyMismatch::Omitted));
        mismatches.extend(id.iter().filter(|name| !key_names.contains(name)).cloned().map(KeyMismatch::NoKey));
    }
    let routing = route.routing.iter().filter(|name| !key_names.contains(name));
    mismatches.extend(routing.cloned().map(KeyMismatch::Routing));
    let unusable = key_names.iter().filter(|name| route.field_of(name).is_some_and(|field| is_unusable(&field, route)));
    mismatches.extend(unusable.cloned().map(KeyMismatch::FieldName));
    mismatches
}

/// Every item has its keys, so each would be a dead letter.
fn is_unusable(field: &str, route: &Route) -> bool {
    let archives = route.ttl.as_ref().is_some_and(|ttl| matches!(ttl.on_expiry, OnExpiry::Archive(_)));
    archives && field == EXPIRED_AT
}

impl KeyMismatch {
    /// What to do, in one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            KeyMismatch::Omitted(_) | KeyMismatch::NoKey(_) => {
                "name exactly the key attributes of the table in id, or remove id"
            }
            KeyMismatch::Routing(_) => "name a key attribute of the table in routing, or remove it",
            KeyMismatch::FieldName(_) => {
                "rename its field in the route, for example rename = { expired_at = \"ended_at\" }, or exclude it"
            }
        }
    }
}

impl fmt::Display for KeyMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyMismatch::Omitted(name) => write!(f, "id leaves out the key attribute {name:?}"),
            KeyMismatch::NoKey(name) => write!(f, "id names {name:?}, which is not a key attribute of the table"),
            KeyMismatch::FieldName(name) => {
                write!(
                    f,
                    "the key attribute {name:?} cannot be written under its name, in which archived documents say when they expired"
                )
            }
            KeyMismatch::Routing(name) => {
                write!(f, "routing names {name:?}, which is not a key attribute of the table")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use streamdex_mapping::IndexName;

    use super::*;

    #[test]
    fn id_names_all_keys_and_nothing_else() {
        let keys = ["pk".to_owned(), "sk".to_owned()];
        let mut route = Route::to(IndexName::parse("x").unwrap());
        assert_eq!(key_mismatches(&route, &keys), []);
        route.id = Some(vec!["sk".into(), "pk".into()]);
        assert_eq!(key_mismatches(&route, &keys), []);
        route.id = Some(vec!["pk".into(), "kind".into()]);
        route.routing = Some("kind".into());
        let expected =
            [KeyMismatch::Omitted("sk".into()), KeyMismatch::NoKey("kind".into()), KeyMismatch::Routing("kind".into())];
        assert_eq!(key_mismatches(&route, &keys), expected);
    }
}
