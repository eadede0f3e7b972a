//! Checks the field names of a route: keys that contradict each other, and names that cannot be fields.

use std::collections::BTreeMap;

use streamdex_mapping::document::EXPIRED_AT;
use streamdex_mapping::route::PatternPart;
use streamdex_mapping::{IndexPattern, OnExpiry, Path, Route, Ttl};

use crate::problem::{Place, Problems};
use crate::raw::{ConditionTable, RouteTable};
use crate::read::{Key, Located, OneOrMany};

/// Checks `include`, `exclude`, `rename`, `set`, `ttl`, what is said of places that are not written, and every name that
/// the route says is in the table.
pub(super) fn check(table: &RouteTable, route: &Route, problems: &mut Problems) {
    excludes(table, route, problems);
    unwritten(table, route, problems);
    times(table, route, problems);
    made(table, route, problems);
    if let (Some(ttl), Some(attribute)) = (&route.ttl, table.ttl.get().and_then(|ttl| ttl.attribute.given()))
        && !is_whole(route, &ttl.attribute)
    {
        let hint = "remove it from exclude, or add it to include: the live alias needs it";
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

/// Whether the attribute is written, and not merely a part of it.
fn is_whole(route: &Route, attribute: &str) -> bool {
    let included = route.include.is_empty() || route.include.contains(&Path::from(attribute));
    included && route.field_of(attribute).is_some()
}

/// `exclude` beside `include`.
fn excludes(table: &RouteTable, route: &Route, problems: &mut Problems) {
    for (text, path) in located(&table.exclude) {
        if route.include.contains(&path) {
            let message = format!("{:?} is in include too", text.value);
            problems.warning(&text.place, message, "exclude wins; remove it from one of them");
        } else if !route.include.is_empty() && !is_included(route, &path) {
            let message = format!("{:?} is not in include, so it is left out already", text.value);
            problems.warning(&text.place, message, "remove it from exclude");
        }
    }
}

/// The paths of a list that can be read, and where they stand.
fn located(list: &Key<Vec<Located<String>>>) -> impl Iterator<Item = (&Located<String>, Path)> {
    list.get().into_iter().flatten().filter_map(|text| Some((text, Path::parse(text).ok()?)))
}

/// Whether `include` names the place, something around it, or something inside.
fn is_included(route: &Route, path: &Path) -> bool {
    route.include.is_empty() || route.include.iter().any(|kept| kept.holds(path) || path.holds(kept))
}

/// What is said of the form of a place that is left out.
fn unwritten(table: &RouteTable, route: &Route, problems: &mut Problems) {
    let lists = [("as_json", &table.as_json), ("numbers_as_string", &table.numbers_as_string), ("dates", &table.dates)];
    for (key, list) in lists {
        for (text, path) in located(list) {
            if !is_included(route, &path) || route.exclude.iter().any(|dropped| dropped.holds(&path)) {
                let message = format!("{:?} is not in the document", text.value);
                problems.warning(&text.place, message, format!("remove it from {key}, or from exclude"));
            }
        }
    }
}

/// A field is mapped as a date by one of `dates` and `ttl` alone, and not what is in a text.
fn times(table: &RouteTable, route: &Route, problems: &mut Problems) {
    for (text, path) in located(&table.dates) {
        if route.ttl.as_ref().is_some_and(|ttl| Path::from(ttl.attribute.as_str()) == path) {
            let hint = "remove it from dates: it is mapped as a date in seconds already, which the live alias compares";
            problems.error_with_hint(&text.place, format!("{:?} is the TTL attribute", text.value), hint);
        }
        if route.as_json.iter().any(|json| json.holds(&path)) {
            let message = format!("{:?} is written as the text of its JSON", text.value);
            problems.error_with_hint(&text.place, message, "remove it from dates, or from as_json");
        }
    }
    for (text, path) in located(&table.as_json) {
        if route.ttl.as_ref().is_some_and(|ttl| Path::from(ttl.attribute.as_str()) == path) {
            let message = format!("{:?} is the TTL attribute, and the live alias compares it", text.value);
            problems.error_with_hint(&text.place, message, "remove it from as_json");
        }
    }
}

/// Fields of `set` beside those that other keys give.
fn made(table: &RouteTable, route: &Route, problems: &mut Problems) {
    for (field, value) in table.set.get().map_or([].as_slice(), |set| set.0.as_slice()) {
        if archives(route) && field == EXPIRED_AT {
            problems.error_with_hint(&value.place, says_when_expired(), "give it another name");
        } else if let Some((attribute, _)) = route.rename.iter().find(|(_, renamed)| *renamed == field) {
            let message = format!("{attribute:?} is renamed to {field:?}, but set overwrites that field");
            problems.error_with_hint(&value.place, message, "remove it from one of them");
        }
    }
}

fn renames(table: &RouteTable, route: &Route, named: &BTreeMap<String, Place>, problems: &mut Problems) {
    for (attribute, field) in table.rename.get().map_or([].as_slice(), |rename| rename.0.as_slice()) {
        if route.field_of(attribute).is_none() {
            problems.warning(
                &field.place,
                format!("{attribute:?} is not in the document"),
                "remove it from rename, or from exclude",
            );
        } else if attribute == &field.value {
            problems.warning(&field.place, format!("{attribute:?} keeps its name"), "remove it from rename");
        } else if archives(route) && field.value == EXPIRED_AT {
            problems.error_with_hint(&field.place, says_when_expired(), "give it another name");
        } else if named.contains_key(field.as_str())
            && route.field_of(field).is_some_and(|other| other == field.as_str())
        {
            problems.error_with_hint(
                &field.place,
                format!("the attribute {:?} has this field's name", field.value),
                "rename that attribute too, or exclude it",
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
        Some(field) if field == EXPIRED_AT && archives(route) => says_when_expired(),
        _ => return,
    };
    let is_ttl = route.ttl.as_ref().is_some_and(|ttl| ttl.attribute == attribute);
    let other = "expires_at";
    let or_exclude = if is_ttl { "" } else { ", or remove it with exclude" };
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
    let listed = table.id.get().into_iter().flatten();
    let tested = conditions(table).into_iter().filter_map(|condition| condition.attribute.given());
    let ttl = table.ttl.get().and_then(|ttl| ttl.attribute.given());
    for (text, path) in located(&table.include) {
        note(path.attribute(), &text.place);
    }
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
