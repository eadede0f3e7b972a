//! Responses and their headers.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};

use crate::observe::anonymous::anonymous;

/// What is answered.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: String,
    /// Of 405: the methods that are taken.
    pub(super) allow: Option<&'static str>,
}

const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const JSON: &str = "application/json";
pub(super) const HTML: &str = "text/html; charset=utf-8";
const PAGE_MAY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                        img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

// === impl Answer ===

impl Answer {
    /// A line of text.
    pub(super) fn text(status: StatusCode, line: &str) -> Answer {
        Answer { status, content_type: TEXT, body: format!("{line}\n"), allow: None }
    }

    /// The path takes these methods alone.
    pub(super) fn only(methods: &'static str) -> Answer {
        Answer { allow: Some(methods), ..Answer::text(StatusCode::METHOD_NOT_ALLOWED, methods) }
    }

    /// `ok`, or a line for each reason; then a line for each note. Without accounts and principals.
    pub(super) fn of_probe(reasons: &[String], notes: &[String]) -> Answer {
        let (status, first) = match reasons {
            [] => (StatusCode::OK, Some("ok\n".to_owned())),
            _ => (StatusCode::SERVICE_UNAVAILABLE, None),
        };
        let lines = reasons.iter().chain(notes).map(|line| format!("{}\n", anonymous(line)));
        Answer { status, content_type: TEXT, body: first.into_iter().chain(lines).collect(), allow: None }
    }

    pub(super) fn of(body: Option<String>, content_type: &'static str) -> Answer {
        match body {
            Some(body) => Answer { status: StatusCode::OK, content_type, body, allow: None },
            None => Answer::text(StatusCode::INTERNAL_SERVER_ERROR, ""),
        }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.content_type == HTML {
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_MAY));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}
