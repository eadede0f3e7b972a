//! Reading a whole table and a whole index.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use opensearch::http::Method;
use opensearch::http::headers::HeaderMap;
use opensearch::http::transport::Transport;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::workload::Item;

#[derive(Deserialize)]
struct Page {
    #[serde(rename = "_scroll_id")]
    scroll_id: String,
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_source")]
    source: Box<RawValue>,
}

/// All items of a table, read consistently page by page.
///
/// # Panics
/// When the table cannot be read.
pub async fn table_items(client: &Client, table: &str) -> Vec<Item> {
    // For a page without a limit DynamoDB Local reads all of the table that is left.
    let scan = client.scan().table_name(table).consistent_read(true).limit(1000);
    let mut pages = scan.into_paginator().items().send();
    let mut items = Vec::new();
    while let Some(item) = pages.next().await {
        items.push(item.expect("a page of the table").into_iter().collect());
    }
    items
}

/// All documents of an index by their ids, after a refresh; none where the index does not exist.
///
/// Reads with scroll, which every engine has.
///
/// # Panics
/// When the node does not answer, or answers something else.
pub async fn index_documents(url: &str, index: &str) -> BTreeMap<String, String> {
    let transport = Transport::single_node(url).expect("an address");
    let mut documents = BTreeMap::new();
    let (status, _) = send(&transport, &format!("/{index}/_refresh"), String::new()).await;
    if status == 404 {
        return documents;
    }
    let search = r#"{"size":1000,"sort":["_doc"],"query":{"match_all":{}}}"#.to_owned();
    let (_, mut text) = send(&transport, &format!("/{index}/_search?scroll=1m"), search).await;
    loop {
        let page: Page = serde_json::from_str(&text).unwrap_or_else(|error| panic!("reading {index}: {error}: {text}"));
        if page.hits.hits.is_empty() {
            let close = format!(r#"{{"scroll_id":"{}"}}"#, page.scroll_id);
            let none = None::<&()>;
            transport.send(Method::Delete, "/_search/scroll", json(), none, Some(close), None).await.unwrap();
            return documents;
        }
        documents.extend(page.hits.hits.into_iter().map(|hit| (hit.id, hit.source.get().to_owned())));
        let next = format!(r#"{{"scroll":"1m","scroll_id":"{}"}}"#, page.scroll_id);
        text = send(&transport, "/_search/scroll", next).await.1;
    }
}

async fn send(transport: &Transport, path: &str, body: String) -> (u16, String) {
    let answer = transport.send(Method::Post, path, json(), None::<&()>, Some(body), None).await.unwrap();
    (answer.status_code().as_u16(), answer.text().await.unwrap())
}

fn json() -> HeaderMap {
    HeaderMap::from_iter([("content-type".parse().unwrap(), "application/json".parse().unwrap())])
}
