//! Documents of a form of their own: the examples of docs/mappings.md, as they stand there.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::StreamViewType;
use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_testkit::engines::{NodeOptions, SearchEngine, SearchNode, unique_name, workspace_folder};
use streamdex_testkit::report::{dynamodb_local, needs};
use streamdex_testkit::workload::Sessions;

use crate::lab::{CONFIG, Lab, number};

/// A block of the page: what stands behind its three backticks, and its lines.
struct Block {
    words: Vec<String>,
    text: String,
}

/// The blocks of each example.
fn examples() -> Vec<(String, Vec<Block>)> {
    let page = std::fs::read_to_string(workspace_folder().join("docs/mappings.md")).unwrap();
    let sections = page.split("\n## ").skip(1).map(|section| {
        let (title, body) = section.split_once('\n').unwrap();
        let block = |text: &str| {
            let (head, body) = text.split_once('\n').unwrap();
            Block { words: head.split(' ').map(str::to_owned).collect(), text: body.to_owned() }
        };
        (title.to_owned(), body.split("```").skip(1).step_by(2).map(block).collect())
    });
    sections.collect()
}

/// A record of a new item.
fn record(place: usize, item: &Value) -> String {
    json!({
        "eventName": "INSERT", "eventSource": "aws:dynamodb", "awsRegion": "eu-west-1",
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/shown/stream/2026-01-01T00:00:00.000",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_770_000_000, "Keys": {"id": item["id"]}, "NewImage": item,
            "SequenceNumber": format!("{}00000000000000000000", place + 1), "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    })
    .to_string()
}

/// Runs the blocks of one example; how many searches it has.
async fn run(lab: &Lab, title: &str, blocks: &[Block]) -> usize {
    let index = unique_name("shown");
    let (mut toml, mut items, mut searches) = (String::new(), Vec::new(), Vec::new());
    for Block { words, text } in blocks {
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["toml"] => toml.push_str(text),
            ["json", "item"] => items.push(serde_json::from_str::<Value>(text).unwrap()),
            ["json", "file", name] => lab.write_file(name, text),
            ["json", "pipeline", name] => {
                let path = format!("_ingest/pipeline/{index}-{name}");
                let (status, answer) = lab.send(Method::Put, &path, serde_json::from_str(text).unwrap()).await;
                assert_eq!(status, 200, "{title}: {answer}");
            }
            ["json", "finds", found @ ..] => {
                let found: BTreeSet<String> =
                    found.iter().filter(|id| **id != "nothing").map(|id| (*id).to_owned()).collect();
                searches.push((found, serde_json::from_str::<Value>(text).unwrap()));
            }
            other => panic!("{title}: {other:?}"),
        }
    }
    let name = toml.split_once("index = \"").unwrap().1.split_once('"').unwrap().0.to_owned();
    let toml = toml
        .replace(&format!("index = \"{name}\""), &format!("index = \"{index}\""))
        .replace(&format!("[index.{name}]"), &format!("[index.{index}]"))
        .replace("default_pipeline = \"", &format!("default_pipeline = \"{index}-"));
    let head = format!("[source]\ntable = \"shown\"\nregion = \"eu-west-1\"\n[opensearch]\nurl = \"{}\"\n", lab.node());
    lab.write_file("shown.toml", &format!("{head}{toml}"));
    let records: Vec<String> = items.iter().enumerate().map(|(place, item)| record(place, item)).collect();
    lab.write_file("items.ndjson", &records.join("\n"));
    let ended = lab.end_of("shown.toml", &["replay", "--images", "--json", "items.ndjson"]).await;
    assert_eq!(ended.status, 0, "{title}: {}", ended.stderr);
    assert_eq!(ended.summary()["outcomes"]["applied"], items.len(), "{title}: {}", ended.stdout);
    let warned = ended.stderr.lines().filter(|line| line.contains(" WARN ") && !line.contains("decimals")).count();
    assert_eq!(warned, 0, "{title}: {}", ended.stderr);
    lab.send(Method::Post, &format!("{index}/_refresh"), Value::Null).await;
    for (expected, query) in &searches {
        let (status, answer) = lab.send(Method::Post, &format!("{index}/_search"), query.clone()).await;
        assert_eq!(status, 200, "{title}: {answer}");
        let hits = answer["hits"]["hits"].as_array().unwrap();
        let found: BTreeSet<String> = hits.iter().map(|hit| hit["_id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(found, *expected, "{title}: {query}");
    }
    searches.len()
}

/// A lab on a node that runs pipelines, which the shared one does not.
async fn lab_with_pipelines() -> Option<(Lab, SearchNode)> {
    let dynamodb = dynamodb_local().await?;
    let options = NodeOptions::default().runs_pipelines();
    let engine = SearchEngine::OpenSearch3;
    let node = needs(engine.label(), SearchNode::start(engine, options).await)?;
    Some((Lab::new(&dynamodb.endpoint_url(), &node.url(), StreamViewType::NewAndOldImages).await, node))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_of_the_page_are_found_by_their_searches() {
    let Some((lab, _node)) = lab_with_pipelines().await else { return };
    let mut searches = Vec::new();
    for (title, blocks) in examples() {
        searches.push(run(&lab, &title, &blocks).await);
    }
    assert_eq!(searches, [3, 2, 1, 2, 1, 1]);
}

/// What a pipeline adds is compared where the index keeps it, and not where it is left out of `_source`. Either way OpenSearch
/// writes decimals in its own way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pipeline_adds_differs_unless_it_is_left_out_of_the_source() {
    let Some((lab, _node)) = lab_with_pipelines().await else { return };
    let pipeline = json!({"processors": [{"set": {"field": "stamp", "value": 1}}]});
    lab.send(Method::Put, &format!("_ingest/pipeline/{}", lab.index), pipeline).await;
    lab.write_file("kept.json", r#"{"properties": {"stamp": {"type": "integer"}}}"#);
    lab.write_file(
        "left-out.json",
        r#"{"_source": {"excludes": ["stamp"]}, "properties": {"stamp": {"type": "integer"}}}"#,
    );
    assert_eq!(lab.end(&["state", "create"]).await.status, 0);
    let mut item = Sessions::key_of(1, 1);
    item.insert("price".to_owned(), number("12345678.9"));
    lab.put(item).await;
    for (file, generation, status, numbers) in
        [("kept.json", 1, 1, "string"), ("left-out.json", 2, 0, "string"), ("left-out.json", 3, 1, "exact")]
    {
        let settings = format!("settings = {{ number_of_replicas = 0, default_pipeline = \"{}\" }}", lab.index);
        lab.configure(lab.node(), "", &format!("{settings}\nmapping_file = \"{file}\"\ngeneration = {generation}"));
        lab.use_group(&format!("g{generation}"));
        let numbers = format!("[[route]]\nnumbers = \"{numbers}\"\n");
        lab.write_file(CONFIG, &lab.read_file(CONFIG).replace("[[route]]\n", &numbers));
        let ended = lab.end(&["run", "--until-end"]).await;
        assert_eq!(ended.status, 0, "{file}: {}", ended.stderr);
        let verified = lab.end(&["verify", "--full", "--lag", "0", "--patience", "1"]).await;
        assert_eq!(verified.status, status, "{file}: {}{}", verified.stdout, verified.stderr);
        let (_, count) = lab
            .send(
                Method::Post,
                &format!("{}-{generation:06}/_count", lab.index),
                json!({"query": {"term": {"stamp": 1}}}),
            )
            .await;
        assert_eq!(count["count"], 1, "{file}: {count}");
    }
}
