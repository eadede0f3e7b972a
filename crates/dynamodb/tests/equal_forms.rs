//! One item as raw JSON and as SDK values gives one document.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use proptest::collection::{btree_set, hash_map, vec};
use proptest::prelude::*;
use streamdex_dynamodb::convert::table_image;
use streamdex_mapping::event::read_item;
use streamdex_mapping::{
    Change, CreationTime, EventName, IndexName, Mapped, Mapper, NumberForm, Outcome, Route, Trust,
};
use streamdex_testkit::compare::first_difference;
use streamdex_testkit::workload::dynamodb_json;

/// The numbers of DynamoDB: up to 38 digits, any exponent.
fn number() -> impl Strategy<Value = String> {
    prop_oneof!["-?(0|[1-9][0-9]{0,37})", "-?[1-9]\\.[0-9]{1,37}", "-?[1-9](\\.[0-9]{1,5})?E[+-][1-9][0-9]{0,2}"]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,6}", any::<String>()]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..9)
}

fn value() -> impl Strategy<Value = AttributeValue> {
    let leaf = prop_oneof![
        text().prop_map(AttributeValue::S),
        number().prop_map(AttributeValue::N),
        bytes().prop_map(|bytes| AttributeValue::B(Blob::new(bytes))),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null(true)),
        btree_set(text(), 1..4).prop_map(|set| AttributeValue::Ss(set.into_iter().collect())),
        btree_set(number(), 1..4).prop_map(|set| AttributeValue::Ns(set.into_iter().collect())),
        btree_set(bytes(), 1..4).prop_map(|set| AttributeValue::Bs(set.into_iter().map(Blob::new).collect())),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(AttributeValue::L),
            hash_map("[a-e.]{1,3}", inner, 0..4).prop_map(AttributeValue::M),
        ]
    })
}

fn item() -> impl Strategy<Value = HashMap<String, AttributeValue>> {
    hash_map("[a-z]{1,6}", value(), 0..6)
}

/// The document of an item, whatever it was read from.
fn document(mapper: &Mapper, image: &streamdex_mapping::Image<'_>) -> String {
    let (_, document) = mapper.map_item(image).unwrap().unwrap();
    String::from_utf8(document).unwrap()
}

proptest! {
    #[test]
    fn raw_json_and_sdk_values_give_equal_documents(mut item in item(), strings in any::<bool>()) {
        item.insert("pk".to_owned(), AttributeValue::S("key".to_owned()));
        let numbers = if strings { NumberForm::String } else { NumberForm::Exact };
        let index = IndexName::parse("items").unwrap();
        let mapper = Mapper::new(vec![Route { id: Some(vec!["pk".to_owned()]), numbers, ..Route::to(index) }]);

        let json = dynamodb_json(&item.clone().into_iter().collect());
        let raw = serde_json::from_str(&json).unwrap();
        let (of_json, of_sdk) = (read_item(raw).unwrap(), table_image(&item));
        let (left, right) = (document(&mapper, &of_json), document(&mapper, &of_sdk));
        prop_assert_eq!(first_difference(&left, &right), None);

        // The comparison behind `unchanged` must come to the same result.
        let keys = table_image(&item);
        let change = Change {
            event: EventName::Modify,
            keys: read_item(serde_json::from_str(r#"{"pk":{"S":"key"}}"#).unwrap()).unwrap(),
            new_image: Some(of_json),
            old_image: Some(keys),
            created: Some(CreationTime::from_seconds(1)),
            ..Change::default()
        };
        prop_assert_eq!(mapper.map(&change, Trust::InOrder), Ok(Mapped::Nothing(Outcome::Unchanged)));
    }

    #[test]
    fn the_text_of_a_number_survives_to_the_byte(digits in number()) {
        let index = IndexName::parse("items").unwrap();
        let mapper = Mapper::new(vec![Route { id: Some(vec!["n".to_owned()]), ..Route::to(index) }]);
        let json = format!(r#"{{"n":{{"N":"{digits}"}}}}"#);
        let image = read_item(serde_json::from_str(&json).unwrap()).unwrap();
        let (address, document) = mapper.map_item(&image).unwrap().unwrap();
        prop_assert_eq!(String::from_utf8(document).unwrap(), format!(r#"{{"n":{digits}}}"#));
        prop_assert_eq!(address.id.as_str(), digits.as_str());
    }
}
