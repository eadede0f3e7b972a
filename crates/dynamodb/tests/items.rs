use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use streamdex_dynamodb::Fault;
use streamdex_dynamodb::item::{BatchGetReader, Found, ItemReader};
use streamdex_mapping::{Image, Key};
use streamdex_testkit::emulators::{engines, n, s};

fn key(pk: &str, at: &str) -> Key {
    let text = format!(r#"{{"at":{{"N":"{at}"}},"pk":{{"S":"{pk}"}}}}"#);
    Key::from_image(&Image::of_item(&text)).unwrap()
}

fn value_of(item: &str) -> String {
    let item: serde_json::Value = serde_json::from_str(item).unwrap();
    item["value"]["N"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn items_are_read_in_chunks_with_the_servers_time() {
    for engine in engines().await {
        let table = engine.table().await;
        for chunk in (0..220u64).collect::<Vec<_>>().chunks(25) {
            let put = |at: &u64| {
                PutRequest::builder().item("pk", s("p")).item("at", n(*at)).item("value", n(at * 2)).build().unwrap()
            };
            let requests: Vec<_> =
                chunk.iter().map(|at| WriteRequest::builder().put_request(put(at)).build()).collect();
            engine.dynamodb.batch_write_item().request_items(&table, requests).send().await.unwrap();
        }
        let reader = BatchGetReader::new(engine.dynamodb.clone(), &table);
        let mut keys: Vec<Key> = (0..250).map(|at| key("p", &at.to_string())).collect();
        // The same item again, its number written in another way.
        keys.push(key("p", "3.0"));
        let reads = reader.read(&keys).await.unwrap();
        assert_eq!(reads.len(), 251);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        for (at, read) in reads.iter().enumerate() {
            match &read.found {
                Found::Item(item) if at < 220 => assert_eq!(value_of(item), (at * 2).to_string()),
                Found::Item(item) if at == 250 => assert_eq!(value_of(item), "6"),
                Found::Absent if (220..250).contains(&at) => {}
                other => panic!("{}: {at}: {other:?}", engine.name),
            }
            assert!(now.abs_diff(read.at) <= 5, "{}: {} at {now}", engine.name, read.at);
        }
        assert!(reader.read(&[]).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_key_of_another_shape_does_not_spoil_the_others() {
    for engine in engines().await {
        let table = engine.table().await;
        engine.put(&table, "p", 1).await;
        let half = Key::from_image(&Image::of_item(r#"{"pk":{"S":"only half a key"}}"#)).unwrap();
        let reader = BatchGetReader::new(engine.dynamodb.clone(), &table);
        let reads = reader.read(&[key("p", "1"), half, key("p", "2")]).await.unwrap();
        let found = |at: usize| &reads[at].found;
        assert!(matches!(found(0), Found::Item(_)), "{}", engine.name);
        assert!(
            matches!(found(1), Found::Refused(error) if error.fault() == Fault::Invalid),
            "{}: {:?}",
            engine.name,
            found(1)
        );
        assert!(matches!(found(2), Found::Absent), "{}", engine.name);
        let nowhere = BatchGetReader::new(engine.dynamodb.clone(), "no-such-table");
        assert_eq!(nowhere.read(&[key("p", "1")]).await.unwrap_err().fault(), Fault::NotFound, "{}", engine.name);
    }
}
