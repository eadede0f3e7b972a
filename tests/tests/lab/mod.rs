//! One table, one index and one state table of a test's own, and the configuration that joins them.

pub(crate) mod buckets;
pub(crate) mod event;
mod expected;
mod load;
mod node;
mod program;
mod route;

use std::collections::HashMap;
use std::fs;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, StreamSpecification, StreamViewType, WriteRequest};
use opensearch::http::Method;
use serde_json::Value;
use streamdex_testkit::compare::{Sides, table_items};
use streamdex_testkit::engines::{SearchEngine, dynamodb_client, unique_name};
use streamdex_testkit::report::{dynamodb_local, search_node};
use streamdex_testkit::workload::{
    Item, RandomWriter, SESSIONS_STREAM_ARN, Sessions, SessionsTable, create_sessions_table,
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep_until};

pub(crate) use expected::{id, session};
pub(crate) use load::Load;
pub(crate) use node::Node;
pub(crate) use program::Program;
pub(crate) use route::route;

/// Long enough for a machine that does other things as well.
pub(crate) const LONG: Duration = Duration::from_secs(240);
/// A stream that is so much younger than its table does not hold all of it.
const YOUNGER: Duration = Duration::from_secs(12);
pub(crate) const CONFIG: &str = "streamdex.toml";

pub(crate) struct Lab {
    pub(crate) folder: TempDir,
    pub(crate) client: Client,
    pub(crate) table: SessionsTable,
    pub(crate) index: String,
    pub(crate) state: String,
    pub(crate) endpoint: String,
    /// The node itself, whatever stands in front of it.
    node: Node,
    /// How many programs were started.
    pub(crate) started: AtomicU32,
}

impl Lab {
    /// A table at `endpoint` and an index on `node`, which is written to directly until [`Lab::configure`] says
    /// otherwise.
    pub(crate) async fn new(endpoint: &str, node: &str, view: StreamViewType) -> Lab {
        Lab::on(endpoint, Node::new(node).await, view).await
    }

    /// As [`Lab::new`], on a node that this client reaches.
    pub(crate) async fn on(endpoint: &str, node: Node, view: StreamViewType) -> Lab {
        let client = dynamodb_client(endpoint);
        let table = create_sessions_table(&client, &unique_name("e2e"), view).await;
        let lab = Lab {
            folder: tempfile::tempdir().unwrap(),
            client,
            index: table.name.clone(),
            state: format!("{}-state", table.name),
            table,
            endpoint: endpoint.to_owned(),
            node,
            started: AtomicU32::new(0),
        };
        lab.configure(lab.node(), "", "");
        lab
    }

    /// A lab on the OpenSearch and the DynamoDB Local that all tests share, which run until the process ends; `None`
    /// where one is missing.
    pub(crate) async fn on_opensearch(view: StreamViewType) -> Option<Lab> {
        let engines = (search_node(SearchEngine::OpenSearch3).await, dynamodb_local().await);
        let (Some(node), Some(dynamodb)) = engines else { return None };
        Some(Lab::new(&dynamodb.endpoint_url(), &node.url(), view).await)
    }

    /// Writes the configuration: OpenSearch at `url`, more lines of `[opensearch]`, and more at the end, inside
    /// `[index.…]`.
    pub(crate) fn configure(&self, url: &str, opensearch: &str, index: &str) {
        let text = format!(
            r#"
[source]
table = "{table}"
region = "eu-west-1"
endpoint_url = "{endpoint}"
[opensearch]
url = "{url}"
{opensearch}
[state]
table = "{state}"
{route}
{index}
"#,
            table = self.table.name,
            endpoint = self.endpoint,
            state = self.state,
            route = route(&self.index),
        );
        let settings = if index.contains("settings") { "" } else { "settings = { number_of_replicas = 0 }\n" };
        self.write_file(CONFIG, &format!("{text}{settings}"));
    }

    /// Adds lines to `[source]`.
    pub(crate) fn with_source(&self, lines: &str) {
        let text = self.read_file(CONFIG);
        self.write_file(CONFIG, &text.replace("[source]\n", &format!("[source]\n{lines}\n")));
    }

    /// Puts items that the table's stream knows nothing of.
    pub(crate) async fn hold_before_the_stream(&self, items: u32) {
        let begun = Instant::now();
        self.set_stream(None).await;
        self.fill(77, items).await;
        sleep_until(begun + YOUNGER).await;
        self.set_stream(Some(StreamViewType::NewAndOldImages)).await;
    }

    pub(crate) async fn set_stream(&self, view: Option<StreamViewType>) {
        let specification = StreamSpecification::builder().stream_enabled(view.is_some()).set_stream_view_type(view);
        let call = self.client.update_table().table_name(&self.table.name);
        call.stream_specification(specification.build().unwrap()).send().await.unwrap();
    }

    /// Goes on under another `state.group`, which knows of no progress.
    pub(crate) fn use_group(&self, group: &str) {
        let text = self.read_file(CONFIG);
        let state = text.find("[state]\n").unwrap();
        let group = format!("[state]\ngroup = \"{group}\"\n");
        self.write_file(CONFIG, &format!("{}{group}{}", &text[..state], &text[state + "[state]\n".len()..]));
    }

    pub(crate) fn write_file(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub(crate) fn read_file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// The address of the node.
    pub(crate) fn node(&self) -> &str {
        &self.node.url
    }

    /// The concrete name of the index.
    pub(crate) fn concrete(&self) -> String {
        format!("{}-000001", self.index)
    }

    pub(crate) fn writer(&self, seed: u64) -> RandomWriter {
        RandomWriter::new(self.client.clone(), &self.table.name, seed)
    }

    /// Puts that many items, 25 at a time.
    pub(crate) async fn fill(&self, seed: u64, count: u32) {
        let mut sessions = Sessions::new(seed, now());
        let items: Vec<Item> = (0..count).map(|n| sessions.item(Sessions::key_of(n / 4, n % 4))).collect();
        for chunk in items.chunks(25) {
            let put = |item: &Item| {
                let request = PutRequest::builder().set_item(Some(item.clone().into_iter().collect()));
                WriteRequest::builder().put_request(request.build().unwrap()).build()
            };
            let requests = HashMap::from([(self.table.name.clone(), chunk.iter().map(put).collect())]);
            let answer = self.client.batch_write_item().set_request_items(Some(requests)).send().await.unwrap();
            assert!(answer.unprocessed_items.unwrap_or_default().is_empty());
        }
    }

    pub(crate) async fn put(&self, item: Item) {
        let item = Some(item.into_iter().collect());
        self.client.put_item().table_name(&self.table.name).set_item(item).send().await.unwrap();
    }

    pub(crate) async fn delete(&self, key: Item) {
        let key = Some(key.into_iter().collect());
        self.client.delete_item().table_name(&self.table.name).set_key(key).send().await.unwrap();
    }

    /// Waits until the index equals the table, without a second copy under another routing.
    pub(crate) async fn until_equal(&self, what: &str, log: impl Fn() -> String) {
        let sides = Sides { client: &self.client, table: &self.table.name, url: &self.node.url, index: &self.index };
        if let Err(differences) = sides.until_equal(LONG, session).await {
            let shown: Vec<String> = differences.iter().take(10).map(ToString::to_string).collect();
            let count = differences.len();
            panic!("{what}: {count} differences:\n{}\nits log:\n{}", shown.join("\n"), log());
        }
        let items = table_items(&self.client, &self.table.name).await.len();
        let counted = self.ask(Method::Get, &format!("{}/_count", self.index)).await.1;
        assert_eq!(counted["count"].as_u64(), u64::try_from(items).ok(), "{what}");
    }

    /// Waits until the index holds that many documents.
    pub(crate) async fn until_counted(&self, documents: u64, log: impl Fn() -> String) {
        let deadline = Instant::now() + LONG;
        while self.ask(Method::Get, &format!("{}/_count", self.index)).await.1["count"].as_u64() != Some(documents) {
            assert!(Instant::now() < deadline, "not {documents} documents:\n{}", log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// One request to the node.
    pub(crate) async fn ask(&self, method: Method, path: &str) -> (u16, Value) {
        self.node.ask(method, path, Value::Null).await
    }

    /// One request to the node with a body.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        self.node.ask(method, path, body).await
    }

    /// What the state table holds whose `pk` or `sk` begins so.
    pub(crate) async fn state_rows(&self, attribute: &str, begins: &str) -> Vec<Item> {
        let rows = table_items(&self.client, &self.state).await;
        let is_meant =
            |row: &Item| matches!(row.get(attribute), Some(AttributeValue::S(key)) if key.starts_with(begins));
        rows.into_iter().filter(is_meant).collect()
    }

    /// The event as if it came from this lab's table.
    pub(crate) fn of_this_table(&self, event: &str) -> String {
        event.replace(SESSIONS_STREAM_ARN, &self.table.stream_arn)
    }

    pub(crate) async fn no_letters(&self) {
        let letters = self.state_rows("pk", "letters|").await;
        assert!(letters.is_empty(), "dead letters: {letters:?}");
    }
}

pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(crate) fn number(digits: &str) -> AttributeValue {
    AttributeValue::N(digits.to_owned())
}
