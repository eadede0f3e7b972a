//! The four routes.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::answer::{Answer, FunctionError};
use super::state::{Shared, UnderWay};
use crate::http;

const ROOT: &str = "/2018-06-01/runtime/";
/// The ARN under which the function is invoked.
const FUNCTION_ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:streamdex";
const TRACE_ID: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/// Serves until the runtime ends.
pub(super) async fn run(listener: TcpListener, shared: Arc<Shared>) {
    http::serve(listener, move |request| handle(request, Arc::clone(&shared))).await;
}

async fn handle(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix(ROOT).unwrap_or_default().to_owned();
    if parts.method == Method::GET && path == "invocation/next" {
        return Ok(next(&shared).await);
    }
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Ok(json(400, "InvalidRequest"));
    };
    let steps: Vec<&str> = path.split('/').collect();
    Ok(match (&parts.method, steps.as_slice()) {
        (&Method::POST, ["invocation", id, "response"]) => {
            answered(&shared, id, Answer::Response(String::from_utf8_lossy(&body).into_owned()))
        }
        (&Method::POST, ["invocation", id, "error"]) => {
            answered(&shared, id, Answer::Error(FunctionError::from_body(&body)))
        }
        (&Method::POST, ["init", "error"]) => {
            shared.change(|state| state.init_error = Some(FunctionError::from_body(&body)));
            json(202, "OK")
        }
        _ => json(404, "NoSuchRoute"),
    })
}

/// Hangs until there is an invocation, as the service does.
async fn next(shared: &Arc<Shared>) -> Response<Full<Bytes>> {
    shared.change(|state| state.asking += 1);
    let _asking = Asking(Arc::clone(shared));
    let (offered, deadline_ms) = shared
        .wait_for(|state| {
            let offered = state.offered.take()?;
            let deadline_ms = offered.deadline_ms();
            let deadline = Instant::now() + offered.time;
            state.under_way = Some(UnderWay { id: offered.id.clone(), deadline, answer: None });
            Some((offered, deadline_ms))
        })
        .await;
    Response::builder()
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", &offered.id)
        .header("Lambda-Runtime-Deadline-Ms", deadline_ms.to_string())
        .header("Lambda-Runtime-Invoked-Function-Arn", FUNCTION_ARN)
        .header("Lambda-Runtime-Trace-Id", TRACE_ID)
        .body(Full::new(offered.payload))
        .expect("a response of plain headers")
}

/// Counts a hanging request, however it ends, and tells that the invocation was taken.
struct Asking(Arc<Shared>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.change(|state| state.asking -= 1);
    }
}

fn answered(shared: &Shared, id: &str, answer: Answer) -> Response<Full<Bytes>> {
    shared.change(|state| match state.under_way.as_mut().filter(|under_way| under_way.id == id) {
        Some(under_way) if under_way.answer.is_none() => {
            under_way.answer = Some(answer);
            json(202, "OK")
        }
        _ => {
            state.late.push(id.to_owned());
            json(400, "InvalidRequestID")
        }
    })
}

fn json(status: u16, word: &str) -> Response<Full<Bytes>> {
    let name = if status < 300 { "status" } else { "errorType" };
    Response::builder()
        .status(status)
        .header("Content-Type", "application/json")
        .body(Full::new(Bytes::from(format!("{{\"{name}\":\"{word}\"}}"))))
        .expect("a response of plain headers")
}
