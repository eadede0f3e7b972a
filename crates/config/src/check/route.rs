//! `[[route]]`: checks one route. Checks between routes are in [`super::overlap`].

use std::collections::BTreeMap;

use streamdex_mapping::{Dots, IdForm, IndexPattern, NumberForm, OnExpiry, Route, Ttl};

use super::{condition, fields, made, name, pattern};
use crate::model::Source;
use crate::problem::{Place, Problems};
use crate::raw::{DotsWord, IdFormWord, NumbersWord, OnExpiryWord, Root, RouteTable, TtlTable};
use crate::read::{Key, Located};

/// A table has a partition key, and may have a sort key.
const MOST_KEY_ATTRIBUTES: usize = 2;

/// Each index has at least one shard, and a node takes 1,000 of them unless it is set up otherwise.
const MOST_INDICES: u64 = 10_000;

/// A route, and where it stands.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) place: Place,
    pub(super) index_place: Place,
    pub(super) archive_place: Option<Place>,
    /// The source's name.
    pub(super) source: String,
    pub(super) route: Route,
}

/// All routes whose index and source are known, also put into their sources.
pub(super) fn routes(root: &Root, sources: &mut [Source], problems: &mut Problems) -> Vec<Checked> {
    let Some(tables) = root.route.required(&Place::default(), "route", problems) else {
        return Vec::new();
    };
    let mut checked = Vec::with_capacity(tables.len());
    for table in tables.iter() {
        let source = source_of(table, sources, problems);
        let Some(route) = route(table, problems) else {
            continue;
        };
        let (Some(index), Some(source)) = (table.index.given(), source.and_then(|position| sources.get_mut(position)))
        else {
            continue;
        };
        source.routes.push(route.clone());
        let archive_place = table.ttl.get().and_then(|ttl| ttl.archive_index.given()).map(|text| text.place.clone());
        checked.push(Checked {
            place: table.place.clone(),
            index_place: index.place.clone(),
            archive_place,
            source: source.name.clone(),
            route,
        });
    }
    if checked.len() == tables.len() {
        for source in sources.iter().filter(|source| source.routes.is_empty()) {
            let message = if sources.len() == 1 {
                "at least one route is needed".to_owned()
            } else {
                format!("no route for the source {:?}", source.name)
            };
            problems.error_with_hint(&tables.place, message, "write [[route]] with an index");
        }
    }
    checked
}

fn source_of(table: &Located<RouteTable>, sources: &[Source], problems: &mut Problems) -> Option<usize> {
    match table.source.given() {
        Some(given) => {
            let position = sources.iter().position(|source| source.name == given.value);
            let unnamed = sources.iter().any(|source| source.name.is_empty());
            if position.is_none() && !unnamed && !sources.is_empty() {
                let known: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
                problems.error_with_hint(
                    &given.place,
                    format!("there is no source {:?}", given.value),
                    format!("sources: {}", known.join(", ")),
                );
            }
            position
        }
        None if sources.len() > 1 => {
            if table.source.is_absent() {
                problems.error_with_hint(
                    &table.place,
                    "source is missing",
                    "with several sources, each route must name its own: source = \"…\"",
                );
            }
            None
        }
        None => (!sources.is_empty()).then_some(0),
    }
}

/// One route; `None` where it has no usable index.
fn route(table: &Located<RouteTable>, problems: &mut Problems) -> Option<Route> {
    let index = table.index.required(&table.place, "index", problems).and_then(|text| pattern::pattern(text, problems));
    let list = |key: &Key<Vec<Located<String>>>, problems: &mut Problems| {
        key.get().map_or_else(Vec::new, |list| name::paths(list, problems))
    };
    let route = Route {
        when: condition::conditions(table, problems),
        id: id(table, problems),
        id_form: match table.id_form.get() {
            Some(IdFormWord::Hash) => IdForm::Hash,
            Some(IdFormWord::Plain) | None => IdForm::Plain,
        },
        routing: table
            .routing
            .given()
            .filter(|name| name::is_attribute(name, &name.place, problems))
            .map(|name| name.value.clone()),
        include: list(&table.include, problems),
        exclude: list(&table.exclude, problems),
        rename: rename(table, problems),
        as_json: list(&table.as_json, problems),
        numbers: match table.numbers.get() {
            Some(NumbersWord::String) => NumberForm::String,
            Some(NumbersWord::Exact) | None => NumberForm::Exact,
        },
        numbers_as_string: list(&table.numbers_as_string, problems),
        dates: list(&table.dates, problems),
        dots: match table.dots.get() {
            Some(DotsWord::Expand) => Dots::Expand,
            Some(DotsWord::Underscore) => Dots::Underscore,
            Some(DotsWord::Keep) | None => Dots::Keep,
        },
        set: made::fields(table, problems),
        ttl: table.ttl.given().and_then(|ttl| time_to_live(ttl, problems)),
        max_indices: max_indices(table, index.as_ref(), problems),
        index: index?,
    };
    fields::check(table, &route, problems);
    Some(route)
}

/// Only a placeholder can give more than one index.
fn max_indices(table: &RouteTable, index: Option<&IndexPattern>, problems: &mut Problems) -> u32 {
    let Some(most) = table.max_indices.given() else { return Route::DEFAULT_MAX_INDICES };
    if !(1..=MOST_INDICES).contains(&most.value) {
        let hint = format!("give 1 to {MOST_INDICES}");
        problems.error_with_hint(&most.place, format!("{} is out of range", most.value), hint);
    } else if let Some(IndexPattern::Fixed(_)) = index {
        let hint = "remove it: it limits the number of indices that placeholders produce";
        problems.error_with_hint(&most.place, "max_indices has no effect: the index has no placeholder", hint);
    }
    u32::try_from(most.value).unwrap_or(Route::DEFAULT_MAX_INDICES)
}

fn id(table: &RouteTable, problems: &mut Problems) -> Option<Vec<String>> {
    let id = table.id.given()?;
    let names = name::attributes(id, problems);
    if id.is_empty() {
        problems.error_with_hint(
            &id.place,
            "an id without attributes",
            "remove id, or name the table's key attributes",
        );
    } else if names.len() > MOST_KEY_ATTRIBUTES {
        problems.error_with_hint(
            &id.place,
            "an id with more attributes than a key has",
            "name only the partition key and the sort key",
        );
    }
    if let Some(routing) = table.routing.given()
        && !id.iter().any(|name| name.value == routing.value)
    {
        let hint = format!("name one of {}", names.join(", "));
        problems.error_with_hint(
            &routing.place,
            format!("{:?} is not in id, but routing needs a key attribute", routing.value),
            hint,
        );
    }
    Some(names)
}

fn rename(table: &RouteTable, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let Some(rename) = table.rename.get() else {
        return fields;
    };
    for (attribute, field) in &rename.0 {
        if !name::is_attribute(attribute, &field.place, problems) | !name::is_field(field, problems) {
            continue;
        }
        if let Some((other, _)) = fields.iter().find(|(_, taken)| **taken == field.value) {
            problems.error(&field.place, format!("{other:?} is renamed to {:?} too", field.value));
        }
        fields.insert(attribute.clone(), field.value.clone());
    }
    fields
}

fn time_to_live(table: &Located<TtlTable>, problems: &mut Problems) -> Option<Ttl> {
    let attribute = table
        .attribute
        .required(&table.place, "attribute", problems)
        .filter(|name| name::is_attribute(name, &name.place, problems));
    let archive = table.archive_index.given().map(|text| archive_index(text, problems));
    let on_expiry = match (table.on_expiry.get(), archive) {
        (Some(OnExpiryWord::Archive), Some(index)) => index.map(OnExpiry::Archive),
        (Some(OnExpiryWord::Archive), None) => {
            table.archive_index.required(&table.place, "archive_index", problems);
            None
        }
        (Some(OnExpiryWord::Delete) | None, archive) => {
            if let (Some(text), Some(_), true) =
                (table.archive_index.given(), archive, table.on_expiry.is_absent() || table.on_expiry.get().is_some())
            {
                problems.error_with_hint(
                    &text.place,
                    "archive_index has no effect: nothing is archived",
                    "set on_expiry = \"archive\"",
                );
            }
            let infers = table.infer_expiry.given().filter(|infers| infers.value);
            if let (Some(infers), false) = (infers, matches!(table.on_expiry, Key::Bad)) {
                problems.error_with_hint(
                    &infers.place,
                    "infer_expiry has no effect: nothing is archived",
                    "remove it, or set on_expiry = \"archive\" with an archive_index",
                );
            }
            Some(OnExpiry::Delete)
        }
    };
    Some(Ttl {
        attribute: attribute?.value.clone(),
        on_expiry: on_expiry?,
        infer_expiry: table.infer_expiry.get().copied().unwrap_or(false),
    })
}

fn archive_index(text: &Located<String>, problems: &mut Problems) -> Option<streamdex_mapping::IndexName> {
    if text.contains(['{', '}']) {
        problems.error(&text.place, "an archive_index cannot hold placeholders");
        return None;
    }
    pattern::fixed(text, problems)
}
