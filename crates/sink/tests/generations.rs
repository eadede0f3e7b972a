//! The generations of a table's indices on real nodes: which are ours, how searches move, and what is deleted.

use std::collections::BTreeMap;
use std::path::Path;

use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_config::{Auth, Config};
use streamdex_sink::index::generations::{Absent, Made, Shown, lacking, moves};
use streamdex_sink::index::{SetupContext, TableFacts};
use streamdex_sink::{Client, Indices, SetupError};
use streamdex_testkit::engines::{SearchEngine, unique_name};
use streamdex_testkit::report;

use crate::proof::name;
use crate::support::settings;

const ARN: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/sessions";

struct Node {
    client: Client,
    url: String,
    index: String,
}

impl Node {
    async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let body = Some(&body).filter(|body| !body.is_null());
        let answer = self.client.json(method, path, body).await.unwrap();
        assert!((200..300).contains(&answer.status), "{path}: {} {:?}", answer.status, answer.json::<Value>());
        answer.json().unwrap_or_default()
    }

    /// The indices of `table` under the route `INDEX-{a}`, in this generation.
    fn generation(&self, table: &str, generation: u32) -> Indices {
        let text = format!(
            "[source]\ntable = \"{table}\"\n[opensearch]\nurl = \"{url}\"\n[[route]]\nindex = \"{index}-{{a}}\"\n\
             ttl = {{ attribute = \"until\" }}\n[index.\"{index}-{{a}}\"]\ngeneration = {generation}\n\
             settings = {{ number_of_replicas = 0 }}\n",
            url = self.url,
            index = self.index,
        );
        let config = Config::parse(&text, Path::new("."), &|_| None).unwrap().config;
        let facts = TableFacts { arn: Some(ARN.into()), ..TableFacts::default() };
        let context = SetupContext::new().with_group("default").with_table(config.sources[0].name.clone(), facts);
        Indices::new(self.client.clone(), &config, &context)
    }

    async fn make(&self, table: &str, generation: u32, value: &str) {
        self.generation(table, generation).ensure(&name(&format!("{}-{value}", self.index))).await.unwrap();
    }

    /// The indices behind each alias of ours.
    async fn aliases(&self) -> BTreeMap<String, Vec<String>> {
        let mut aliases: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let found = self.done(Method::Get, &format!("{}-*/_alias", self.index), Value::Null).await;
        for (index, found) in found.as_object().unwrap() {
            for alias in found["aliases"].as_object().unwrap().keys() {
                let (alias, index) = (alias.replace(&self.index, "I"), index.replace(&self.index, "I"));
                aliases.entry(alias).or_default().push(index);
            }
        }
        aliases
    }
}

fn seen(expected: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
    expected.iter().map(|(alias, index)| ((*alias).to_owned(), vec![(*index).to_owned()])).collect()
}

#[tokio::test]
async fn n1_readers_move_all_at_once_and_what_is_not_ours_is_left_alone() {
    for engine in SearchEngine::REAL {
        let Some(shared) = report::search_node(engine).await else { continue };
        let client = Client::connect(&settings(&shared.url(), Auth::None), &Default::default()).await.unwrap();
        let node = Node { client, url: shared.url(), index: unique_name("generations") };
        for (generation, value) in [(1, "eu"), (1, "us"), (2, "eu")] {
            node.make("sessions", generation, value).await;
        }
        // Another table's, one without a mark, and one whose mark and name say different things.
        node.make("orders", 2, "jp").await;
        node.done(Method::Put, &format!("{}-cn-000002", node.index), Value::Null).await;
        let meta = json!({"streamdex": {"version_scheme": 1, "table": "sessions", "routes": "r", "generation": 3}});
        node.done(Method::Put, &format!("{}-br-000002", node.index), json!({"mappings": {"_meta": meta}})).await;

        let next = node.generation("sessions", 2);
        let made = next.made("sessions").await.unwrap();
        let of = |made: &[Made]| made.iter().map(|made| made.concrete.replace(&node.index, "I")).collect::<Vec<_>>();
        assert_eq!(of(&made), ["I-eu-000001", "I-eu-000002", "I-us-000001"], "{}", engine.label());
        let before = seen(&[
            ("I-eu", "I-eu-000001"),
            ("I-eu-live", "I-eu-000001"),
            ("I-jp", "I-jp-000002"),
            ("I-jp-live", "I-jp-000002"),
            ("I-us", "I-us-000001"),
            ("I-us-live", "I-us-000001"),
        ]);
        assert_eq!(node.aliases().await, before, "a next generation takes no alias");

        let shown: BTreeMap<String, Shown> =
            next.configured("sessions").into_iter().map(|configured| (configured.text, configured.shown)).collect();
        let lacks = lacking(&made, &shown);
        assert_eq!(lacks.iter().map(ToString::to_string).collect::<Vec<_>>(), [format!("{}-us", node.index)]);
        for index in &lacks {
            next.ensure(index).await.unwrap();
        }
        let actions = moves(&next.made("sessions").await.unwrap(), &shown, Absent::Keep);
        next.move_aliases(&actions).await.unwrap();
        let made = next.made("sessions").await.unwrap();
        assert_eq!(moves(&made, &shown, Absent::Keep), Vec::<Value>::new(), "they are where they were sent");
        let moved = seen(&[
            ("I-eu", "I-eu-000002"),
            ("I-eu-live", "I-eu-000002"),
            ("I-jp", "I-jp-000002"),
            ("I-jp-live", "I-jp-000002"),
            ("I-us", "I-us-000002"),
            ("I-us-live", "I-us-000002"),
        ]);
        assert_eq!(node.aliases().await, moved);

        let of_name = |concrete: &str| {
            made.iter().find(|made| made.concrete.replace(&node.index, "I") == concrete).cloned().unwrap()
        };
        let refused = next.delete(&of_name("I-eu-000002")).await;
        assert!(matches!(refused, Err(SetupError::Unsettled { .. })), "searches see it: {refused:?}");
        let other = Made { uuid: Some("another one".into()), ..of_name("I-eu-000001") };
        assert!(
            matches!(next.delete(&other).await, Err(SetupError::Unsettled { .. })),
            "it is not the one that was seen"
        );
        for _ in 0..2 {
            next.delete(&of_name("I-eu-000001")).await.unwrap();
        }
        let left = next.made("sessions").await.unwrap();
        assert_eq!(of(&left), ["I-eu-000002", "I-us-000001", "I-us-000002"]);
        let template = format!("_index_template/streamdex-{}-eu-000001", node.index);
        assert_eq!(node.client.json(Method::Get, &template, None).await.unwrap().status, 404);
    }
}
