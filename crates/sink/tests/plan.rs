//! `index plan` and `index apply` on real nodes: what is said is what is done, and what documents show.

use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_config::Auth;
use streamdex_sink::index::{Code, Plan};
use streamdex_sink::{Client, Indices, SetupError};
use streamdex_testkit::engines::{SearchEngine, unique_name};
use streamdex_testkit::report;

use crate::proof::{indices, name};
use crate::support::settings;

struct Node {
    client: Client,
    url: String,
    index: String,
}

impl Node {
    async fn new(url: &str) -> Node {
        let client = Client::connect(&settings(url, Auth::None), &Default::default()).await.unwrap();
        Node { client, url: url.to_owned(), index: unique_name("plan") }
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let answer = self.client.json(method, path, Some(&body).filter(|body| !body.is_null())).await.unwrap();
        (answer.status, answer.json().unwrap_or_default())
    }

    async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    fn table(&self, more: &str) -> String {
        let settings = if more.starts_with("settings") { "" } else { "settings = { number_of_replicas = 0 }\n" };
        format!("[index.{}]\n{settings}{more}", self.index)
    }

    async fn indices(&self, more: &str) -> Indices {
        indices(&self.url, &self.index, &self.table(more)).await
    }

    async fn plan(&self, more: &str) -> Result<Plan, SetupError> {
        self.indices(more).await.plan().await.pop().unwrap().result
    }

    async fn applied(&self, more: &str) -> Result<Vec<String>, SetupError> {
        self.indices(more).await.apply().await.pop().unwrap().result.map(|applied| applied.done)
    }

    /// Index templates, and indices with their aliases: all that set-up can change.
    async fn state(&self) -> State {
        let (_, template) =
            self.ask(Method::Get, &format!("_index_template/streamdex-{}-000001", self.index), Value::Null).await;
        let (_, indices) = self.ask(Method::Get, &format!("{}*?flat_settings=true", self.index), Value::Null).await;
        let of = |part: &str| {
            indices.as_object().unwrap().iter().map(|(name, all)| (name.clone(), all[part].clone())).collect()
        };
        State { template: template["index_templates"].clone(), indices: of("settings"), aliases: of("aliases") }
    }
}

#[derive(Debug, PartialEq)]
struct State {
    template: Value,
    indices: Vec<(String, Value)>,
    aliases: Vec<(String, Value)>,
}

/// What changed, in the words of a plan.
fn changes(before: &State, after: &State, index: &str) -> Vec<String> {
    let mut said = Vec::new();
    if before.template != after.template {
        let verb = if before.template.is_null() { "install" } else { "update" };
        said.push(format!("{verb} the index template streamdex-{index}-000001"));
    }
    if before.indices != after.indices {
        said.push(format!("create the index {index}-000001 with the aliases {index}, {index}-live"));
    } else if before.aliases != after.aliases {
        let (old, new) = (&before.aliases[0].1, &after.aliases[0].1);
        let live = format!("{index}-live");
        if old.get(&live).is_none() {
            said.push(format!("add the aliases {live} to {index}-000001"));
        } else if old[&live] != new[&live] {
            said.push(format!("update the filter of the alias {live} on {index}-000001"));
        }
    }
    said
}

/// Plans, applies, and compares what was said with what was done and with what changed.
async fn said_is_done(node: &Node, more: &str, expected: usize) {
    let before = node.state().await;
    let planned = node.plan(more).await.unwrap();
    assert_eq!(node.state().await, before, "a plan changes nothing");
    let done = node.applied(more).await.unwrap();
    let changed = changes(&before, &node.state().await, &node.index);
    assert_eq!(planned.steps, done);
    assert_eq!(changed, done);
    assert_eq!(done.len(), expected, "{done:?}");
    let again = node.plan(more).await.unwrap();
    assert_eq!(again.steps, Vec::<String>::new());
    let settled = node.state().await;
    assert_eq!(node.applied(more).await.unwrap(), Vec::<String>::new());
    assert_eq!(node.state().await, settled);
}

#[tokio::test]
async fn what_a_plan_says_is_what_apply_does() {
    for engine in SearchEngine::REAL {
        let Some(shared) = report::search_node(engine).await else { continue };
        let node = Node::new(&shared.url()).await;
        said_is_done(&node, "", 2).await;
        let concrete = format!("{}-000001", node.index);
        let live = format!("{concrete}/_alias/{}-live", node.index);

        node.done(Method::Delete, &live, Value::Null).await;
        said_is_done(&node, "", 1).await;

        let filter = json!({"filter": {"bool": {"must_not": [{"range": {"until": {"lte": "now"}}}]}}});
        node.done(Method::Put, &live, filter).await;
        said_is_done(&node, "", 1).await;

        node.done(Method::Delete, &format!("_index_template/streamdex-{}-000001", node.index), Value::Null).await;
        said_is_done(&node, "", 1).await;

        // another configuration: the template follows it, the index stays
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("mapping.json");
        std::fs::write(&file, r#"{"properties":{"more":{"type":"keyword"}}}"#).unwrap();
        let more = format!("mapping_file = '{}'", file.display());
        said_is_done(&node, &more, 1).await;
    }
}

#[tokio::test]
async fn a_plan_refuses_what_a_first_write_is_refused() {
    for engine in SearchEngine::REAL {
        let Some(shared) = report::search_node(engine).await else { continue };
        let directory = tempfile::tempdir().unwrap();
        let unknown_setting = "settings = { number_of_replicas = 0, 'index.colour' = 'red' }".to_owned();
        std::fs::write(directory.path().join("type.json"), r#"{"properties":{"a":{"type":"nonsense"}}}"#).unwrap();
        let unknown_type = format!("mapping_file = '{}'", directory.path().join("type.json").display());
        for more in ["", &unknown_setting, &unknown_type] {
            let node = Node::new(&shared.url()).await;
            if more.is_empty() {
                let rival =
                    json!({"index_patterns": [format!("{}-*", node.index)], "priority": 207 + node.index.len()});
                node.done(Method::Put, &format!("_index_template/{}-rival", node.index), rival).await;
            }
            let before = node.state().await;
            let planned = node.plan(more).await.expect_err(&format!("{} {more}", engine.label()));
            let written = node.indices(more).await.ensure(&name(&node.index)).await.unwrap_err();
            assert_eq!(planned.kind(), written.kind(), "{planned} {written}");
            assert!(!planned.hint().is_empty());
            let after = node.state().await;
            assert_eq!(after.indices, before.indices);
        }
    }
}

#[tokio::test]
async fn ids_that_are_held_twice_and_values_that_are_ignored_are_named() {
    for engine in SearchEngine::REAL {
        let Some(shared) = report::search_node(engine).await else { continue };
        let node = Node::new(&shared.url()).await;
        let more = "settings = { number_of_replicas = 0, number_of_shards = 5 }";
        let indices = async || indices(&node.url, &node.index, &format!("[index.{}]\n{more}", node.index)).await;
        let plan = async || indices().await.plan().await.pop().unwrap().result.unwrap();
        let concrete = indices().await.ensure(&name(&node.index)).await.unwrap().concrete.clone();
        let codes = |plan: &Plan| plan.findings.iter().map(|finding| finding.code).collect::<Vec<_>>();
        let expected = [Code::KeysUnknown];
        assert_eq!(codes(&plan().await), expected);

        let put = async |id: &str, routing: &str, document: Value| {
            node.done(Method::Put, &format!("{concrete}/_doc/{id}?refresh=true&{routing}"), document).await;
        };
        for number in 0..20 {
            put(&format!("d{number}"), "", json!({"n": number})).await;
        }
        assert_eq!(plan().await.documents.unwrap().doubled_ids_possible, 0);
        // Each under several routings, so that two shards hold it, whichever they are.
        for routing in 0..8 {
            put("d3", &format!("routing=r{routing}"), json!({"n": 0})).await;
        }
        put("bad", "", json!({"n": "no number"})).await;
        let found = plan().await;
        let documents = found.documents.clone().unwrap();
        assert_eq!(documents.doubled_ids, ["d3"], "{documents:?}");
        assert_eq!(documents.with_ignored_values, 1);
        assert!(documents.doubled_ids_looked_at >= 1 && documents.problem.is_none());
        assert_eq!(codes(&found), [Code::KeysUnknown, Code::IgnoredValues, Code::DoubledIds]);
    }
}
