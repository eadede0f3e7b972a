//! Finds the form of attributes in a sample of items, and the keys of a route that suit them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::kinds::{Item, plain};

/// What suits the attributes of one kind of items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Suited {
    /// Times.
    pub(super) dates: Vec<String>,
    /// Maps with ever new members, and attributes that are a map here and a text there.
    pub(super) as_json: Vec<String>,
    /// Numbers with more digits than a search can tell apart, and attributes that are a number here and a text there.
    pub(super) numbers_as_string: Vec<String>,
    /// What should be in no index.
    pub(super) exclude: Vec<String>,
    /// Latitude and longitude.
    pub(super) points: Vec<(String, String)>,
}

/// What was seen of one attribute.
#[derive(Debug, Default)]
struct Seen<'a> {
    types: BTreeSet<&'a str>,
    items: usize,
    /// Members of maps, over all items.
    members: BTreeSet<&'a str>,
    longest_number: usize,
    is_time: Option<bool>,
}

/// The number of digits that searches of a `double` distinguish.
const DIGITS: usize = 15;
/// The number of different members, also at least half the number of items, from which every item has its own.
const MANY_MEMBERS: usize = 40;
const TIMES: [&str; 13] = [
    "date",
    "time",
    "timestamp",
    "at",
    "on",
    "ts",
    "created",
    "updated",
    "modified",
    "expires",
    "since",
    "until",
    "ttl",
];
const SECRETS: [&str; 9] =
    ["password", "passwd", "secret", "token", "apikey", "passwordhash", "privatekey", "accesstoken", "refreshtoken"];
const LATITUDES: [&str; 2] = ["lat", "latitude"];
const LONGITUDES: [&str; 4] = ["lon", "lng", "long", "longitude"];

/// What suits `items`. The attributes in `fixed` (keys, TTL) are left as they are.
pub(super) fn suited(items: &[&Item], fixed: &[&str]) -> Suited {
    let mut seen: BTreeMap<&str, Seen<'_>> = BTreeMap::new();
    // An empty name is no path.
    let free = |name: &&String| !name.is_empty() && !fixed.contains(&name.as_str());
    for item in items {
        for (name, value) in item.iter().filter(|(name, _)| free(name)) {
            seen.entry(name).or_default().add(name, value);
        }
    }
    let mut suited = Suited::default();
    for (name, seen) in &seen {
        let list = if SECRETS.contains(&plain(name).as_str()) {
            &mut suited.exclude
        } else if seen.explodes() || seen.is_mixed_with_objects() {
            &mut suited.as_json
        } else if seen.is_time == Some(true) {
            &mut suited.dates
        } else if seen.longest_number > DIGITS || seen.has("N") && seen.has("S") {
            &mut suited.numbers_as_string
        } else {
            continue;
        };
        list.push(path(name));
    }
    suited.points = points(&seen);
    suited
}

/// Whether a key by this name may be a secret itself.
pub(super) fn sounds_secret(name: &str) -> bool {
    ["session", "token", "secret", "apikey"].iter().any(|word| plain(name).contains(word))
}

/// A name as a path: its dots are no steps.
fn path(name: &str) -> String {
    name.replace('\\', r"\\").replace('.', r"\.")
}

fn points(seen: &BTreeMap<&str, Seen<'_>>) -> Vec<(String, String)> {
    let named = |names: &[&str]| {
        let is_one = |(name, seen): &(&&str, &Seen<'_>)| seen.has("N") && names.contains(&plain(name).as_str());
        seen.iter().find(is_one).map(|(name, _)| path(name))
    };
    named(&LATITUDES).zip(named(&LONGITUDES)).into_iter().collect()
}

// === impl Seen ===

impl<'a> Seen<'a> {
    fn add(&mut self, name: &str, value: &'a Value) {
        self.items += 1;
        for (kind, value) in value.as_object().into_iter().flatten() {
            self.types.insert(kind);
            match (kind.as_str(), value) {
                ("M", Value::Object(members)) => self.members.extend(members.keys().map(String::as_str)),
                ("N", Value::String(number)) => {
                    let digits = number.bytes().filter(u8::is_ascii_digit).count();
                    self.longest_number = self.longest_number.max(digits);
                    self.is_time = Some(self.is_time != Some(false) && sounds_like_time(name) && is_epoch(number));
                }
                ("S", Value::String(text)) => self.is_time = Some(self.is_time != Some(false) && is_iso(text)),
                ("NULL", _) => {}
                _ => self.is_time = Some(false),
            }
        }
    }

    fn has(&self, kind: &str) -> bool {
        self.types.contains(kind)
    }

    fn explodes(&self) -> bool {
        self.members.len() > MANY_MEMBERS && self.members.len() * 2 > self.items
    }

    fn is_mixed_with_objects(&self) -> bool {
        self.has("M") && ["S", "N", "BOOL", "B", "SS", "NS"].iter().any(|kind| self.has(kind))
    }
}

/// The last word of the name, as `at` in `created_at` and `createdAt`.
fn sounds_like_time(name: &str) -> bool {
    let start = name.rfind(|sign: char| sign.is_uppercase() || matches!(sign, '_' | '-')).unwrap_or_default();
    let word = name.get(start..).unwrap_or_default().to_lowercase();
    TIMES.contains(&word.trim_start_matches(['_', '-']))
}

/// Seconds or milliseconds since 1970, from 2001 to 2100.
fn is_epoch(number: &str) -> bool {
    let seconds = number.parse::<u64>().map(|number| if number > 100_000_000_000 { number / 1000 } else { number });
    seconds.is_ok_and(|seconds| (978_307_200..4_102_444_800).contains(&seconds))
}

/// A day, or a time of a day, as ISO 8601 writes it.
fn is_iso(text: &str) -> bool {
    let form: String = text.chars().map(|sign| if sign.is_ascii_digit() { '0' } else { sign }).take(16).collect();
    form == "0000-00-00" || form == "0000-00-00T00:00"
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn of(values: Vec<Value>) -> Suited {
        let items: Vec<Item> = values.iter().map(|value| value.as_object().unwrap().clone()).collect();
        suited(&items.iter().collect::<Vec<_>>(), &["pk", "expires_at"])
    }

    #[test]
    fn times_are_known_by_their_form_and_numbers_by_their_name_too() {
        let item = |at: Value, text: &str, number: &str| json!({"pk": {"S": "2026-01-01"}, "createdAt": at, "day": {"S": text}, "order_no": {"N": number}, "expires_at": {"N": "1770000000"}, "placed_on": {"NULL": true}});
        let seconds = json!({"N": "1770000000"});
        let suited = of(vec![
            item(seconds.clone(), "2026-01-02", "1770000000"),
            item(json!({"N": "1770000000123"}), "2026-01-02T10:00:00Z", "1"),
        ]);
        assert_eq!(suited, Suited { dates: vec!["createdAt".into(), "day".into()], ..Suited::default() });
        let not = of(vec![item(json!({"N": "12"}), "2026-01-02", "1"), item(seconds, "soon", "1")]);
        assert_eq!(not, Suited::default());
    }

    #[test]
    fn what_a_mapping_cannot_hold_is_kept_as_text() {
        let item = |number: usize| {
            let flags: Map<String, Value> =
                (0..3).map(|flag| (format!("f{number}-{flag}"), json!({"BOOL": true}))).collect();
            let mixed = if number == 0 { json!({"S": "x"}) } else { json!({"M": {}}) };
            let number_or_text = if number == 0 { json!({"S": "A-1"}) } else { json!({"N": "1"}) };
            json!({"flags": {"M": flags}, "mixed": mixed, "a.b": number_or_text, "amount": {"N": "1234567890123456.78"}, "api_key": {"S": "k"}, "lat": {"N": "1"}, "lng": {"N": "2"}})
        };
        assert_eq!(
            of((0..30).map(item).collect()),
            Suited {
                as_json: vec!["flags".into(), "mixed".into()],
                numbers_as_string: vec![r"a\.b".into(), "amount".into()],
                exclude: vec!["api_key".into()],
                points: vec![("lat".into(), "lng".into())],
                ..Suited::default()
            }
        );
    }
}
