//! The side of the Runtime API that a test holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::{Answer, FunctionError};
use super::serve;
use super::state::{Offered, Shared};
use crate::server_thread::ServerThread;

/// A Runtime API for one process at a time; it ends when dropped.
#[derive(Debug)]
pub struct RuntimeApi {
    shared: Arc<Shared>,
    server: ServerThread,
    count: AtomicU64,
}

/// An invocation that the function has taken.
#[derive(Debug, Clone)]
pub struct TakenInvocation {
    /// `Lambda-Runtime-Aws-Request-Id`
    pub request_id: String,
    deadline: Instant,
}

impl RuntimeApi {
    /// Listens on a free port of this machine.
    ///
    /// # Panics
    /// When no port can be had.
    #[must_use]
    pub fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        let server = ServerThread::start(|listener| serve::run(listener, served)).expect("a port for a Runtime API");
        Self { shared, server, count: AtomicU64::new(0) }
    }

    /// `host:port`, for `AWS_LAMBDA_RUNTIME_API`.
    #[must_use]
    pub fn address(&self) -> String {
        self.server.address().to_string()
    }

    /// Invokes the function with `time` until the deadline, counted from when it takes the invocation; `None` when
    /// it has not asked for one within `start_limit`.
    pub async fn invoke(&self, payload: impl Into<Bytes>, time: Duration, start_limit: Duration) -> Option<Answer> {
        let taken = self.offer(payload, time, start_limit).await?;
        Some(self.answer(&taken).await)
    }

    /// The first half of [`RuntimeApi::invoke`]: returns when the function has taken the invocation.
    pub async fn offer(
        &self,
        payload: impl Into<Bytes>,
        time: Duration,
        start_limit: Duration,
    ) -> Option<TakenInvocation> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let id = format!("00000000-0000-4000-8000-{number:012x}");
        self.shared.change(|state| {
            state.under_way = None;
            state.offered = Some(Offered { id: id.clone(), payload: payload.into(), time });
        });
        let taken = self.shared.wait_for(|state| {
            let under_way = state.under_way.as_ref()?;
            (under_way.id == id).then(|| TakenInvocation { request_id: id.clone(), deadline: under_way.deadline })
        });
        let taken = timeout(start_limit, taken).await.ok();
        if taken.is_none() {
            self.shared.change(|state| state.offered = None);
        }
        taken
    }

    /// The second half: what the function answers by the deadline.
    pub async fn answer(&self, taken: &TakenInvocation) -> Answer {
        let answered = self.shared.wait_for(|state| {
            let under_way = state.under_way.as_mut().filter(|under_way| under_way.id == taken.request_id)?;
            under_way.answer.take()
        });
        let answer = timeout_at(taken.deadline, answered).await.unwrap_or(Answer::TimedOut);
        self.shared.change(|state| state.under_way = None);
        answer
    }

    /// Waits until the function asks for its next invocation; `false` after `limit`.
    pub async fn asked_for_next(&self, limit: Duration) -> bool {
        timeout(limit, self.shared.wait_for(|state| (state.asking > 0).then_some(()))).await.is_ok()
    }

    /// What the function reported of a failed start.
    #[must_use]
    pub fn init_error(&self) -> Option<FunctionError> {
        self.shared.state().init_error.clone()
    }

    /// The ids of invocations that were answered when they were over already.
    #[must_use]
    pub fn late_answers(&self) -> Vec<String> {
        self.shared.state().late.clone()
    }
}
