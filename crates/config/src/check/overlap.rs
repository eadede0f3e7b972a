//! Checks between routes: the owner of an index, the form of its ids, and routes that are never reached.

use std::fmt;

use streamdex_mapping::{Condition, IndexName, IndexPattern, OnExpiry, Route, Test};

use super::pattern::may_meet;
use super::route::Checked;
use crate::problem::{Place, Problems};

/// Checks each pair of routes once. A route that has problems itself is left out.
pub(super) fn check(routes: &[Checked], problems: &mut Problems) {
    let whole: Vec<&Checked> = routes.iter().filter(|checked| !problems.any_below(&checked.place.path)).collect();
    for (position, later) in whole.iter().enumerate() {
        own_archive(later, problems);
        for earlier in whole.iter().take(position) {
            live_indices(earlier, later, problems);
            archives(earlier, later, problems);
            if earlier.source == later.source && hides(&earlier.route, &later.route) {
                let message = format!("this route never matches: {} takes all its items first", earlier.place.path);
                problems.warning(&later.place, message, "move it before the other route, or remove it");
            }
        }
    }
}

/// The archive of a route cannot be its own index.
fn own_archive(checked: &Checked, problems: &mut Problems) {
    if let (Some(archive), Some(place)) = (archive_of(&checked.route), &checked.archive_place) {
        archive_against_live(archive, place, checked, problems);
    }
}

fn live_indices(earlier: &Checked, later: &Checked, problems: &mut Problems) {
    let (one, other) = (&earlier.route, &later.route);
    let at = &earlier.place.path;
    if one.index.text() == other.index.text() {
        if earlier.source != later.source {
            let message = format!(
                "two sources write to {:?}; {at} belongs to the source {:?}",
                other.index.text(),
                earlier.source
            );
            problems.error_with_hint(
                &later.index_place,
                message,
                "an index has one source; give each source its own index",
            );
        } else if let Some(key) = Differing::of(one, other, SameId::Written) {
            let message = format!("{at} writes to {:?} too, with another {key}", other.index.text());
            problems.error_with_hint(&later.index_place, message, SHARED_KEYS);
        }
        return;
    }
    if !may_meet(&one.index, &other.index) {
        return;
    }
    let message = format!("{:?} and {:?} of {at} can produce the same index", other.index.text(), one.index.text());
    if earlier.source != later.source {
        // Whether it comes to that, only the items show; index set-up refuses the second owner then.
        problems.warning(&later.index_place, message, "an index needs a single source");
    } else if let Some(key) = Differing::of(one, other, SameId::Meant) {
        problems.error_with_hint(&later.index_place, format!("{message}, with another {key}"), SHARED_KEYS);
    }
}

const SHARED_KEYS: &str = "routes that share an index need the same id, id_form and routing; give each route its own index, or names that never coincide";

/// What differs between two routes in where a document of one index is kept. It would be there twice, or two items
/// would overwrite each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Differing {
    Id,
    IdForm,
    Routing,
}

/// Which ids count as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SameId {
    /// Those that are written the same.
    Written,
    /// Those that give the same ids: all key attributes in ascending order is also what is taken without `id`.
    Meant,
}

impl Differing {
    fn of(one: &Route, other: &Route, same: SameId) -> Option<Differing> {
        let id = |route: &Route| route.id.clone().filter(|id| same == SameId::Written || !id.is_sorted());
        if id(one) != id(other) {
            Some(Differing::Id)
        } else if one.id_form != other.id_form {
            Some(Differing::IdForm)
        } else if one.routing != other.routing {
            Some(Differing::Routing)
        } else {
            None
        }
    }
}

impl fmt::Display for Differing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Differing::Id => "id",
            Differing::IdForm => "id_form",
            Differing::Routing => "routing",
        })
    }
}

fn archives(earlier: &Checked, later: &Checked, problems: &mut Problems) {
    if let (Some(archive), Some(place)) = (archive_of(&later.route), &later.archive_place) {
        archive_against_live(archive, place, earlier, problems);
        if archive_of(&earlier.route) == Some(archive) {
            shared_archive(archive, place, (earlier, later), problems);
        }
    }
    if let (Some(archive), Some(place)) = (archive_of(&earlier.route), &earlier.archive_place) {
        archive_against_live(archive, place, later, problems);
    }
}

/// Copies of different items get one id where the ids of two routes are made differently.
fn shared_archive(archive: &IndexName, place: &Place, routes: (&Checked, &Checked), problems: &mut Problems) {
    let (earlier, later) = routes;
    let (at, name) = (&earlier.place.path, archive.as_str());
    if earlier.source != later.source {
        let message = format!("two sources write to {name:?}; {at} belongs to the source {:?}", earlier.source);
        problems.error_with_hint(place, message, "an index has one source; give each source its own index");
    } else if let Some(key) = Differing::of(&earlier.route, &later.route, SameId::Meant) {
        let message = format!("{at} archives to {name:?} too, with another {key}");
        let hint =
            "routes that share an archive need the same id, id_form and routing; give each route its own archive";
        problems.error_with_hint(place, message, hint);
    }
}

fn archive_against_live(archive: &IndexName, place: &Place, live: &Checked, problems: &mut Problems) {
    let index = &live.route.index;
    if index.text() == archive.as_str() {
        let message = format!("{:?} is the live index of {} too", archive.as_str(), live.place.path);
        problems.error_with_hint(place, message, "give the archive its own index");
    } else if may_meet(index, &IndexPattern::Fixed(archive.clone())) {
        let message = format!("{:?} of {} can produce {:?} too", index.text(), live.place.path, archive.as_str());
        problems.warning(place, message, "give the archive a name that no placeholder can produce");
    }
}

fn archive_of(route: &Route) -> Option<&IndexName> {
    match route.ttl.as_ref().map(|ttl| &ttl.on_expiry) {
        Some(OnExpiry::Archive(index)) => Some(index),
        Some(OnExpiry::Delete) | None => None,
    }
}

/// Whether every item that `later` takes is taken by `earlier` already. Says no where it is not sure.
fn hides(earlier: &Route, later: &Route) -> bool {
    earlier.when.iter().all(|wider| later.when.iter().any(|narrower| implies(narrower, wider)))
}

/// Whether `wider` holds wherever `narrower` does.
fn implies(narrower: &Condition, wider: &Condition) -> bool {
    if narrower == wider {
        return true;
    }
    if narrower.attribute != wider.attribute || narrower.not || wider.not {
        return false;
    }
    match (&narrower.test, &wider.test) {
        (Test::Exists(_), _) => false,
        (_, Test::Exists(exists)) => *exists,
        (Test::StartsWith(text), Test::StartsWith(start)) => text.starts_with(start.as_str()),
        (Test::StartsWith(_) | Test::Like(_), _) => false,
        (test, wider) => test.values().iter().all(|value| wider.takes(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_imply_wider_ones() {
        let is = |test: Test| Condition { attribute: "kind".into(), test, not: false };
        let not = |test: Test| Condition { attribute: "kind".into(), test, not: true };
        let (order, ord, exists) =
            (Test::EqualsString("order".into()), Test::StartsWith("ord".into()), Test::Exists(true));
        assert!(implies(&is(order.clone()), &is(ord.clone())));
        assert!(implies(&is(ord.clone()), &is(exists.clone())));
        assert!(implies(&not(order.clone()), &not(order.clone())));
        assert!(!implies(&is(ord.clone()), &is(order.clone())));
        assert!(!implies(&not(ord), &is(exists.clone())));
        assert!(!implies(&is(Test::Exists(false)), &is(exists)));
        assert!(!implies(&is(order), &is(Test::Exists(false))));
    }
}
