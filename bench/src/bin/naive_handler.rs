//! A Lambda function as it is usually written in Rust: typed event, JSON values, one bulk request, and an error for the
//! whole batch if anything goes wrong. The benchmarks measure streamdex's function against it.

use aws_lambda_events::event::dynamodb::Event;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use opensearch::OpenSearch;
use opensearch::http::Method;
use opensearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderValue};
use opensearch::http::transport::Transport;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let client = OpenSearch::new(Transport::single_node(&std::env::var("ENDPOINT")?)?);
    let index = std::env::var("INDEX")?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Event>| handle(&client, &index, event.payload))).await
}

async fn handle(client: &OpenSearch, index: &str, event: Event) -> Result<(), Error> {
    let body = streamdex_bench::typed::bulk_body(event, index)?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    let answer = client.send(Method::Post, "/_bulk", headers, None::<&()>, Some(body), None).await?;
    let answer: Value = answer.error_for_status_code()?.json().await?;
    if answer.get("errors").and_then(Value::as_bool) != Some(false) {
        return Err("the bulk request had errors".into());
    }
    Ok(())
}
