//! What the reader of DynamoDB JSON must come to, worked out with `serde_json` alone: slow, and simple enough to be
//! believed. The fuzz target has it too.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use streamdex_mapping::event::{CapturedError, read_captured};
use streamdex_mapping::image::AttributeProblemKind as Kind;
use streamdex_mapping::{
    Action, Change, Image, IndexName, MapError, Mapped, Mapper, NumberForm, Operation, Outcome, RecordError, Route,
    Trust,
};

/// An item: name and document text of each attribute, or what is wrong with it. `None`: no map of attributes.
pub(crate) type Item = Option<Vec<(String, Result<String, Kind>)>>;

/// Members in their order; `None` where the text is no object, or a name is no text.
fn members(text: &str) -> Option<Vec<(String, &RawValue)>> {
    let named = |(name, value): (&RawValue, _)| Some((serde_json::from_str(name.get()).ok()?, value));
    raw_members(text)?.into_iter().map(named).collect()
}

/// Of the members of one name, the last one.
fn last_members(text: &str) -> Option<Vec<(String, &RawValue)>> {
    let all = members(text)?;
    let is_last = |place: usize| !all.iter().skip(place + 1).any(|(name, _)| *name == all[place].0);
    Some((0..all.len()).filter(|place| is_last(*place)).map(|place| all[place].clone()).collect())
}

/// The member that counts; `None` where the text is an object without it. Names that are no text are passed over.
fn member<'a>(text: &'a str, name: &str) -> Option<&'a RawValue> {
    let all: Vec<(&RawValue, &RawValue)> = raw_members(text)?;
    let named = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).is_ok_and(|found| found == name);
    all.into_iter().rev().find(|(raw, _)| named(raw)).map(|(_, value)| value)
}

/// The same with names as they stand.
fn raw_members(text: &str) -> Option<Vec<(&RawValue, &RawValue)>> {
    struct Pairs<'a>(Vec<(&'a RawValue, &'a RawValue)>);
    impl<'de> Deserialize<'de> for Pairs<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Collect;
            impl<'de> Visitor<'de> for Collect {
                type Value = Pairs<'de>;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                    let mut members = Vec::new();
                    while let Some(member) = map.next_entry()? {
                        members.push(member);
                    }
                    Ok(Pairs(members))
                }
            }
            deserializer.deserialize_map(Collect)
        }
    }
    serde_json::from_str::<Pairs<'_>>(text).ok().map(|pairs| pairs.0)
}

/// What an item comes to.
pub(crate) fn item(text: &str, numbers: NumberForm) -> Item {
    if text == "null" {
        return Some(Vec::new());
    }
    let attributes = last_members(text)?;
    Some(attributes.into_iter().map(|(name, raw)| (name, value(raw.get(), numbers, 1).unwrap_or_else(Err))).collect())
}

const DEEPEST: usize = 127;

/// The document text of a value, strings escaped as serde_json does. The outer error makes the whole attribute unreadable,
/// the inner one is a problem inside it.
fn value(text: &str, numbers: NumberForm, depth: usize) -> Result<Result<String, Kind>, Kind> {
    let tags = members(text).filter(|_| depth <= DEEPEST).ok_or(Kind::Unreadable)?;
    let Some((tag, _)) = tags.first() else { return Ok(Err(Kind::NoTag)) };
    let tag = if is_tag(tag) { tag.as_str() } else { "" };
    let is_other = |(other, _): &&(String, &RawValue)| is_tag(other) != is_tag(tag) || is_tag(other) && other != tag;
    let mut result = Ok(String::new());
    for (_, raw) in tags.iter().filter(|member| !is_other(member)) {
        result = tagged(tag, raw.get(), numbers, depth)?;
    }
    Ok(if tags.iter().any(|member| is_other(&member)) { Err(Kind::SeveralTags) } else { result })
}

fn is_tag(text: &str) -> bool {
    ["S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"].contains(&text)
}

fn tagged(tag: &str, text: &str, numbers: NumberForm, depth: usize) -> Result<Result<String, Kind>, Kind> {
    let string = |text: &str| serde_json::from_str::<String>(text).map_err(|_| Kind::WrongValue);
    let quoted = |text: &String| serde_json::to_string(text).unwrap();
    let number = |text: &String| {
        let is_number = !text.starts_with(['"', '{', '[', 't', 'f', 'n', ' ', '\n', '\t', '\r'])
            && !text.ends_with([' ', '\n', '\t', '\r'])
            && serde_json::from_str::<&RawValue>(text).is_ok();
        let written = if numbers == NumberForm::String { format!("\"{text}\"") } else { text.clone() };
        if is_number { Ok(written) } else { Err(Kind::NotANumber) }
    };
    Ok(match tag {
        "S" | "B" => string(text).map(|text| quoted(&text)),
        "N" => string(text).and_then(|digits| number(&digits)),
        "BOOL" if text == "true" || text == "false" => Ok(text.to_owned()),
        "BOOL" => Err(Kind::WrongValue),
        "NULL" => Ok("null".to_owned()),
        "L" | "SS" | "NS" | "BS" => {
            let elements: Vec<&RawValue> =
                serde_json::from_str(text).ok().filter(|_| depth < DEEPEST).ok_or(Kind::Unreadable)?;
            if tag == "L" {
                let read: Result<Vec<_>, Kind> =
                    elements.iter().map(|element| value(element.get(), numbers, depth + 2)).collect();
                read?.into_iter().collect::<Result<Vec<_>, _>>().map(|values| format!("[{}]", values.join(",")))
            } else {
                set(tag, &elements, &string, &number)
            }
        }
        "M" => {
            let all = members(text).filter(|_| depth < DEEPEST).ok_or(Kind::Unreadable)?;
            // Also one that does not count must be an attribute value.
            let read: Result<Vec<_>, Kind> = all.iter().map(|(_, raw)| value(raw.get(), numbers, depth + 2)).collect();
            let read = read?;
            let is_last = |place: usize| !all.iter().skip(place + 1).any(|(name, _)| *name == all[place].0);
            let last = (0..all.len()).filter(|place| is_last(*place));
            let written = last.map(|place| Ok(format!("{}:{}", quoted(&all[place].0), read[place].clone()?)));
            written.collect::<Result<Vec<_>, Kind>>().map(|members| format!("{{{}}}", members.join(",")))
        }
        _ => Err(Kind::UnknownTag),
    })
}

fn set(
    tag: &str,
    elements: &[&RawValue],
    string: &dyn Fn(&str) -> Result<String, Kind>,
    number: &dyn Fn(&String) -> Result<String, Kind>,
) -> Result<String, Kind> {
    let strings: Result<Vec<String>, Kind> = elements.iter().map(|element| string(element.get())).collect();
    let mut strings = strings?;
    strings.sort();
    let quoted = |text: &String| Ok(serde_json::to_string(text).unwrap());
    let written = strings.iter().map(|text| if tag == "NS" { number(text) } else { quoted(text) });
    written.collect::<Result<Vec<_>, Kind>>().map(|values| format!("[{}]", values.join(",")))
}

/// The first problem of an item, and its document where it has none.
pub(crate) fn document(item: &Item) -> Result<String, (String, Kind)> {
    let Some(attributes) = item else { return Err((String::new(), Kind::NoImage)) };
    let field = |(name, value): &(String, Result<String, Kind>)| match value {
        Ok(text) => Ok(format!("{}:{text}", serde_json::to_string(name).unwrap())),
        Err(kind) => Err((name.clone(), *kind)),
    };
    let fields: Result<Vec<String>, _> = attributes.iter().map(field).collect();
    fields.map(|fields| format!("{{{}}}", fields.join(",")))
}

/// A JSON text with its strings escaped as serde_json does.
pub(crate) fn plain(text: &str) -> String {
    rewritten(text, false)
}

fn rewritten(text: &str, sorted: bool) -> String {
    if let Some(mut members) = members(text) {
        if sorted {
            members.sort_by(|left, right| left.0.cmp(&right.0));
        }
        let member = |(name, raw): &(String, &RawValue)| {
            format!("{}:{}", serde_json::to_string(name).unwrap(), rewritten(raw.get(), sorted))
        };
        return format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","));
    }
    if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(text) {
        return format!("[{}]", elements.iter().map(|raw| rewritten(raw.get(), sorted)).collect::<Vec<_>>().join(","));
    }
    serde_json::from_str::<String>(text).map_or_else(|_| text.to_owned(), |text| serde_json::to_string(&text).unwrap())
}

/// A JSON text that is the same for equal values: what decides whether a change changes anything.
fn canonical(text: &str) -> String {
    rewritten(text, true)
}

fn mapper(numbers: NumberForm) -> Mapper {
    Mapper::new(vec![Route { numbers, ..Route::to(IndexName::parse("i").unwrap()) }])
}

/// Holds the reader of items against the reference.
pub(crate) fn check_item(text: &str) {
    let parsed = serde_json::from_str::<&RawValue>(text).ok();
    let image = streamdex_mapping::event::read_item(text);
    let Some(raw) = parsed else {
        assert!(image.is_err(), "no JSON, and read: {text}");
        return;
    };
    let expected = item(raw.get(), NumberForm::Exact);
    match (&image, &expected) {
        (Err(_), None) => {}
        (Ok(image), Some(attributes)) => check_image(image, attributes, text),
        _ => panic!("{text}: {image:?} and not {expected:?}"),
    }
}

fn check_image(image: &Image<'_>, attributes: &[(String, Result<String, Kind>)], text: &str) {
    let names: Vec<_> = image.attribute_names().map(std::borrow::Cow::into_owned).collect();
    assert_eq!(names, attributes.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), "{text}");
    let problem = attributes.iter().find_map(|(name, value)| Some((name.clone(), *value.as_ref().err()?)));
    let found = image.problem().map(|problem| (problem.attribute.clone(), problem.kind));
    assert_eq!(found, problem, "{text}");
}

/// Holds the whole way of an event against the reference: which records are handed over, what is wrong with them, and what
/// is written of them.
pub(crate) fn check_event(text: &str) {
    let mut records: Vec<Result<Change<'_>, RecordError>> = Vec::new();
    let captured = read_captured(text, |place, record| {
        assert_eq!(place, records.len(), "records come in order, each once");
        records.push(record.cloned());
    });
    let Ok(raw) = serde_json::from_str::<&RawValue>(text) else {
        assert!(matches!(captured, Err(CapturedError::Json { .. })), "no JSON, and read: {text}");
        return;
    };
    assert!(!matches!(captured, Err(CapturedError::Json { .. })), "JSON, and not read: {text}: {captured:?}");
    let list = if raw.get().starts_with('[') { Some(raw) } else { first_list(raw.get()) };
    let expected: Vec<&RawValue> = match list {
        Some(list) => serde_json::from_str(list.get()).unwrap(),
        None if records.is_empty() => Vec::new(),
        None => vec![raw],
    };
    assert_eq!(records.len(), expected.len(), "{text}");
    for (found, raw) in records.iter().zip(expected) {
        check_record(found, raw.get());
    }
}

/// The first member `Records` that is a list.
fn first_list(text: &str) -> Option<&RawValue> {
    let named = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).is_ok_and(|name| name == "Records");
    let all = raw_members(text)?;
    all.into_iter().find(|(name, value)| named(name) && value.get().starts_with('[')).map(|(_, value)| value)
}

fn check_record(found: &Result<Change<'_>, RecordError>, text: &str) {
    let data = member(text, "dynamodb");
    let keys = data.and_then(|data| member(data.get(), "Keys"));
    let keys = keys.map(|keys| item(keys.get(), NumberForm::Exact));
    let has_keys = matches!(&keys, Some(Some(keys)) if !keys.is_empty());
    let string = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).ok();
    let event = member(text, "eventName").and_then(string).map(|name| name.to_ascii_uppercase());
    let known = event.as_deref().is_some_and(|name| ["INSERT", "MODIFY", "REMOVE"].contains(&name));
    let is_object = data.is_some_and(|data| data.get().starts_with('{'));
    assert_eq!(found.is_ok(), is_object && has_keys && known, "{text}: {found:?}");
    let Ok(change) = found else { return };
    let image = |name| data.and_then(|data| member(data.get(), name)).map(|raw| item(raw.get(), NumberForm::Exact));
    for (name, found) in [("NewImage", &change.new_image), ("OldImage", &change.old_image)] {
        let expected = image(name).filter(|item| item.as_ref().is_none_or(|attributes| !attributes.is_empty()));
        assert_eq!(found.is_some(), expected.is_some(), "{name} of {text}");
        match (found, expected) {
            (Some(found), Some(Some(attributes))) => check_image(found, &attributes, text),
            (Some(found), Some(None)) => assert_eq!(found.problem().unwrap().kind, Kind::NoImage, "{text}"),
            _ => {}
        }
    }
    for numbers in [NumberForm::Exact, NumberForm::String] {
        check_mapped(change, numbers, text);
    }
}

/// What is written of a change of which everything can be read.
fn check_mapped(change: &Change<'_>, numbers: NumberForm, text: &str) {
    let mapped = mapper(numbers).map(change, Trust::InOrder);
    let operations = match &mapped {
        Ok(Mapped::Operations(operations)) => operations.clone(),
        Err(refusal) => match &refusal.sent {
            Some(Mapped::Operations(operations)) => operations.clone(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    operations.iter().for_each(check_operation);
    let data = member(text, "dynamodb").unwrap().get();
    let of =
        |name, numbers| member(data, name).map(|raw| item(raw.get(), numbers)).filter(|item| *item != Some(Vec::new()));
    let modified = serde_json::from_str::<String>(member(text, "eventName").unwrap().get()).unwrap();
    let Some(Ok(document)) = of("NewImage", numbers).as_ref().map(document) else { return };
    if modified.eq_ignore_ascii_case("REMOVE") {
        return;
    }
    // Compared as they came: a number and a string of the same digits are not the same.
    let exactly = |name| of(name, NumberForm::Exact).and_then(|item| self::document(&item).ok());
    let both = exactly("NewImage").zip(exactly("OldImage")).filter(|_| modified.eq_ignore_ascii_case("MODIFY"));
    let is_unchanged =
        both.is_some_and(|(new, old)| canonical(&without_replication(&new)) == canonical(&without_replication(&old)));
    let written = operations.iter().find_map(|operation| match &operation.action {
        Action::Index(text) => Some(std::str::from_utf8(text).unwrap().to_owned()),
        Action::Delete => None,
    });
    match (&mapped, written) {
        (Ok(Mapped::Nothing(Outcome::Unchanged)), _) => assert!(is_unchanged, "taken for unchanged: {text}"),
        (_, Some(written)) => {
            assert_eq!(plain(&written), with_names_of_fields(&without_replication(&document)), "{text}");
            assert!(!is_unchanged, "written, and nothing changed: {text}");
        }
        (Err(refusal), None) => {
            let is_field = matches!(&refusal.error, MapError::Document(_));
            let is_key = !matches!(&refusal.error, MapError::Document(_) | MapError::Attribute(_));
            assert!(is_field || is_key || change.keys.problem().is_some(), "{text}: {refusal:?}");
        }
        (other, None) => panic!("{text}: {other:?}"),
    }
}

/// Without the attributes of an old global table.
fn without_replication(document: &str) -> String {
    let kept = members(document).unwrap().into_iter().filter(|(name, _)| !name.starts_with("aws:rep:"));
    let member = |(name, raw): (String, &RawValue)| format!("{}:{}", serde_json::to_string(&name).unwrap(), raw.get());
    format!("{{{}}}", kept.map(member).collect::<Vec<_>>().join(","))
}

/// With the field of the one attribute of these tests whose name OpenSearch keeps for itself.
fn with_names_of_fields(document: &str) -> String {
    let member = |(name, raw): (String, &RawValue)| {
        let field = if name == "_id" { "x_id" } else { &name };
        format!("{}:{}", serde_json::to_string(field).unwrap(), raw.get())
    };
    format!("{{{}}}", members(document).unwrap().into_iter().map(member).collect::<Vec<_>>().join(","))
}

fn check_operation(operation: &Operation) {
    let id = operation.address.id.as_str();
    assert!(!id.is_empty() && id.len() <= 512);
    assert!(i64::try_from(operation.version.get()).is_ok());
    let Action::Index(document) = &operation.action else { return };
    let text = std::str::from_utf8(document).expect("a document is UTF-8");
    assert!(!has_space(text), "space or a line break between the tokens of {text}");
    let fields = serde_json::from_str::<BTreeMap<String, &RawValue>>(text).expect("a document is a JSON object");
    assert_eq!(fields.len(), members(text).unwrap().len(), "no field twice: {text}");
}

/// Whether there is white space outside of the strings, or a control character in one.
fn has_space(text: &str) -> bool {
    let (mut in_string, mut is_escaped) = (false, false);
    text.bytes().any(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b' ' => return !in_string,
            _ => return byte < b' ',
        }
        false
    })
}
