use std::path::Path;

use serde_json::json;
use streamdex_config::{Config, StreamArn};
use streamdex_dynamodb::size::TableSize;
use streamdex_mapping::{KeyAttribute, StreamView};

use super::super::kinds::{Item, kinds};
use super::*;

const STREAM: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/Shop_1/stream/2026-11-22T15:01:21.123";

fn survey(view: Option<StreamView>) -> Survey {
    let key = |name: &str| KeyAttribute { name: name.to_owned(), kind: KeyType::String };
    Survey {
        table: "Shop_1".to_owned(),
        is_active: true,
        size: TableSize {
            arn: None,
            id: None,
            keys: ["pk", "sk"].map(key).into(),
            items: 90_000_000,
            bytes: 120_000_000_000,
            made_empty: None,
            provisioned_reads: None,
        },
        stream: view.and_then(|view| Some((StreamArn::parse(STREAM)?, view))),
        kms_key: Some("arn:aws:kms:eu-west-1:123456789012:key/k".to_owned()),
        replicas: vec!["us-east-1".to_owned()],
    }
}

fn items() -> Vec<Item> {
    let mut items = Vec::new();
    for number in 0..6 {
        let pk = format!("CUSTOMER#{number}");
        items.push(json!({"pk": {"S": pk}, "sk": {"S": "PROFILE"}, "since": {"S": "2026-01-02"}, "password": {"S": "x"}, "lat": {"N": "1"}, "lon": {"N": "2"}}));
        for order in 0..2 {
            let sk = format!("ORDER#{order}");
            items.push(json!({"pk": {"S": pk}, "sk": {"S": sk}, "placed_at": {"N": "1770000000"}, "expires": {"N": "1790000000"}, "order": {"S": "${x}"}}));
        }
    }
    items.into_iter().map(|item| item.as_object().unwrap().clone()).collect()
}

fn text(survey: &Survey, items: &[Item], url: &str) -> (String, Vec<String>) {
    let keys = survey.size.key_names();
    let opensearch = url.parse().unwrap();
    let endpoint = "http://127.0.0.1:8000".parse().unwrap();
    let kinds = kinds(items, &keys);
    let facts = Facts {
        survey,
        ttl: Some("expires"),
        region: Some("eu-west-1"),
        endpoint: Some(&endpoint),
        opensearch: &opensearch,
        kinds: &kinds,
    };
    (facts.text(), facts.before())
}

#[test]
fn a_single_table_gives_a_route_for_each_kind() {
    let (text, before) =
        text(&survey(Some(StreamView::NewImage)), &items(), "https://search-x-1.eu-west-1.es.amazonaws.com");
    insta::assert_snapshot!(format!("{text}\n--- before\n{}\n", before.join("\n")));
}

#[test]
fn whatever_a_table_is_like_its_configuration_is_valid() {
    let odd = json!({"pk": {"S": "a"}, "sk": {"S": "b"}, "a.b": {"S": "2026-01-01"}, "\"q\"": {"S": "2026-01-01"}, "${v}": {"S": "2026-01-01"}, r"back\slash": {"S": "2026-01-01"}, "_id": {"S": "2026-01-01"}, "": {"S": "2026-01-01"}});
    let odd = vec![odd.as_object().unwrap().clone()];
    let typed = |kind: &str| json!({"pk": {"S": "a"}, "session_id": {"S": "b"}, "type": {"S": kind}});
    let places = (0..4).map(|place| json!({"pk": {"S": "P#1"}, "sk": {"S": format!("LOCATION#{place}")}, "lat": {"N": "1"}, "lon": {"N": "2"}}));
    let shops = (0..4).map(|shop| json!({"pk": {"S": "P#1"}, "sk": {"S": format!("_ID#{shop}")}}));
    let odd_parts: Vec<Item> = places.chain(shops).map(|item| item.as_object().unwrap().clone()).collect();
    let alike = ["Order Line", "order_line"].map(|kind| typed(kind).as_object().unwrap().clone()).to_vec();
    for items in [items(), odd, alike, odd_parts, Vec::new()] {
        for (view, url) in [
            (None, "http://127.0.0.1:9200"),
            (Some(StreamView::KeysOnly), "https://x.eu-west-1.aoss.amazonaws.com"),
            (Some(StreamView::NewAndOldImages), "https://search.example:9200/path"),
        ] {
            let long = "x".repeat(255);
            for table in ["Shop_1", "___", "a.b-c", "prod-live", "x-000001", &long] {
                let survey = Survey { table: table.to_owned(), ..survey(view) };
                let (text, _) = text(&survey, &items, url);
                let parsed = Config::parse(&text, Path::new(""), &|_| None);
                assert!(parsed.is_ok(), "{text}\n{}", parsed.unwrap_err());
            }
        }
    }
}
