//! Recorded requests and answers.

use std::collections::VecDeque;

use hyper::body::Bytes;
use hyper::{HeaderMap, Method};

use super::bulk::{BulkOperation, operations};

/// Bodies above this many bytes in sum are forgotten, oldest first, so that a load test does not fill the memory.
const KEPT_BODY_BYTES: usize = 256 << 20;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Counts from 0 in the order of arrival.
    pub number: u64,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The headers as sent.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
    /// The status of the answer; `None` while there is none, and for ever where the answer was lost on purpose.
    pub status: Option<u16>,
}

impl Recorded {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, empty when it is absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The AWS operation, as `GetItem`; `None` where it names none.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        // `DynamoDB_20120810.GetItem`
        self.header("x-amz-target").split_once('.').map(|(_, operation)| operation)
    }

    /// Whether this is a bulk request.
    #[must_use]
    pub fn is_bulk(&self) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        self.method == Method::POST && path.ends_with("/_bulk")
    }

    /// The operations of a bulk request.
    #[must_use]
    pub fn operations(&self) -> Vec<BulkOperation> {
        operations(&self.body)
    }
}

#[derive(Debug, Default)]
pub(super) struct Records {
    requests: VecDeque<Recorded>,
    next: u64,
    body_bytes: usize,
    oldest_with_body: usize,
}

impl Records {
    pub(super) fn add(&mut self, mut request: Recorded) -> Recorded {
        request.number = self.next;
        self.next += 1;
        self.body_bytes += request.body.len();
        self.requests.push_back(request.clone());
        while self.body_bytes > KEPT_BODY_BYTES && self.oldest_with_body < self.requests.len() {
            let body = std::mem::take(&mut self.requests[self.oldest_with_body].body);
            self.body_bytes -= body.len();
            self.oldest_with_body += 1;
        }
        request
    }

    pub(super) fn answered(&mut self, number: u64, status: u16) {
        if let Some(request) = self.requests.iter_mut().find(|request| request.number == number) {
            request.status = Some(status);
        }
    }

    pub(super) fn all(&self) -> Vec<Recorded> {
        self.requests.iter().cloned().collect()
    }

    pub(super) fn clear(&mut self) {
        self.requests.clear();
        self.body_bytes = 0;
        self.oldest_with_body = 0;
    }
}
