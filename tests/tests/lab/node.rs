//! One node with a client.

use std::path::Path;

use opensearch::http::Method;
use serde_json::Value;
use streamdex_config::Config;
use streamdex_sink::Client;

use super::route::route;

pub(crate) struct Node {
    pub(crate) url: String,
    pub(crate) client: Client,
}

impl Node {
    pub(crate) async fn new(url: &str) -> Node {
        Node::with(url, "").await
    }

    /// With more lines of `[opensearch]`.
    pub(crate) async fn with(url: &str, opensearch: &str) -> Node {
        let text =
            format!("[source]\ntable = \"sessions\"\n[opensearch]\nurl = \"{url}\"\n{opensearch}\n{}", route("lab"));
        let config = Config::parse(&text, Path::new(env!("CARGO_MANIFEST_DIR")), &|_| None).unwrap().config;
        let client = Client::connect(&config.opensearch, &config.aws).await.unwrap();
        Node { url: url.to_owned(), client }
    }

    /// One request; `Value::Null` sends no body.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let body = (!body.is_null()).then_some(&body);
        let answer = self.client.json(method, path, body).await.unwrap();
        (answer.status, answer.json().unwrap_or_default())
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::Get, path, Value::Null).await
    }

    /// One request that must succeed.
    pub(crate) async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }
}
