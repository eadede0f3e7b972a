//! Under which fields the attributes of a route are written: what its keys say about the same attribute, and names
//! that cannot be fields.

use std::collections::BTreeMap;

use streamdex_mapping::document::{EXPIRED_AT, is_reserved_field};
use streamdex_mapping::route::PatternPart;
use streamdex_mapping::{IndexPattern, OnExpiry, Route, Ttl};

use crate::problem::{Place, Problems};
use crate::raw::{ConditionTable, RouteTable};
use crate::read::OneOrMany;

/// Checks `include`, `exclude`, `rename`, `ttl`, and every name that the route says is in the table.
pub(super) fn check(table: &RouteTable, route: &Route, problems: &mut Problems) {
    excludes(table, route, problems);
    if let (Some(ttl), Some(attribute)) = (&route.ttl, table.ttl.get().and_then(|ttl| ttl.attribute.given()))
        && route.field_of(&ttl.attribute).is_none()
    {
        let hint = "take it out of exclude, or put it into include: the live alias needs it";
        problems.error_with_hint(
            &attribute.place,
            format!("the TTL attribute {:?} is not in the document", ttl.attribute),
            hint,
        );
    }
    let named = named_attributes(table, route);
    renames(table, route, &named, problems);
    for (attribute, place) in &named {
        unusable_field(attribute, place, route, problems);
    }
}

/// `exclude` beside `include`.
fn excludes(table: &RouteTable, route: &Route, problems: &mut Problems) {
    for name in table.exclude.get().into_iter().flatten() {
        if route.include.contains(name) {
            problems.warning(
                &name.place,
                format!("{:?} is in include too", name.value),
                "exclude wins; take it out of one of them",
            );
        } else if !route.include.is_empty() {
            let message = format!("{:?} is not in include, so it is left out already", name.value);
            problems.warning(&name.place, message, "take it out of exclude");
        }
    }
}

fn renames(table: &RouteTable, route: &Route, named: &BTreeMap<String, Place>, problems: &mut Problems) {
    for (attribute, field) in table.rename.get().map_or([].as_slice(), |rename| rename.0.as_slice()) {
        if route.field_of(attribute).is_none() {
            problems.warning(
                &field.place,
                format!("{attribute:?} is not in the document"),
                "take it out of rename, or out of exclude",
            );
        } else if attribute == &field.value {
            problems.warning(&field.place, format!("{attribute:?} keeps its name"), "take it out of rename");
        } else if archives(route) && field.value == EXPIRED_AT {
            problems.error_with_hint(&field.place, says_when_expired(), "give it another name");
        } else if named.contains_key(field.as_str()) && route.field_of(field) == Some(field.as_str()) {
            problems.error_with_hint(
                &field.place,
                format!("the attribute {:?} has this field's name", field.value),
                "rename that one too, or exclude it",
            );
        }
    }
}

/// An attribute that every item of the route has, under a field that no document can have: each would be a dead letter.
fn unusable_field(attribute: &str, place: &Place, route: &Route, problems: &mut Problems) {
    // What rename gives is checked where it is written.
    if route.rename.contains_key(attribute) {
        return;
    }
    let message = match route.field_of(attribute) {
        Some(field) if is_reserved_field(field) => format!("{field:?} is a name that OpenSearch keeps for itself"),
        Some(field) if field == EXPIRED_AT && archives(route) => says_when_expired(),
        _ => return,
    };
    let is_ttl = route.ttl.as_ref().is_some_and(|ttl| ttl.attribute == attribute);
    // The prefix that reserved names get in a later version.
    let other = if attribute == EXPIRED_AT { "expires_at".to_owned() } else { format!("x{attribute}") };
    let or_exclude = if is_ttl { "" } else { ", or leave it out with exclude" };
    problems.error_with_hint(
        place,
        format!("the attribute {attribute:?} cannot be written under its name: {message}"),
        format!("give its field another name: rename = {{ {attribute} = {other:?} }}{or_exclude}"),
    );
}

fn archives(route: &Route) -> bool {
    matches!(&route.ttl, Some(Ttl { on_expiry: OnExpiry::Archive(_), .. }))
}

fn says_when_expired() -> String {
    format!("{EXPIRED_AT:?} is the field in which archived documents say when they expired")
}

/// The attributes that the route itself names as being in the table, and where it names each first.
fn named_attributes(table: &RouteTable, route: &Route) -> BTreeMap<String, Place> {
    let mut named = BTreeMap::new();
    let mut note = |name: &str, place: &Place| {
        named.entry(name.to_owned()).or_insert_with(|| place.clone());
    };
    let listed = [table.id.get(), table.include.get()].into_iter().flatten().flatten();
    let tested = conditions(table).into_iter().filter_map(|condition| condition.attribute.given());
    let ttl = table.ttl.get().and_then(|ttl| ttl.attribute.given());
    for name in listed.chain(table.routing.given()).chain(ttl).chain(tested) {
        note(name, &name.place);
    }
    if let (IndexPattern::Placeholders { parts, .. }, Some(index)) = (&route.index, table.index.given()) {
        for part in parts {
            if let PatternPart::Attribute(attribute) = part {
                note(attribute, &index.place);
            }
        }
    }
    for (attribute, field) in table.rename.get().map_or([].as_slice(), |rename| rename.0.as_slice()) {
        note(attribute, &field.place);
    }
    named
}

/// Conditions that items with the attribute can meet.
fn conditions(table: &RouteTable) -> Vec<&ConditionTable> {
    let all: Vec<&ConditionTable> = match table.when.get() {
        None => Vec::new(),
        Some(OneOrMany::One(one)) => vec![one],
        Some(OneOrMany::Many(many)) => many.iter().map(|one| &one.value).collect(),
    };
    let absent = |condition: &ConditionTable| {
        let not = condition.not.get().copied().unwrap_or(false);
        condition.exists.get().is_some_and(|exists| *exists == not)
    };
    all.into_iter().filter(|condition| !absent(condition)).collect()
}
