//! `POST /await`: reads the request, and passes it to the component that knows the table.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use tokio::time::timeout;

use super::answer::{Answer, JSON};

/// Waits until searches find of one item what its table holds.
#[async_trait]
pub trait Awaits: Send + Sync {
    /// Answers one request with this body within [`LONGEST_AWAIT`].
    async fn answer(&self, body: Bytes) -> AwaitAnswer;
}

/// What [`Awaits::answer`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwaitAnswer {
    /// The HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
}

/// No wait takes longer.
pub const LONGEST_AWAIT: Duration = Duration::from_secs(60);
/// A key has 3 KB at most.
const LARGEST_BODY: usize = 16 * 1024;
const BODY_WITHIN: Duration = Duration::from_secs(2);

/// Reads a request and has it answered. `waits` is called when it begins to wait; it says whether there is room.
pub(super) async fn answer(
    awaits: Option<Arc<dyn Awaits>>,
    request: Request<Incoming>,
    waits: impl FnOnce() -> bool,
) -> Answer {
    let refused = Answer::text;
    let Some(awaits) = awaits else {
        return refused(
            StatusCode::NOT_FOUND,
            "/await is off: turn it on with http.await_per_second in the configuration",
        );
    };
    if request.method() != Method::POST {
        return Answer::only("POST");
    }
    // A page of another site cannot send this type without being asked for it.
    let is_json = |kind: &str| kind.split(';').next().is_some_and(|kind| kind.trim() == JSON);
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(is_json) {
        return refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be JSON, with content-type: application/json",
        );
    }
    match timeout(BODY_WITHIN, Limited::new(request.into_body(), LARGEST_BODY).collect()).await {
        Ok(Ok(_)) if !waits() => refused(StatusCode::TOO_MANY_REQUESTS, "too many requests are waiting: try again"),
        Ok(Ok(body)) => {
            let AwaitAnswer { status, body } = awaits.answer(body.to_bytes()).await;
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Answer { status, content_type: JSON, body: body + "\n", allow: None }
        }
        Ok(Err(_)) => refused(StatusCode::PAYLOAD_TOO_LARGE, "the body must not exceed 16 KiB"),
        Err(_) => refused(StatusCode::REQUEST_TIMEOUT, "the body did not arrive within 2 s"),
    }
}
