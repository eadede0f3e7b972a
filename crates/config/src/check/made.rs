//! `set`: fields that are made of other values.

use std::collections::BTreeMap;

use streamdex_mapping::{FieldValue, Path};

use super::{condition, name};
use crate::problem::Problems;
use crate::raw::{RouteTable, SetTable};
use crate::read::{Key, Located, Scalar};

/// All fields of `set`, by their names.
pub(super) fn fields(table: &RouteTable, problems: &mut Problems) -> BTreeMap<String, FieldValue> {
    let mut fields = BTreeMap::new();
    for (field, value) in table.set.get().map_or([].as_slice(), |set| set.0.as_slice()) {
        let named = Located { value: field.clone(), place: value.place.clone() };
        let is_field = name::is_field(&named, problems);
        if let (Some(value), true) = (self::value(value, problems), is_field) {
            fields.insert(field.clone(), value);
        }
    }
    fields
}

fn value(table: &Located<SetTable>, problems: &mut Problems) -> Option<FieldValue> {
    const HINT: &str = "give one of: from; value; lat and lon";
    let path = |key: &Key<String>, problems: &mut Problems| -> Option<Path> {
        key.given().and_then(|text| name::path(text, problems))
    };
    let has_point = !table.lat.is_absent() || !table.lon.is_absent();
    let ways = [!table.from.is_absent(), !table.value.value.is_absent(), has_point];
    match ways.iter().filter(|given| **given).count() {
        0 => {
            problems.error_with_hint(&table.place, "the field has no source", HINT);
            return None;
        }
        1 => {}
        _ => {
            problems.error_with_hint(&table.place, "a field has only one source", HINT);
            return None;
        }
    }
    if let (Some(after), true) = (table.after.given(), table.from.is_absent()) {
        problems.error_with_hint(&after.place, "after needs from", "remove it, or give the string with from");
        return None;
    }
    if has_point {
        let lat = table.lat.required(&table.place, "lat", problems).is_some();
        let lon = table.lon.required(&table.place, "lon", problems).is_some();
        let (lat, lon) = (path(&table.lat, problems).filter(|_| lat), path(&table.lon, problems).filter(|_| lon));
        return Some(FieldValue::Point { lat: lat?, lon: lon? });
    }
    if let Some(value) = table.value.value.given() {
        if let Scalar::Number(digits) = &value.value
            && serde_json::from_str::<serde_json::Number>(digits).is_err()
        {
            problems.error_with_hint(
                &value.place,
                "this number is out of range",
                "write it in decimal digits, or as a string",
            );
            return None;
        }
        return Some(FieldValue::Constant(condition::constant(value)));
    }
    let from = path(&table.from, problems);
    match table.after.given() {
        Some(mark) if mark.is_empty() => {
            problems.error_with_hint(&mark.place, "after is empty", "leave it out");
            None
        }
        Some(mark) => Some(FieldValue::After { from: from?, mark: mark.value.clone() }),
        None => from.map(FieldValue::From),
    }
}
