//! The raw bytes of events. The runtime's own deserialization would read the whole event once more before the mapping
//! does.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use lambda_runtime::tower::{Layer, Service};
use lambda_runtime::{Error, LambdaInvocation};

/// Takes the body of each invocation before it is read: a layer of the runtime. Panics, answers and traces of an invocation
/// stay the runtime's business, which sees an event that is `null`.
#[derive(Debug, Clone, Default)]
pub struct Bodies(Arc<Mutex<Option<(String, Bytes)>>>);

/// What [`Bodies`] puts around the runtime's services.
#[derive(Debug, Clone)]
pub struct TakeBody<S> {
    bodies: Bodies,
    inner: S,
}

// === impl Bodies ===

impl Bodies {
    /// The event of the invocation with this request id, which is the one that came last.
    pub fn take(&self, request_id: &str) -> Bytes {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        body.filter(|(of, _)| of == request_id).map(|(_, body)| body).unwrap_or_default()
    }

    fn put(&self, request_id: String, body: Bytes) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((request_id, body));
    }
}

impl<S> Layer<S> for Bodies {
    type Service = TakeBody<S>;

    fn layer(&self, inner: S) -> TakeBody<S> {
        TakeBody { bodies: self.clone(), inner }
    }
}

// === impl TakeBody ===

impl<S: Service<LambdaInvocation, Response = (), Error = Error>> Service<LambdaInvocation> for TakeBody<S> {
    type Response = ();
    type Error = Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> S::Future {
        let body = std::mem::replace(&mut invocation.body, Bytes::from_static(b"null"));
        self.bodies.put(invocation.context.request_id.clone(), body);
        self.inner.call(invocation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_handed_over_once_and_to_its_own_invocation() {
        let bodies = Bodies::default();
        bodies.put("one".to_owned(), Bytes::from_static(b"{}"));
        assert_eq!(bodies.clone().take("one"), "{}");
        assert_eq!(bodies.take("one"), "");
        bodies.put("two".to_owned(), Bytes::from_static(b"{}"));
        assert_eq!(bodies.take("three"), "");
    }
}
