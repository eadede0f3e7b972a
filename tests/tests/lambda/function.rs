//! The function under test, deployed into a lab.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamViewType,
};
use serde_json::Value;
use streamdex_testkit::compare::{Difference, compare_documents, index_documents};
use streamdex_testkit::engines::{Dynoxide, SearchEngine};
use streamdex_testkit::fault::{FaultServer, Recorded};
use streamdex_testkit::lambda::{Function, Invocation, Sandbox};
use streamdex_testkit::report::{dynoxide, search_node};
use streamdex_testkit::workload::Item;

use super::stream::Stream;
use crate::lab::{CONFIG, Lab, Program, session};

static BOOTSTRAP: Program = Program::new("streamdex-lambda", "bootstrap", "STREAMDEX_BOOTSTRAP");

/// Long enough for a machine that does other things as well; nothing runs into it that is not meant to.
pub(crate) const AMPLE: Duration = Duration::from_secs(60);
pub(crate) const EMPTY: &str = r#"{"Records":[]}"#;
const OUTCOMES: [&str; 7] = ["Applied", "Superseded", "Absent", "Coalesced", "Unchanged", "Filtered", "DeadLettered"];

/// A lab whose function writes through a server that fails on request.
pub(crate) struct Bench {
    pub(crate) lab: Lab,
    pub(crate) front: FaultServer,
    pub(crate) stream: Stream,
    pub(crate) dynamodb: Dynoxide,
    /// The node, kept alive.
    _node: std::sync::Arc<streamdex_testkit::engines::SearchNode>,
}

impl Bench {
    /// `None` where the engine is missing.
    pub(crate) async fn new() -> Option<Bench> {
        Bench::with_view(StreamViewType::NewAndOldImages).await
    }

    pub(crate) async fn with_view(view: StreamViewType) -> Option<Bench> {
        let node = search_node(SearchEngine::OpenSearch3).await?;
        let dynamodb = dynoxide();
        let front = FaultServer::in_front_of(&node.url());
        let lab = Lab::new(&dynamodb.endpoint_url(), &node.url(), view.clone()).await;
        lab.create_state_table().await;
        lab.configure(&front.url(), "", "");
        let stream = Stream::new(&lab, view);
        Some(Bench { lab, front, stream, dynamodb, _node: node })
    }

    /// More lines of `[opensearch]`, and whole tables at the end of the configuration.
    pub(crate) fn configure(&self, opensearch: &str, tables: &str) {
        self.lab.configure(&self.front.url(), opensearch, "");
        self.append(tables);
    }

    pub(crate) fn append(&self, tables: &str) {
        self.lab.write_file(CONFIG, &format!("{}{tables}\n", self.lab.read_file(CONFIG)));
    }

    /// The configuration with one text in place of another.
    pub(crate) fn reconfigure(&self, from: &str, to: &str) {
        let text = self.lab.read_file(CONFIG);
        assert!(text.contains(from), "{from} is not in {text}");
        self.lab.write_file(CONFIG, &text.replacen(from, to, 1));
    }

    pub(crate) async fn sandbox(&self) -> Sandbox {
        self.lab.function().await.start()
    }

    /// What events made the function ask of OpenSearch: all but the question with which the one sandbox connects.
    pub(crate) fn asked(&self) -> Vec<Recorded> {
        let mut asked = self.front.requests();
        let connects = asked.iter().position(|request| request.method == "GET" && request.path == "/");
        asked.remove(connects.expect("a sandbox connects"));
        asked
    }

    /// Fails unless the index holds what the stream tells, and nothing else.
    pub(crate) async fn index_is_current(&self, what: &str) {
        let differences = self.lab.differences(self.stream.items.values()).await;
        assert!(differences.is_empty(), "{what}: {}", told(&differences));
    }

    /// The ids of what lies in the table of the dead letters: stream position, ordinal.
    pub(crate) async fn letters(&self) -> Vec<Item> {
        self.lab.state_rows("pk", "letters|").await
    }
}

impl Lab {
    pub(crate) async fn function(&self) -> Function {
        self.function_of(CONFIG).await
    }

    /// The function with this configuration.
    pub(crate) async fn function_of(&self, config: &str) -> Function {
        let config = self.folder.path().join(config).display().to_string();
        Function::new(BOOTSTRAP.path().await, self.folder.path()).env("STREAMDEX_CONFIG", config)
    }

    /// What differs between the index and these items.
    pub(crate) async fn differences<'a>(&self, items: impl Iterator<Item = &'a Item>) -> Vec<Difference> {
        let expected: BTreeMap<String, String> =
            items.filter_map(session).map(|expected| (expected.id, expected.document)).collect();
        compare_documents(&expected, &index_documents(self.node(), &self.index).await)
    }

    /// As a deployment does it: the function makes no tables.
    pub(crate) async fn create_state_table(&self) {
        let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
        let text = |name: &str| {
            let definition = AttributeDefinition::builder().attribute_name(name);
            definition.attribute_type(ScalarAttributeType::S).build().unwrap()
        };
        self.client
            .create_table()
            .table_name(&self.state)
            .key_schema(key("pk", KeyType::Hash))
            .key_schema(key("sk", KeyType::Range))
            .attribute_definitions(text("pk"))
            .attribute_definitions(text("sk"))
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await
            .unwrap();
    }
}

pub(crate) fn told(differences: &[Difference]) -> String {
    let shown: Vec<String> = differences.iter().take(10).map(ToString::to_string).collect();
    format!("{} differences:\n{}", differences.len(), shown.join("\n"))
}

/// The number from which on records are wanted again; `None` when all are done.
///
/// # Panics
/// When the answer is none that the service reads as it is meant.
pub(crate) fn wanted_again(invocation: &Invocation) -> Option<String> {
    let answer: Value = serde_json::from_str(invocation.answer.response()).unwrap();
    let failures = answer["batchItemFailures"].as_array().unwrap_or_else(|| panic!("{invocation:?}"));
    assert!(failures.len() <= 1, "{invocation:?}");
    let failure = failures.first()?;
    let identifier = failure["itemIdentifier"].as_str().unwrap_or_else(|| panic!("{invocation:?}"));
    assert!(!identifier.is_empty(), "{invocation:?}");
    Some(identifier.to_owned())
}

/// What the invocation counted. Its one line of metrics must add up.
pub(crate) struct Counted {
    pub(crate) line: Value,
    pub(crate) records: u64,
    pub(crate) undecided: u64,
    pub(crate) outcomes: BTreeMap<&'static str, u64>,
}

pub(crate) fn counted(invocation: &Invocation) -> Counted {
    let lines = invocation.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = lines.filter(|line| line.get("_aws").is_some()).collect();
    assert_eq!(lines.len(), 1, "one line of metrics an invocation: {invocation:?}");
    let line = lines.into_iter().next().unwrap();
    let count = |name: &str| line[name].as_u64().unwrap_or_default();
    let outcomes: BTreeMap<&'static str, u64> = OUTCOMES.into_iter().map(|name| (name, count(name))).collect();
    let counted = Counted { records: count("Records"), undecided: count("Undecided"), outcomes, line: line.clone() };
    let sum: u64 = counted.outcomes.values().sum();
    assert_eq!(counted.records, sum + counted.undecided, "{line}");
    counted
}

impl Counted {
    /// The outcomes that occurred, as `Applied 3, Coalesced 1`.
    pub(crate) fn told(&self) -> String {
        let told =
            |name: &&str| self.outcomes.get(*name).filter(|count| **count > 0).map(|count| format!("{name} {count}"));
        OUTCOMES.iter().filter_map(told).collect::<Vec<_>>().join(", ")
    }
}
