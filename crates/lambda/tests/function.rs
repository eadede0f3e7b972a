//! A function, and events for it.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::Value;
use streamdex_config::Config;
use streamdex_lambda::error::InvocationError;
use streamdex_lambda::handler::{Handler, Invocation};
use streamdex_testkit::fault::FaultServer;

/// The time of an invocation that is not about its time.
pub(crate) const AMPLE: Duration = Duration::from_secs(30);

/// A function whose indices are someone else's affair. `more` is added to its configuration.
pub(crate) fn function(server: &FaultServer, more: &str) -> Handler {
    counted(server, more).0
}

/// The same, with its lines of metrics.
pub(crate) fn counted(server: &FaultServer, more: &str) -> (Handler, Arc<Mutex<Vec<Value>>>) {
    build(server, r#"{ source = "orders", index = "orders", id = ["pk"] }"#, more)
}

/// A function with this route of the orders.
pub(crate) fn function_of(server: &FaultServer, route: &str) -> Handler {
    build(server, route, "").0
}

fn build(server: &FaultServer, route: &str, more: &str) -> (Handler, Arc<Mutex<Vec<Value>>>) {
    let url = server.url();
    let text = format!(
        r#"
        source = [
            {{ name = "orders", table = "orders", endpoint_url = "http://127.0.0.1:9" }},
            {{ name = "carts", table = "carts", endpoint_url = "http://127.0.0.1:9" }},
        ]
        opensearch = {{ url = "{url}" }}
        state = {{ endpoint_url = "http://127.0.0.1:9" }}
        lambda = {{ deadline_margin = "400ms" }}
        route = [{route}, {{ source = "carts", index = "carts", id = ["pk"] }}]
        index.orders = {{ manage = "never" }}
        index.carts = {{ manage = "never" }}
        {more}
        "#
    );
    let config = Config::parse(&text, Path::new(""), &|_| None).unwrap().config;
    let lines = Arc::<Mutex<Vec<Value>>>::default();
    let written = Arc::clone(&lines);
    let output = move |line: &str| written.lock().unwrap().push(serde_json::from_str(line).unwrap());
    (Handler::new(config, "indexer", Box::new(output)), lines)
}

/// One record of `table`: number and key are both `number`.
pub(crate) fn record(table: &str, number: u32) -> String {
    let image = format!(r#"{{"pk":{{"S":"k{number}"}},"n":{{"N":"{number}"}}}}"#);
    record_with(table, number, &image)
}

pub(crate) fn record_with(table: &str, number: u32, image: &str) -> String {
    format!(
        r#"{{"eventName":"INSERT","eventSource":"aws:dynamodb",
        "eventSourceARN":"arn:aws:dynamodb:eu-west-1:1:table/{table}/stream/2026-01-01T00:00:00.000",
        "dynamodb":{{"ApproximateCreationDateTime":1700000000,"Keys":{{"pk":{{"S":"k{number}"}}}},
        "NewImage":{image},"SequenceNumber":"{number}00000000000000000001"}}}}"#
    )
}

pub(crate) fn event(records: &[String]) -> Bytes {
    raw(&format!(r#"{{"Records":[{}]}}"#, records.join(",")))
}

pub(crate) fn orders(numbers: std::ops::Range<u32>) -> Bytes {
    event(&numbers.map(|number| record("orders", number)).collect::<Vec<_>>())
}

pub(crate) fn raw(text: &str) -> Bytes {
    text.to_owned().into()
}

/// The identifier of the record that the answer asks for again; `None`: none.
pub(crate) async fn invoke(
    function: &Handler,
    event: Bytes,
    time: Duration,
) -> Result<Option<String>, InvocationError> {
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + time;
    let deadline = u64::try_from(deadline.as_millis()).unwrap();
    let response = function.handle(event, Invocation { request_id: "r-1", deadline }).await?;
    assert!(response.batch_item_failures.len() <= 1);
    Ok(response.batch_item_failures.into_iter().next().map(|failure| failure.item_identifier.unwrap()))
}

pub(crate) fn sequence(number: u32) -> Option<String> {
    Some(format!("{number}00000000000000000001"))
}
