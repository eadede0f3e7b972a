//! Finds the kinds of items in a sample of a table. Pure.
//!
//! A single-table design distinguishes its kinds by an attribute such as `type`, or by the literal parts of its keys,
//! as in `ORDER#o7#LINE#1`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use streamdex_mapping::is_like;

/// An item as DynamoDB JSON, by attribute.
pub(super) type Item = Map<String, Value>;

/// Items that are alike.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kind<'a> {
    /// A name for its index: lower case, words joined by hyphens. Empty where all items are alike.
    pub(super) name: String,
    /// What the items of this kind have, and no others.
    pub(super) when: Vec<Condition>,
    /// Those of the sample.
    pub(super) items: Vec<&'a Item>,
    /// What the values of key attributes end in, behind a text.
    pub(super) parts: Vec<Part>,
}

/// A condition of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) attribute: String,
    /// `equals`, `starts_with` or `like`.
    pub(super) test: &'static str,
    pub(super) value: String,
}

/// What a key says beside the kind: the `c1` of `CUSTOMER#c1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) attribute: String,
    pub(super) after: String,
}

/// Names of attributes that say of what kind an item is, lower case and without `_` and `-`.
const TELLING: [&str; 12] = [
    "type",
    "entity",
    "entitytype",
    "kind",
    "edbe",
    "et",
    "typename",
    "itemtype",
    "recordtype",
    "objecttype",
    "doctype",
    "modelname",
];
const DELIMITERS: [char; 4] = ['#', '|', ':', '/'];
/// More kinds than this are hardly kinds.
const MOST_KINDS: usize = 16;
/// A part of a key is literal where this share of the items has it: one in so many.
const ONE_IN: usize = 50;

/// Returns the kinds in a sample, the narrower ones first; a single one without a name if the items cannot be
/// distinguished. `keys` are the table's key attributes, partition key first.
pub(super) fn kinds<'a>(items: &'a [Item], keys: &[String]) -> Vec<Kind<'a>> {
    let found = by_attribute(items, keys).or_else(|| by_key(items, keys)).filter(|kinds| kinds.len() > 1);
    found.unwrap_or_else(|| {
        vec![Kind { name: String::new(), when: Vec::new(), items: items.iter().collect(), parts: Vec::new() }]
    })
}

/// The text of a string attribute.
fn text<'a>(item: &'a Item, attribute: &str) -> Option<&'a str> {
    item.get(attribute)?.get("S")?.as_str()
}

/// A name in lower case, without `_` and `-`.
pub(super) fn plain(name: &str) -> String {
    name.to_lowercase().replace(['_', '-'], "")
}

fn by_attribute<'a>(items: &'a [Item], keys: &[String]) -> Option<Vec<Kind<'a>>> {
    let telling = |name: &&String| TELLING.contains(&plain(name).as_str()) && !keys.contains(name);
    let attributes: BTreeSet<&String> = items.iter().flat_map(Map::keys).filter(telling).collect();
    attributes.into_iter().find_map(|attribute| {
        let mut groups: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
        for item in items {
            groups.entry(text(item, attribute)?).or_default().push(item);
        }
        (groups.len() <= MOST_KINDS).then(|| {
            let kind = |(value, items): (&str, Vec<&'a Item>)| Kind {
                name: index_part(value),
                when: vec![Condition { attribute: attribute.clone(), test: "equals", value: value.to_owned() }],
                items,
                parts: Vec::new(),
            };
            groups.into_iter().map(kind).collect()
        })
    })
}

/// The form of a key: its literal parts, and `None` for each that varies.
type Form = Vec<Option<String>>;

fn by_key<'a>(items: &'a [Item], keys: &[String]) -> Option<Vec<Kind<'a>>> {
    let delimiter = delimiter(items, keys)?;
    let last = keys.last();
    let of_keys: Vec<Vec<Form>> = keys.iter().map(|key| forms(items, key, delimiter, Some(key) == last)).collect();
    let mut groups: BTreeMap<Vec<&Form>, Vec<&Item>> = BTreeMap::new();
    for (place, item) in items.iter().enumerate() {
        groups.entry(of_keys.iter().filter_map(|forms| forms.get(place)).collect()).or_default().push(item);
    }
    if groups.len() > MOST_KINDS {
        return None;
    }
    let mut ordered: Vec<_> = groups.iter().collect();
    ordered.sort_by_key(|(forms, _)| std::cmp::Reverse(narrowness(forms)));
    let kind = |(place, (forms, items)): (usize, &(&Vec<&Form>, &Vec<&'a Item>))| {
        // What stands before takes its own; what stands behind must be left.
        let others: Vec<&Item> = ordered.iter().skip(place + 1).flat_map(|(_, items)| items.iter().copied()).collect();
        let is_shared = |from: usize| groups.keys().filter(|other| other.get(from..) == forms.get(from..)).count() > 1;
        let when = conditions(forms, keys, delimiter, &others, is_shared);
        Kind { name: name(forms), when, items: (*items).clone(), parts: parts(forms, keys, delimiter) }
    };
    let kinds: Vec<Kind<'a>> = ordered.iter().enumerate().map(kind).collect();
    let is_told_apart = kinds.iter().filter(|kind| kind.when.is_empty()).count() <= 1;
    is_told_apart.then_some(kinds)
}

/// The character that divides the values of keys, where one does.
fn delimiter(items: &[Item], keys: &[String]) -> Option<char> {
    let texts = || items.iter().flat_map(|item| keys.iter().filter_map(|key| text(item, key)));
    let uses = |delimiter: &char| texts().filter(|text| text.contains(*delimiter)).count();
    DELIMITERS
        .into_iter()
        .map(|delimiter| (uses(&delimiter), delimiter))
        .filter(|(uses, _)| *uses > 0)
        .max_by_key(|(uses, _)| *uses)
        .map(|(_, delimiter)| delimiter)
}

/// The form of `key` in each item. A word is literal where many have it at that place; behind a literal stands a value. A word
/// alone is literal in the last key, as `PROFILE`; in the first one it is a name.
fn forms(items: &[Item], key: &str, delimiter: char, is_last: bool) -> Vec<Form> {
    let parts = |item| text(item, key).map(|text| text.split(delimiter).collect::<Vec<&str>>()).unwrap_or_default();
    let parts: Vec<Vec<&str>> = items.iter().map(parts).collect();
    let mut forms: Vec<Form> = vec![Form::new(); items.len()];
    let longest = parts.iter().map(Vec::len).max().unwrap_or_default();
    for place in 0..longest {
        let mut counted: BTreeMap<(Form, &str), usize> = BTreeMap::new();
        let mut reached: BTreeMap<Form, usize> = BTreeMap::new();
        for (form, part) in forms.iter().zip(&parts).filter_map(|(form, parts)| Some((form, parts.get(place)?))) {
            *counted.entry((form.clone(), part)).or_default() += 1;
            *reached.entry(form.clone()).or_default() += 1;
        }
        for (form, parts) in forms.iter_mut().zip(&parts) {
            let Some(part) = parts.get(place) else { continue };
            let count = counted.get(&(form.clone(), *part)).copied().unwrap_or_default();
            let of = reached.get(form).copied().unwrap_or_default();
            let follows_literal = form.last().is_some_and(Option::is_some);
            let is_name = !is_last && parts.len() == 1;
            let is_literal = !is_name && !follows_literal && is_word(part) && count >= 2 && count * ONE_IN >= of;
            form.push(is_literal.then(|| (*part).to_owned()));
        }
    }
    forms
}

fn is_word(part: &str) -> bool {
    part.len() > 1 && part.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-'))
}

fn literals(form: &Form) -> impl Iterator<Item = &str> {
    form.iter().filter_map(Option::as_deref)
}

/// How many literal parts there are, then how many parts.
fn narrowness(forms: &[&Form]) -> (usize, usize) {
    (forms.iter().map(|form| literals(form).count()).sum(), forms.iter().map(|form| form.len()).sum())
}

/// The words of the last key; with those of the first where the last one is a word alone, as `PROFILE`.
fn name(forms: &[&Form]) -> String {
    let last = forms.iter().rev().find(|form| literals(form).next().is_some());
    let mut words: Vec<&str> = last.map(|form| literals(form).collect()).unwrap_or_default();
    if last.is_some_and(|form| form.iter().all(Option::is_some)) {
        let first = forms.first().into_iter().flat_map(|form| literals(form));
        words = first.chain(words.iter().copied()).collect();
    }
    words.dedup();
    index_part(&words.join("-"))
}

/// The condition on the last key; on the others too, as long as `others` fulfil what there is, or other kinds share the
/// forms of the keys so far.
fn conditions(
    forms: &[&Form],
    keys: &[String],
    delimiter: char,
    others: &[&Item],
    is_shared: impl Fn(usize) -> bool,
) -> Vec<Condition> {
    let mut found: Vec<Condition> = Vec::new();
    for (place, (form, key)) in forms.iter().zip(keys).enumerate().rev() {
        found.extend(condition(form, key, delimiter));
        let takes_others = others.iter().any(|item| found.iter().all(|condition| condition.holds(item)));
        if !found.is_empty() && !takes_others && !is_shared(place) {
            break;
        }
    }
    found
}

impl Condition {
    fn holds(&self, item: &Item) -> bool {
        let Some(text) = text(item, &self.attribute) else { return false };
        match self.test {
            "equals" => text == self.value,
            "starts_with" => text.starts_with(&self.value),
            _ => is_like(text, &self.value.split('*').map(str::to_owned).collect::<Vec<_>>()),
        }
    }
}

fn condition(form: &Form, attribute: &str, delimiter: char) -> Option<Condition> {
    let (test, value) = match form.as_slice() {
        [Some(word)] => ("equals", word.clone()),
        [Some(word), None] => ("starts_with", format!("{word}{delimiter}")),
        parts if parts.iter().any(Option::is_some) => {
            let parts: Vec<&str> = parts.iter().map(|part| part.as_deref().unwrap_or("*")).collect();
            ("like", parts.join(&delimiter.to_string()))
        }
        _ => return None,
    };
    Some(Condition { attribute: attribute.to_owned(), test, value })
}

fn parts(forms: &[&Form], keys: &[String], delimiter: char) -> Vec<Part> {
    let part = |(form, key): (&&Form, &String)| {
        let (rest, word) = match form.as_slice() {
            [rest @ .., Some(word), None] => (rest, word),
            _ => return None,
        };
        let before = if rest.is_empty() { String::new() } else { delimiter.to_string() };
        let after = format!("{before}{word}{delimiter}");
        Some(Part {
            name: word.to_lowercase().replace('-', "_").trim_start_matches('_').to_owned(),
            attribute: key.clone(),
            after,
        })
    };
    let mut parts: Vec<Part> = forms.iter().zip(keys).filter_map(part).collect();
    parts.dedup_by(|one, other| one.name == other.name);
    parts
}

/// What may stand in the name of an index: lower case, other signs as hyphens.
pub(super) fn index_part(text: &str) -> String {
    let plain = |sign: char| if sign.is_ascii_alphanumeric() || sign == '.' { sign.to_ascii_lowercase() } else { '-' };
    let words: String = text.chars().map(plain).collect();
    let words: Vec<&str> = words.split('-').filter(|word| !word.is_empty()).collect();
    words.join("-").trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys() -> Vec<String> {
        ["pk", "sk"].map(str::to_owned).into()
    }

    fn item(pk: &str, sk: &str) -> Item {
        json!({"pk": {"S": pk}, "sk": {"S": sk}}).as_object().unwrap().clone()
    }

    fn described(items: &[Item], keys: &[String]) -> Vec<String> {
        let condition = |one: &Condition| format!("{} {} {}", one.attribute, one.test, one.value);
        let kinds = kinds(items, keys);
        let line = |kind: &Kind<'_>| {
            let when: Vec<String> = kind.when.iter().map(condition).collect();
            let parts: Vec<String> =
                kind.parts.iter().map(|part| format!("{}={}:{}", part.name, part.attribute, part.after)).collect();
            format!("{} [{}] {} {}", kind.name, when.join(", "), parts.join(" "), kind.items.len())
        };
        kinds.iter().map(line).collect()
    }

    #[test]
    fn literal_parts_of_keys_tell_kinds_apart_and_the_narrower_one_comes_first() {
        let mut items = Vec::new();
        for customer in 0..5 {
            let pk = format!("CUSTOMER#c{customer}");
            items.push(item(&pk, "PROFILE"));
            for order in 0..3 {
                items.push(item(&pk, &format!("ORDER#o{order}")));
                items.push(item(&pk, &format!("ORDER#o{order}#LINE#{order}")));
            }
        }
        items.extend((0..4).map(|number| item(&format!("SHOP#s{number}"), "PROFILE")));
        assert_eq!(
            described(&items, &keys()),
            [
                "order-line [sk like ORDER#*#LINE#*] customer=pk:CUSTOMER# line=sk:#LINE# 15",
                "order [sk starts_with ORDER#] customer=pk:CUSTOMER# order=sk:ORDER# 15",
                "customer-profile [sk equals PROFILE, pk starts_with CUSTOMER#] customer=pk:CUSTOMER# 5",
                "shop-profile [sk equals PROFILE, pk starts_with SHOP#] shop=pk:SHOP# 4",
            ]
        );
    }

    #[test]
    fn names_are_no_kinds_and_a_narrower_kind_leaves_others_their_items() {
        let users = ["alice", "bob", "carol"];
        let sessions: Vec<Item> =
            (0..60).map(|at| item(users[at % 3], &format!("2026-01-{:02}T10:00:00Z", at % 28 + 1))).collect();
        assert_eq!(described(&sessions, &keys()), [" []  60"]);
        let mut items: Vec<Item> = (0..9).map(|at| item(&format!("u{at}"), &format!("AB#{at}#y{at}"))).collect();
        items.extend((0..9).map(|at| item(&format!("PQ#{at}"), &format!("AB#{at}"))));
        let described = described(&items, &keys());
        assert!(described[0].contains("sk starts_with AB#, pk starts_with PQ#"), "{described:?}");
    }

    #[test]
    fn an_attribute_that_is_made_for_it_goes_before_keys() {
        let typed = |number: usize, kind: &str| {
            let mut item = item(&format!("A#{number}"), &format!("B#{number}"));
            item.insert("_entityType".to_owned(), json!({"S": kind}));
            item
        };
        let items = [typed(1, "Order Line"), typed(2, "Order"), typed(3, "Order")];
        assert_eq!(
            described(&items, &keys()),
            ["order [_entityType equals Order]  2", "order-line [_entityType equals Order Line]  1"]
        );
    }

    #[test]
    fn what_cannot_be_told_apart_is_one_kind() {
        let plain: Vec<Item> = (0..40).map(|number| item(&format!("u{number}"), &format!("s-{number}"))).collect();
        assert_eq!(described(&plain, &keys()), [" []  40"]);
        let one: Vec<Item> = (0..40).map(|number| item(&format!("USER#{number}"), "PROFILE")).collect();
        assert_eq!(described(&one, &keys()), [" []  40"]);
        let many: Vec<Item> = (0..400).map(|number| item(&format!("{}#1", "k".repeat(number / 2 + 2)), "x")).collect();
        assert_eq!(described(&many, &keys()), [" []  400"]);
        assert_eq!(described(&[], &keys()), [" []  0"]);
        let numbers = [json!({"pk": {"N": "1"}, "sk": {"N": "2"}}).as_object().unwrap().clone()];
        assert_eq!(described(&numbers, &keys()), [" []  1"]);
    }

    #[test]
    fn names_of_indices_are_clean() {
        for (text, expected) in [("Order Line", "order-line"), ("_x", "x"), ("A/B*", "a-b"), ("..a", "a"), ("é", "")] {
            assert_eq!(index_part(text), expected);
        }
    }
}
