//! The HTTP server for the answers.

use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use tokio::net::TcpListener;

use super::answer::{Refusal, answer};
use super::state::Shared;
use crate::http;

/// Serves until the runtime ends.
pub(super) async fn run(listener: TcpListener, shared: Arc<Shared>) {
    http::serve(listener, move |request| handle(request, Arc::clone(&shared))).await;
}

async fn handle(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    // `DynamoDBStreams_20120810.GetRecords`: no operation of the two services has the name of another.
    let operation = target.split_once('.').map_or(target, |(_, operation)| operation);
    shared.count(operation);
    Ok(match answer(&shared, operation, &body) {
        Ok(answer) => json(200, answer),
        Err(Refusal { kind, message }) => {
            let kind = format!("com.amazonaws.dynamodb.v20120810#{kind}");
            json(400, serde_json::json!({ "__type": kind, "message": message }).to_string())
        }
    })
}

fn json(status: u16, body: String) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("Content-Type", "application/x-amz-json-1.0")
        .header("x-amzn-RequestId", "streamdex-testkit")
        .body(Full::new(body.into()))
        .expect("a response of plain headers")
}
