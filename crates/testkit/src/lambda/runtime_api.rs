//! The side of the Runtime API that a test holds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::body::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::{Answer, FunctionError};
use super::serve;
use crate::server_thread::ServerThread;

/// The ARN that the function is told it was invoked under.
pub(super) const FUNCTION_ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:streamdex";

/// A Runtime API for one process at a time; it ends when dropped.
#[derive(Debug)]
pub struct RuntimeApi {
    shared: Arc<Shared>,
    server: ServerThread,
    count: AtomicU64,
}

/// What the routes and the test share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) offered: Option<Offered>,
    pub(super) under_way: Option<UnderWay>,
    /// How many requests for the next invocation hang.
    pub(super) asking: u32,
    pub(super) init_error: Option<FunctionError>,
    /// Answers to invocations that were over already.
    pub(super) late: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Offered {
    pub(super) id: String,
    pub(super) payload: Bytes,
    pub(super) time: Duration,
}

/// The invocation that the function works on.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) id: String,
    pub(super) deadline: Instant,
    pub(super) answer: Option<Answer>,
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
        let shared = Arc::new(Shared { state: Mutex::default(), changed: watch::Sender::new(0) });
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

    /// What the function told of a failed start.
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

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.send_modify(|count| *count += 1);
        changed
    }

    /// Waits until `look` finds something.
    pub(super) async fn wait_for<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            let found = look(&mut self.state());
            match found {
                Some(found) => return found,
                None => changed.changed().await.expect("the sender lives in this value"),
            }
        }
    }
}

impl Offered {
    /// Milliseconds since 1970, as the function is told.
    pub(super) fn deadline_ms(&self) -> u128 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        (now + self.time).as_millis()
    }
}
