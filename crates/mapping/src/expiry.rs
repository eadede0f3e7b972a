//! Time to live: which items DynamoDB expires, and the copy that an expiry leaves behind.

use serde_json::{Value, json};

use crate::change::{Change, EventName};
use crate::decimal::whole_seconds;
use crate::document::archive_document;
use crate::id::{id_text, routing};
use crate::image::{Attribute, Image, Scalar};
use crate::operation::{Action, Address, Operation, Origin, Role};
use crate::refusal::MapError;
use crate::route::OnExpiry;
use crate::routes::Routes;
use crate::version::{CreationTime, ExternalVersion};

/// DynamoDB does not expire items whose time to live is further in the past than this: five years of 365 days
/// (Developer Guide, "Using time to live": the value must be "no more than five years in the past").
pub const OLDEST_EXPIRY_SECONDS: u64 = 5 * 365 * 24 * 60 * 60;

/// Whether DynamoDB considers an item with this time to live expired at `now`, both in seconds since 1970. A time of 0,
/// which programs write for "never", and a time too far in the past never expire.
pub fn is_expired(time_to_live: u64, now: u64) -> bool {
    time_to_live > 0 && time_to_live < now && time_to_live >= now.saturating_sub(OLDEST_EXPIRY_SECONDS)
}

/// The same rule as a query of OpenSearch: documents whose date `field` says that they are expired.
pub fn expired_query(field: &str) -> Value {
    json!({"range": {field: {"gte": format!("now-{OLDEST_EXPIRY_SECONDS}s"), "lt": "now"}}})
}

/// The archive copy that an expiry leaves behind, where the old image's route asks for one. Its id and its `expired_at`
/// carry the record's own time, whatever `version` it is written under.
pub(crate) fn archive(
    routes: &Routes,
    change: &Change<'_>,
    created: CreationTime,
    version: ExternalVersion,
) -> Result<Option<Operation>, MapError> {
    if change.event != EventName::Remove {
        return Ok(None);
    }
    let image = change.old_image.as_ref().unwrap_or(&change.keys);
    // Which route takes an unreadable image is not known, and its delete says so already.
    let Ok(Some(route)) = routes.first_match(image) else {
        return Ok(None);
    };
    let Some(ttl) = &route.ttl else {
        return Ok(None);
    };
    let OnExpiry::Archive(index) = &ttl.on_expiry else {
        return Ok(None);
    };
    let inferred = ttl.infer_expiry && lies_before(image, &ttl.attribute, created);
    if !change.expired && !inferred {
        return Ok(None);
    }
    let old = change.old_image.as_ref().ok_or(MapError::NothingToArchive)?;
    if let Some(problem) = old.problem() {
        return Err(problem.clone().into());
    }
    let id = id_text(route, &change.keys)?.archive(created.seconds());
    let routing = routing(route, &change.keys)?;
    let text = archive_document(route, old, created.seconds())?;
    let address = Address { index: index.clone(), id, routing };
    let action = Action::Index(text);
    Ok(Some(Operation { address, version, action, origin: Origin::Image, role: Role::Archive }))
}

/// Whether the TTL of `image` had passed at `created`.
fn lies_before(image: &Image<'_>, attribute: &str, created: CreationTime) -> bool {
    seconds_of(image, attribute).is_some_and(|ttl| is_expired(ttl, u64::from(created.seconds())))
}

/// The time to live of an image, in whole seconds since 1970; `None` where it is no number.
pub(crate) fn seconds_of(image: &Image<'_>, attribute: &str) -> Option<u64> {
    match image.get(attribute).and_then(Attribute::scalar)? {
        Scalar::Number(digits) => whole_seconds(&digits.decode()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dynamodb_expires() {
        const NOW: u64 = 1_700_000_000;
        for (time_to_live, expired) in [
            (0, false),
            (1, false),
            (NOW - OLDEST_EXPIRY_SECONDS - 1, false),
            (NOW - OLDEST_EXPIRY_SECONDS, true),
            (NOW - 1, true),
            (NOW, false),
            (NOW + 1, false),
            // Milliseconds are a time far ahead.
            (NOW * 1000, false),
        ] {
            assert_eq!(is_expired(time_to_live, NOW), expired, "{time_to_live}");
        }
        assert!(!is_expired(0, 5), "not even in the first five years");
    }

    #[test]
    fn the_query_has_the_same_bounds() {
        let text = expired_query("expires_at").to_string();
        assert_eq!(text, r#"{"range":{"expires_at":{"gte":"now-157680000s","lt":"now"}}}"#);
    }
}
