//! A node that is too small: a full write queue, and requests that it finds too large.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::StreamViewType;
use fastrand::Rng;
use opensearch::http::Method;
use streamdex_testkit::compare::{compare_documents, index_documents};
use streamdex_testkit::engines::{NodeOptions, SearchEngine, SearchNode};
use streamdex_testkit::fault::FaultServer;
use streamdex_testkit::report::{dynamodb_local, needs};
use streamdex_testkit::workload::{EVENT_TIME, Item, Sessions, StreamRecord, lambda_event_of};

use crate::lab::{Lab, Load, session, text};

async fn node(options: NodeOptions) -> Option<Arc<SearchNode>> {
    let own = SearchNode::start(SearchEngine::OpenSearch3, options).await;
    needs(SearchEngine::OpenSearch3.label(), own).map(Arc::new)
}

/// Bulk items and requests that the node turned away for want of room.
async fn rejected(lab: &Lab) -> u64 {
    let stats = lab.ask(Method::Get, "_nodes/stats/thread_pool").await.1;
    let nodes = stats["nodes"].as_object().unwrap().values();
    nodes.map(|node| node["thread_pool"]["write"]["rejected"].as_u64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_write_queue_loses_nothing() {
    let options =
        NodeOptions::default().setting("thread_pool.write.queue_size", "2").setting("thread_pool.write.size", "1");
    let (Some(node), Some(dynamodb)) = (node(options).await, dynamodb_local().await) else {
        return;
    };
    let lab = Lab::new(&dynamodb.endpoint_url(), &node.url(), StreamViewType::NewAndOldImages).await;
    let small = "max_concurrent_requests = 8\nmax_batch_operations = 20";
    lab.configure(&node.url(), small, "settings = { number_of_shards = 8, number_of_replicas = 0 }");
    lab.fill(3, 3_000).await;
    let mut run = lab.start(&["run"]).await;
    let load = Load::start(lab.writer(3).keys(750, 4));
    tokio::time::sleep(Duration::from_secs(5)).await;
    load.stop().await;
    lab.until_equal("after the rush", || run.stderr()).await;
    let rejected = rejected(&lab).await;
    println!("{rejected} rejections");
    assert!(rejected > 0, "the node took everything: {}", run.stderr());
    run.stop().await;
    lab.no_letters().await;
}

/// Text that does not compress, in words that an analyzer takes.
fn noise(random: &mut Rng, length: usize) -> String {
    (0..length).map(|place| if place % 12 == 11 { ' ' } else { random.alphanumeric() }).collect()
}

fn record(number: u32, length: usize, random: &mut Rng) -> (Item, StreamRecord) {
    let mut item = Sessions::key_of(number, 1);
    item.insert("page".to_owned(), text(&noise(random, length)));
    let position = 1_000 + u64::from(number);
    let record =
        StreamRecord { event_name: "INSERT", seconds: EVENT_TIME, position, old: None, new: Some(item.clone()) };
    (item, record)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_too_large_are_split() {
    let options = NodeOptions::default().setting("http.max_content_length", "2mb");
    let (Some(node), Some(dynamodb)) = (node(options).await, dynamodb_local().await) else {
        return;
    };
    let front = FaultServer::in_front_of(&node.url());
    let lab = Lab::new(&dynamodb.endpoint_url(), &node.url(), StreamViewType::NewAndOldImages).await;
    lab.configure(&front.url(), "", "");
    let mut random = Rng::with_seed(4);
    let (items, records): (Vec<Item>, Vec<StreamRecord>) =
        (0..40).map(|number| record(number, 300_000, &mut random)).unzip();
    lab.write_file("event.json", &lab.of_this_table(&lambda_event_of(records)));
    let ended = lab.end(&["replay", "--images", "--json", "event.json"]).await;
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    assert_eq!(ended.summary()["outcomes"]["applied"], 40, "{}", ended.stdout);
    let bulks = front.bulk_requests();
    let too_large = bulks.iter().filter(|request| request.status == Some(413)).count();
    println!("{too_large} of {} requests were too large", bulks.len());
    assert!(
        too_large > 0,
        "{:?}",
        bulks.iter().map(|request| (request.body.len(), request.status)).collect::<Vec<_>>()
    );
    let expected = items.iter().filter_map(session).map(|expected| (expected.id, expected.document)).collect();
    let differences = compare_documents(&expected, &index_documents(&node.url(), &lab.index).await);
    assert!(differences.is_empty(), "{} differences", differences.len());

    // One document that no splitting makes small enough, between two that fit.
    let lengths = [300_000, 2_500_000, 300_000];
    let records: Vec<StreamRecord> =
        (100..).zip(lengths).map(|(number, length)| record(number, length, &mut random).1).collect();
    lab.write_file("one.json", &lab.of_this_table(&lambda_event_of(records)));
    let ended = lab.end(&["replay", "--images", "--json", "one.json"]).await;
    let summary = ended.summary();
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    assert_eq!((&summary["outcomes"]["applied"], &summary["outcomes"]["dead_lettered"]), (&2.into(), &1.into()));
    let letters = lab.file_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["reason"], "document_too_large", "{}", letters[0]);
}
