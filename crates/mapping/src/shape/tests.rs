//! Documents by the rules of a route, against a reference that works on trees.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::Shaped;
use crate::document::document;
use crate::event::read_item;
use crate::field::DocumentError;
use crate::operation::IndexName;
use crate::path::Path;
use crate::route::{Constant, Dots, FieldValue, NumberForm, Route};

fn to() -> Route {
    Route::to(IndexName::parse("i").unwrap())
}

fn paths(texts: &[&str]) -> Vec<Path> {
    texts.iter().map(|text| Path::parse(text).unwrap()).collect()
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn written(route: &Route, item: &str) -> Result<String, DocumentError> {
    let text = document(&Shaped::new(route.clone()), &read_item(item).unwrap())?;
    Ok(String::from_utf8(text.into()).unwrap())
}

#[track_caller]
fn gives(route: &Route, item: &str, expected: &str) {
    assert_eq!(written(route, item).unwrap(), expected);
}

const ORDER: &str = r#"{"id":{"S":"o1"},"at":{"N":"1700000000"},"who":{"M":{"name":{"S":"Ada"},"card":{"S":"4711"}}},
    "lines":{"L":[{"M":{"sku":{"S":"a"},"n":{"N":"1.50"}}},{"M":{"n":{"N":"2"}}},{"S":"gift"}]},"tags":{"SS":["b","a"]}}"#;

#[test]
fn what_is_inside_is_kept_and_left_out_by_its_path() {
    let include = Route { include: paths(&["id", "who.name", "lines.sku", "tags.x"]), ..to() };
    gives(&include, ORDER, r#"{"id":"o1","who":{"name":"Ada"},"lines":[{"sku":"a"},{}],"tags":[]}"#);
    let exclude = Route { exclude: paths(&["at", "who.card", "lines.n", "tags"]), ..to() };
    gives(&exclude, ORDER, r#"{"id":"o1","who":{"name":"Ada"},"lines":[{"sku":"a"},{},"gift"]}"#);
    let both = Route { include: paths(&["who"]), exclude: paths(&["who.card"]), ..to() };
    gives(&both, ORDER, r#"{"who":{"name":"Ada"}}"#);
    // A dot in a name is escaped, and a whole attribute wins over what is inside it.
    let dotted = Route { include: paths(&[r"a\.b.c"]), ..to() };
    gives(&dotted, r#"{"a.b":{"M":{"c":{"N":"1"},"d":{"N":"2"}}},"a":{"N":"3"}}"#, r#"{"a.b":{"c":1}}"#);
    gives(&Route { include: paths(&["who", "who.name"]), ..to() }, ORDER, r#"{"who":{"name":"Ada","card":"4711"}}"#);
    gives(&Route { include: paths(&["id.x"]), ..to() }, ORDER, "{}");
}

#[test]
fn json_text_has_one_order_and_no_secrets() {
    let route = Route { as_json: paths(&["who", "lines.sku"]), exclude: paths(&["who.card"]), ..to() };
    let item = r#"{"who":{"M":{"z":{"N":"1.0"},"card":{"S":"4711"},"a":{"S":"\u00e9\""}}},"lines":{"L":[{"M":{"sku":{"N":"7"}}}]}}"#;
    gives(&route, item, r#"{"who":"{\"a\":\"é\\\"\",\"z\":1.0}","lines":[{"sku":"7"}]}"#);
    let other = item.replacen(r#""z":{"N":"1.0"},"#, "", 1).replacen(
        r#""S":"\u00e9\""}"#,
        r#""S":"\u00e9\""},"z":{"N":"1.0"}"#,
        1,
    );
    assert_eq!(written(&route, item), written(&route, &other));
}

#[test]
fn numbers_are_strings_and_times_where_the_route_says_so() {
    let strings = Route { numbers_as_string: paths(&["lines", "no"]), ..to() };
    gives(
        &strings,
        ORDER,
        r#"{"id":"o1","at":1700000000,"who":{"name":"Ada","card":"4711"},"lines":[{"sku":"a","n":"1.50"},{"n":"2"},"gift"],"tags":["a","b"]}"#,
    );
    let dates = Route { dates: paths(&["at", "m.at", "l"]), ..to() };
    let item = r#"{"at":{"N":"1700000000"},"m":{"M":{"at":{"N":"1700000000123"},"no":{"N":"1700000000"}}},"l":{"L":[{"N":"1.5"},{"S":"2026"},{"NULL":true}]}}"#;
    gives(&dates, item, r#"{"at":1700000000000,"m":{"at":1700000000123,"no":1700000000},"l":[1500,"2026",null]}"#);
    let of_all = Route { numbers: NumberForm::String, dates: paths(&["at"]), ..to() };
    gives(&of_all, r#"{"at":{"N":"1"},"n":{"NS":["2"]}}"#, r#"{"at":1000,"n":["2"]}"#);
}

#[test]
fn names_with_dots_become_objects_or_lose_their_dots() {
    let item = r#"{"a.b":{"N":"1"},"a.c.d":{"N":"2"},"m":{"M":{"x.y":{"N":"3"},"z":{"L":[{"M":{"p.q":{"S":"s"}}}]}}},"_id.x":{"N":"4"},".e":{"N":"5"}}"#;
    let expand = Route { dots: Dots::Expand, ..to() };
    gives(&expand, item, r#"{"a":{"b":1,"c":{"d":2}},"m":{"x":{"y":3},"z":[{"p":{"q":"s"}}]},"x_id":{"x":4},".e":5}"#);
    let underscore = Route { dots: Dots::Underscore, ..to() };
    gives(&underscore, item, r#"{"a_b":1,"a_c_d":2,"m":{"x_y":3,"z":[{"p_q":"s"}]},"_id_x":4,"_e":5}"#);
    for (dots, item) in [
        (Dots::Expand, r#"{"a":{"N":"1"},"a.b":{"N":"2"}}"#),
        (Dots::Expand, r#"{"a.b":{"N":"2"},"a":{"M":{"c":{"N":"1"}}}}"#),
        (Dots::Expand, r#"{"m":{"M":{"a.b.c":{"N":"1"},"a.b":{"N":"2"}}}}"#),
        (Dots::Underscore, r#"{"a.b":{"N":"1"},"a_b":{"N":"2"}}"#),
        (Dots::Underscore, r#"{"m":{"M":{"a.b":{"N":"1"},"a_b":{"N":"2"}}}}"#),
    ] {
        let collided = written(&Route { dots, ..to() }, item);
        assert!(matches!(collided, Err(DocumentError::Collision(_))), "{item}: {collided:?}");
    }
}

fn set<const N: usize>(fields: [(&str, FieldValue); N]) -> BTreeMap<String, FieldValue> {
    fields.map(|(name, value)| (name.to_owned(), value)).into()
}

#[test]
fn fields_are_made_of_other_values() {
    let after = |from: &str, mark: &str| FieldValue::After { from: path(from), mark: mark.to_owned() };
    let point = |lat: &str, lon: &str| FieldValue::Point { lat: path(lat), lon: path(lon) };
    let route = Route {
        exclude: paths(&["pk", "geo"]),
        set: set([
            ("customer", after("pk", "CUSTOMER#")),
            ("entity", FieldValue::Constant(Constant::String("order".into()))),
            ("at", point("geo.lat", "geo.lon")),
            ("skus", FieldValue::From(path("lines.sku"))),
            ("nothing", FieldValue::From(path("lines.none"))),
            ("half", point("geo.lat", "geo.none")),
            ("tail", after("pk", "-")),
        ]),
        ..to()
    };
    let item = r##"{"pk":{"S":"CUSTOMER#4\u00e9#x"},"geo":{"M":{"lat":{"N":"51.9"},"lon":{"S":"-8.47"}}},
        "lines":{"L":[{"M":{"sku":{"S":"a"}}},{"M":{}},{"S":"gift"},{"M":{"sku":{"N":"7"}}}]},"entity":{"S":"old"}}"##;
    let expected = r##"{"lines":[{"sku":"a"},{},"gift",{"sku":7}],"at":{"lat":51.9,"lon":-8.47},"customer":"4é#x","entity":"order","skus":["a",7]}"##;
    gives(&route, item, expected);
    gives(&route, "{}", r#"{"entity":"order"}"#);
    let no_numbers = r#"{"pk":{"N":"7"},"geo":{"M":{"lat":{"S":"north"},"lon":{"N":"1"}}}}"#;
    gives(&route, no_numbers, r#"{"entity":"order"}"#);
}

#[test]
fn what_is_left_out_is_not_copied_by_set() {
    let set = set([
        ("who", FieldValue::From(path("user"))),
        ("copy", FieldValue::From(path("lines"))),
        ("one", FieldValue::From(path("pin"))),
    ]);
    let route = Route {
        exclude: paths(&["user.password", "lines.cost", "pin"]),
        set,
        numbers_as_string: paths(&["user"]),
        ..to()
    };
    let item = r#"{"user":{"M":{"name":{"S":"x"},"password":{"S":"p"},"n":{"N":"1"}}},"lines":{"L":[{"M":{"sku":{"S":"a"},"cost":{"N":"2"}}}]},"pin":{"S":"7"}}"#;
    let expected = r#"{"user":{"name":"x","n":"1"},"lines":[{"sku":"a"}],"copy":[{"sku":"a"}],"one":"7","who":{"name":"x","n":1}}"#;
    gives(&route, item, expected);
}

#[test]
fn a_name_of_many_parts_is_refused_and_is_no_matter_of_the_stack() {
    let name = vec!["a"; 20_000].join(".");
    let item = format!(r#"{{"{name}":{{"N":"1"}}}}"#);
    let refused = written(&Route { dots: Dots::Expand, ..to() }, &item).unwrap_err();
    assert!(matches!(refused, DocumentError::TooDeep(_)) && refused.to_string().len() < 400, "{refused}");
    let inside = format!(r#"{{"secret":{{"M":{{"{name}":{{"N":"1"}}}}}}}}"#);
    let refused = written(&Route { dots: Dots::Expand, ..to() }, &inside).unwrap_err();
    assert_eq!(refused, DocumentError::TooDeep("secret".into()));
}

#[test]
fn a_rename_to_the_same_name_hides_no_collision() {
    let rename = |name: &str| [(name.to_owned(), name.to_owned())].into();
    let item = r#"{"_id":{"S":"1"},"x_id":{"S":"2"}}"#;
    assert!(written(&Route { rename: rename("x_id"), ..to() }, item).is_err());
    let dotted = r#"{"a.b":{"S":"1"},"a_b":{"S":"2"}}"#;
    assert!(written(&Route { rename: rename("a_b"), dots: Dots::Underscore, ..to() }, dotted).is_err());
}

#[test]
fn names_inside_of_a_map_are_in_no_message() {
    let item = r#"{"m":{"M":{"ann@x.y":{"N":"1"},"ann@x_y":{"N":"2"}}}}"#;
    let refused = written(&Route { dots: Dots::Underscore, ..to() }, item).unwrap_err();
    assert_eq!(refused, DocumentError::Collision("m".into()));
    let copied = Route {
        exclude: paths(&["m"]),
        set: set([("copy", FieldValue::From(path("m")))]),
        dots: Dots::Underscore,
        ..to()
    };
    assert_eq!(written(&copied, item).unwrap_err(), DocumentError::Collision("copy".into()));
}

// === a reference on trees ===

/// What the rules of `route` make of the value at `place`; `None` where nothing of it is kept.
fn reference(route: &Route, value: &Value, place: &[String], strings: bool) -> Result<Option<Value>, ()> {
    let is_here = |list: &[Path]| list.iter().any(|path| path.names() == place);
    let covers = |path: &Path| place.starts_with(path.names());
    let all = route.include.is_empty() || route.include.iter().any(covers);
    let strings = strings || is_here(&route.numbers_as_string);
    let shaped = match value {
        Value::Object(members) => {
            let mut object = Map::new();
            for (name, value) in members {
                let inside = [place, std::slice::from_ref(name)].concat();
                let wanted = route.include.is_empty()
                    || route
                        .include
                        .iter()
                        .any(|path| inside.starts_with(path.names()) || path.names().starts_with(&inside));
                if !wanted || route.exclude.iter().any(|path| path.names() == inside) {
                    continue;
                }
                let Some(value) = reference(route, value, &inside, strings)? else { continue };
                let field = if route.dots == Dots::Underscore { name.replace('.', "_") } else { name.clone() };
                if object.insert(field, value).is_some() {
                    return Err(());
                }
            }
            Value::Object(object)
        }
        Value::Array(list) => {
            // A list is one text of JSON, and not each of its elements.
            let as_json = route.as_json.iter().filter(|path| path.names() != place).cloned().collect();
            let of_elements = Route { as_json, ..route.clone() };
            let shaped = list.iter().map(|value| reference(&of_elements, value, place, strings));
            let shaped = shaped.collect::<Result<Vec<_>, ()>>()?;
            Value::Array(shaped.into_iter().flatten().collect())
        }
        _ if !all => return Ok(None),
        Value::Number(number) if is_here(&route.dates) => json!(number.as_i64().unwrap() * 1000),
        Value::Number(number) if strings => json!(number.to_string()),
        other => other.clone(),
    };
    Ok(Some(if is_here(&route.as_json) { Value::String(shaped.to_string()) } else { shaped }))
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[xy]{0,2}".prop_map(Value::from),
        (0_i64..2_000).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(name(), inner, 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    select(vec!["a", "b", "a.b", "a_b", "é"]).prop_map(str::to_owned)
}

fn some_paths() -> impl Strategy<Value = Vec<Path>> {
    let one = vec(name(), 1..4).prop_map(|names| {
        let escaped: Vec<String> = names.iter().map(|name| name.replace('.', r"\.")).collect();
        Path::parse(&escaped.join(".")).unwrap()
    });
    vec(one, 0..3)
}

/// DynamoDB's form of a value.
fn typed(value: &Value) -> Value {
    match value {
        Value::Null => json!({"NULL": true}),
        Value::Bool(value) => json!({"BOOL": value}),
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::String(text) => json!({"S": text}),
        Value::Array(list) => json!({"L": list.iter().map(typed).collect::<Vec<_>>()}),
        Value::Object(members) => json!({"M": item(members)}),
    }
}

fn item(members: &Map<String, Value>) -> Map<String, Value> {
    members.iter().map(|(name, value)| (name.clone(), typed(value))).collect()
}

proptest! {
    #[test]
    fn documents_are_what_the_reference_makes_of_them(
        members in btree_map(name(), value(), 0..4),
        (include, exclude, as_json) in (some_paths(), some_paths(), some_paths()),
        (numbers_as_string, dates) in (some_paths(), some_paths()),
        underscore in any::<bool>(),
        strings in any::<bool>(),
    ) {
        let dots = if underscore { Dots::Underscore } else { Dots::Keep };
        let numbers = if strings { NumberForm::String } else { NumberForm::Exact };
        let route = Route { include, exclude, as_json, numbers_as_string, dates, dots, numbers, ..to() };
        let members: Map<String, Value> = members.into_iter().collect();
        let text = Value::Object(item(&members)).to_string();
        let found = written(&route, &text).map_err(|_| ());
        let found = found.map(|text| serde_json::from_str::<Value>(&text).unwrap());
        let expected = reference(&route, &Value::Object(members), &[], strings).map(Option::unwrap);
        prop_assert_eq!(found, expected);
    }

    /// Every name with dots is where its parts lead, or nothing is written.
    #[test]
    fn expanded_names_lead_to_their_values(names in proptest::collection::btree_set("[ab](\\.[ab]){0,2}", 0..5)) {
        let members: Map<String, Value> = names.iter().enumerate().map(|(place, name)| (name.clone(), json!(place))).collect();
        let found = written(&Route { dots: Dots::Expand, ..to() }, &Value::Object(item(&members)).to_string());
        let prefixes: BTreeSet<String> = names.iter().flat_map(|name| name.match_indices('.').map(|(at, _)| name[..at].to_owned())).collect();
        if names.iter().any(|name| prefixes.contains(name)) {
            prop_assert!(found.is_err(), "{:?}", found);
        } else {
            let found: Value = serde_json::from_str(&found.unwrap()).unwrap();
            for (name, value) in &members {
                prop_assert_eq!(found.pointer(&format!("/{}", name.replace('.', "/"))), Some(value));
            }
        }
    }
}
