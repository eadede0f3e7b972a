//! Finds the routes that need old images, which not every stream carries.

use std::fmt;

use streamdex_mapping::route::PatternPart;
use streamdex_mapping::{IndexPattern, OnExpiry, Route};

/// Why a route needs old images.
///
/// Without one, a REMOVE has nothing but the item's keys: neither its route, nor its index, nor its last
/// form follows from them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OldImageNeed {
    /// A condition on this attribute, which is no key.
    Condition(String),
    /// An index placeholder of this attribute, which is no key.
    Placeholder(String),
    /// `on_expiry = "archive"`.
    Archive,
    /// `infer_expiry = true`.
    InferExpiry,
}

/// All reasons for which `route` needs old images, given the names of the table's key attributes; none
/// where a stream of new images or of keys will do.
pub fn needs_old_images(route: &Route, key_names: &[String]) -> Vec<OldImageNeed> {
    let is_key = |attribute: &String| key_names.contains(attribute);
    let conditions = route.when.iter().map(|condition| &condition.attribute);
    let mut needs: Vec<OldImageNeed> =
        conditions.filter(|name| !is_key(name)).cloned().map(OldImageNeed::Condition).collect();
    if let IndexPattern::Placeholders { parts, .. } = &route.index {
        needs.extend(parts.iter().filter_map(|part| match part {
            PatternPart::Attribute(name) if !is_key(name) => Some(OldImageNeed::Placeholder(name.clone())),
            PatternPart::Attribute(_) | PatternPart::Literal(_) => None,
        }));
    }
    if let Some(ttl) = &route.ttl {
        if matches!(ttl.on_expiry, OnExpiry::Archive(_)) {
            needs.push(OldImageNeed::Archive);
        }
        if ttl.infer_expiry {
            needs.push(OldImageNeed::InferExpiry);
        }
    }
    needs
}

impl OldImageNeed {
    /// What to do, in one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            OldImageNeed::Condition(_) => {
                "let the stream carry NEW_AND_OLD_IMAGES, or use conditions on key attributes"
            }
            OldImageNeed::Placeholder(_) => {
                "let the stream carry NEW_AND_OLD_IMAGES, or use placeholders of key attributes"
            }
            OldImageNeed::Archive => "let the stream carry NEW_AND_OLD_IMAGES, or set on_expiry = \"delete\"",
            OldImageNeed::InferExpiry => "let the stream carry NEW_AND_OLD_IMAGES, or remove infer_expiry",
        }
    }
}

impl fmt::Display for OldImageNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OldImageNeed::Condition(name) => {
                write!(f, "a condition on {name:?}, which is not a key attribute, needs old images")
            }
            OldImageNeed::Placeholder(name) => {
                write!(f, "the index placeholder {{{name}}}, which is not a key attribute, needs old images")
            }
            OldImageNeed::Archive => f.write_str("on_expiry = \"archive\" needs old images"),
            OldImageNeed::InferExpiry => f.write_str("infer_expiry needs old images"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::Config;

    #[test]
    fn only_what_keys_cannot_tell_needs_old_images() {
        let text = r#"
            source = { table = "orders" }
            opensearch = { url = "http://localhost:9200" }
            [[route]]
            index = "orders-{pk}-{region}"
            when = [{ attribute = "pk", starts_with = "ORDER#" }, { attribute = "kind", equals = "order" }]
            ttl = { attribute = "expires_at", on_expiry = "archive", archive_index = "expired", infer_expiry = true }
        "#;
        let route = Config::parse(text, Path::new(""), &|_| None).unwrap().config.sources.remove(0).routes.remove(0);
        let keys = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (condition, placeholder) =
            (OldImageNeed::Condition("kind".into()), OldImageNeed::Placeholder("region".into()));
        assert_eq!(
            needs_old_images(&route, &keys(&["pk"])),
            [condition, placeholder, OldImageNeed::Archive, OldImageNeed::InferExpiry]
        );
        assert_eq!(
            needs_old_images(&route, &keys(&["pk", "kind", "region"])),
            [OldImageNeed::Archive, OldImageNeed::InferExpiry]
        );
    }
}
